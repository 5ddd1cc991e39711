"""The flag files of a study: protocols, and the settings that all runs share."""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from liver_tf.command_line.flag_files import find_flag_file, read_flag_file
from liver_tf.command_line.flags_of_options import check_flags, parse
from liver_tf.labels import LESION_TYPES
from liver_tf.options import OptionError
from liver_tf.studies.finetune_and_evaluate import LesionRunSettings

#: Flags of a run that the study sets.
_SET_BY_STUDY = frozenset(
    (
        *("records", "folds_file", "fold", "seed", "validation", "pretrained", "runs", "dry_run"),
        *("liver_run", "whole_records", "neighbour_truth"),
    )
)
_SET_BY_PROTOCOL = frozenset(("protocol", "start", "cycle"))


@dataclass(frozen=True)
class ProtocolFile:
    """A protocol's name and flags, with nested flag files expanded; ``file`` is for errors."""

    name: str
    arguments: tuple[str, ...]
    file: str = ""

    @property
    def cycles(self) -> tuple[str, ...]:
        """The value of each ``--cycle``."""
        return _values_of(self.arguments, "cycle")

    def shared_cycles(self, other: "ProtocolFile") -> int:
        """Number of leading cycles that are the same, so that one run can copy the other's."""
        if self._without_cycles() != other._without_cycles():
            return 0
        count = 0
        for mine, theirs in zip(self.cycles, other.cycles, strict=False):
            if mine != theirs:
                break
            count += 1
        return count

    def _without_cycles(self) -> list[str]:
        return [flag for flag in self.arguments if _name_of(flag) not in ("protocol", "cycle")]


def read_protocols(names: Sequence[str]) -> list[ProtocolFile]:
    """Read several protocols.

    Raises:
      OptionError: as :func:`read_protocol`, a name that occurs twice, or no name at all.
    """
    if not names:
        raise OptionError("protocols", "expected at least one protocol")
    protocols: dict[str, ProtocolFile] = {}
    for protocol in map(read_protocol, names):
        if protocol.name in protocols:
            raise OptionError("protocols", f"{protocol.name} occurs twice")
        protocols[protocol.name] = protocol
    return list(protocols.values())


def read_protocol(name: str) -> ProtocolFile:
    """Read a protocol's flag file: ``hier_freeze`` is ``hier_freeze.flags`` in this folder.

    Raises:
      OptionError: there is no such file, or it sets flags that the study sets.
    """
    file = name if name.endswith(".flags") else f"{name}.flags"
    try:
        path = find_flag_file(file)
    except OptionError:
        raise OptionError("protocols", f"no flag file {file}; a protocol is a flag file") from None
    arguments = _read_flags(path, file, _SET_BY_STUDY)
    names = _values_of(arguments, "protocol")
    if not names or not _values_of(arguments, "cycle"):
        raise OptionError(None, f"{file}: expected --protocol=NAME and at least one --cycle=")
    if not re.fullmatch(r"[\w-]+", names[-1], re.ASCII):
        raise OptionError(
            None, f"{file}: a protocol's name may contain only letters, digits, '_' and '-'"
        )
    return ProtocolFile(names[-1], arguments, file)


def read_settings(paths: Sequence[str | Path]) -> dict[str, tuple[str, ...]]:
    """Read the training flags that all runs share, by file.

    Raises:
      OptionError: a file is missing, or sets flags that the study or a protocol sets.
    """
    not_allowed = _SET_BY_STUDY | _SET_BY_PROTOCOL
    return {str(path): _read_flags(path, str(path), not_allowed) for path in paths}


def epochs_by_cycle(
    protocols: Sequence[ProtocolFile], settings: Mapping[str, Sequence[str]]
) -> dict[str, tuple[int, ...]]:
    """Maximum epochs of each protocol's cycles, with ``settings`` from :func:`read_settings`.

    All flags are parsed as a run parses them.

    Raises:
      OptionError: a file has an unknown flag or an invalid value.
    """
    for file, flags in settings.items():
        with _naming(file):
            check_flags(LesionRunSettings, flags)
    shared = [flag for flags in settings.values() for flag in flags]
    epochs = {}
    for protocol in protocols:
        with _naming(protocol.file or protocol.name):
            options = parse(LesionRunSettings, [*protocol.arguments, *shared])
            options.augmentation.for_labels(LESION_TYPES)
            cycles = options.parsed_protocol().cycles
        epochs[protocol.name] = tuple(cycle.epochs for cycle in cycles)
    return epochs


def new_epochs(
    protocols: Sequence[ProtocolFile], epochs: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    """``epochs_by_cycle``, with 0 for a cycle that is copied from an earlier protocol."""
    planned = {}
    for place, protocol in enumerate(protocols):
        copied = max((protocol.shared_cycles(earlier) for earlier in protocols[:place]), default=0)
        planned[protocol.name] = (0,) * copied + epochs[protocol.name][copied:]
    return planned


def _read_flags(path: str | Path, file: str, not_allowed: frozenset[str]) -> tuple[str, ...]:
    """Read a flag file, called ``file`` in messages; refuse some flags."""
    arguments = read_flag_file(path)
    for name in map(_name_of, arguments):
        if name in not_allowed or name.removeprefix("no") in not_allowed:
            problem = f"--{name} is not allowed in this file: the study sets it for each run"
            raise OptionError(None, f"{file}: {problem}")
    return arguments


def _values_of(arguments: Sequence[str], flag: str) -> tuple[str, ...]:
    """The values given to a flag, in order."""
    parts = [argument.lstrip("-").partition("=") for argument in arguments]
    return tuple(value for name, equals, value in parts if name == flag and equals)


def _name_of(argument: str) -> str:
    """The flag that ``--name=value`` sets."""
    return argument.lstrip("-").partition("=")[0]


@contextlib.contextmanager
def _naming(file: str) -> Iterator[None]:
    """Prefix an ``OptionError`` with the file's name."""
    try:
        yield
    except OptionError as error:
        raise OptionError(None, f"{file}: {error.as_flag()}") from None

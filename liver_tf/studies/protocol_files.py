"""The flag files of a study: protocols, and the settings that all runs share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from absl import app, flags

#: Flags of a run that the study sets.
_SET_BY_STUDY = frozenset(
    (
        *("records", "folds_file", "fold", "seed", "validation", "pretrained", "runs", "dry_run"),
        *("liver_run", "whole_records"),
    )
)
_SET_BY_PROTOCOL = frozenset(("protocol", "start", "cycle"))

#: Default of ``trainers.finetune``; here it only weights runs against each other.
_EPOCHS = 80


@dataclass(frozen=True)
class ProtocolFile:
    """A protocol's name and flags, with nested flag files expanded and comments removed.

    ``file`` is the path it was read from, for error messages.
    """

    name: str
    arguments: tuple[str, ...]
    file: str = ""

    @property
    def cycles(self) -> tuple[str, ...]:
        """The value of each ``--cycle``."""
        return flag_values(self.arguments, "cycle")

    def shared_cycles(self, other: ProtocolFile) -> int:
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
      UsageError: as :func:`read_protocol`, a name that occurs twice, or no name at all.
    """
    protocols = [read_protocol(name) for name in names]
    found = [protocol.name for protocol in protocols]
    if repeated := [name for name in found if found.count(name) > 1]:
        raise app.UsageError(f"--protocols: {repeated[0]} occurs twice")
    if not found:
        raise app.UsageError("--protocols: expected at least one protocol")
    return protocols


def read_protocol(name: str) -> ProtocolFile:
    """Read a protocol's flag file: ``hier_freeze`` is ``hier_freeze.flags`` in this folder.

    Raises:
      UsageError: there is no such file, or it sets flags that the study sets.
    """
    path = Path(name if name.endswith(".flags") else f"{name}.flags")
    if not path.is_file():
        raise app.UsageError(f"--protocols: no flag file {path}; a protocol is a flag file")
    arguments = read_flag_file(path)
    _refuse_flags(path, arguments, _SET_BY_STUDY)
    names = flag_values(arguments, "protocol")
    if not names or not flag_values(arguments, "cycle"):
        raise app.UsageError(f"{path}: expected --protocol=NAME and at least one --cycle=")
    if not re.fullmatch(r"[\w-]+", names[-1], re.ASCII):
        raise app.UsageError(
            f"{path}: a protocol's name may contain only letters, digits, '_' and '-'"
        )
    return ProtocolFile(names[-1], arguments, str(path))


def read_settings(paths: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read the training flags that all runs share, by file.

    Raises:
      UsageError: a file is missing, or sets flags that the study or a protocol sets.
    """
    settings = {}
    for path in paths:
        settings[path] = read_flag_file(Path(path))
        _refuse_flags(Path(path), settings[path], _SET_BY_STUDY | _SET_BY_PROTOCOL)
    return settings


def read_flag_file(path: Path) -> tuple[str, ...]:
    """Read a flag file, with nested files expanded and comments removed.

    Raises:
      UsageError: the file cannot be read.
    """
    try:
        return tuple(flags.FlagValues().read_flags_from_files([f"--flagfile={path}"]))
    except flags.Error as error:
        raise app.UsageError(str(error)) from None


def new_epochs(
    protocols: Sequence[ProtocolFile], settings: Sequence[str]
) -> dict[str, tuple[int, ...]]:
    """Maximum epochs of each cycle, by protocol; 0 where an earlier protocol has the same cycle."""
    planned = {}
    for place, protocol in enumerate(protocols):
        copied = max((protocol.shared_cycles(earlier) for earlier in protocols[:place]), default=0)
        epochs = epochs_by_cycle(protocol, settings)
        planned[protocol.name] = (0,) * copied + epochs[copied:]
    return planned


def epochs_by_cycle(protocol: ProtocolFile, settings: Sequence[str]) -> tuple[int, ...]:
    """Maximum epochs of each cycle: ``epochs=`` of the cycle, else the last ``--epochs``."""
    given = flag_values((*protocol.arguments, *settings), "epochs")
    default = int(given[-1]) if given else _EPOCHS
    matches = [re.search(r"\bepochs=(\d+)", line) for line in protocol.cycles]
    return tuple(int(match[1]) if match else default for match in matches)


def flag_values(arguments: Sequence[str], flag: str) -> tuple[str, ...]:
    """The values given to a flag, in order."""
    return tuple(
        argument.split("=", 1)[1]
        for argument in arguments
        if _name_of(argument) == flag and "=" in argument
    )


def _name_of(argument: str) -> str:
    """The flag that ``--name=value`` sets."""
    return argument.lstrip("-").split("=", 1)[0]


def _refuse_flags(path: Path, arguments: Sequence[str], names: frozenset[str]) -> None:
    for argument in arguments:
        name = _name_of(argument)
        if name in names or name.removeprefix("no") in names:
            raise app.UsageError(
                f"{path}: --{name} is not allowed in this file: the study sets it for each run"
            )

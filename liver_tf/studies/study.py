"""A study's grid: folds x protocols x seeds, a cell each; their names, their order, their work."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from absl import app, flags

#: The paper's five protocols, and controls as long as its hierarchical ones.
PROTOCOLS = (
    *("baseline", "no_freezing", "freeze_encoder", "hier_freeze", "hier_unfreeze"),
    *("no_freezing_5_cycles", "no_freezing_6_cycles"),
)

#: Flags of a cell that the study sets.
OF_THE_STUDY = frozenset(
    (
        *("records", "folds_file", "fold", "seed", "validation", "pretrained", "runs", "dry_run"),
        *("liver_run", "whole_records"),
    )
)
OF_THE_PROTOCOL = frozenset(("protocol", "start", "cycle"))

#: What trainers.finetune does unless told otherwise; here it only weighs cells against each other.
_EPOCHS = 80


@dataclass(frozen=True)
class Protocol:
    """A protocol's flag file: its name and its lines, nested flag files read, comments left out.

    ``file`` is where it was read, for whoever has to be told.
    """

    name: str
    arguments: tuple[str, ...]
    file: str = ""

    def same_cycles(self, other: Protocol) -> int:
        """With how many same cycles two protocols begin, so that one can copy the other's."""
        if self._beside_cycles() != other._beside_cycles():
            return 0
        same = 0
        for ours, theirs in zip(self.cycles, other.cycles, strict=False):
            if ours != theirs:
                break
            same += 1
        return same

    @property
    def cycles(self) -> tuple[str, ...]:
        """The line of each cycle."""
        return values(self.arguments, "cycle")

    def _beside_cycles(self) -> list[str]:
        return [one for one in self.arguments if name_of(one) not in ("protocol", "cycle")]


@dataclass(frozen=True, order=True)
class Cell:
    """One training among those of a study."""

    fold: int
    protocol: str
    seed: int

    @property
    def name(self) -> str:
        return f"fold{self.fold}/{self.protocol}/seed{self.seed}"

    @classmethod
    def parse(cls, name: str) -> Cell:
        """Read ``fold1/hier_freeze/seed0``; as the run's folder, ``fold1/seed0/hier_freeze``, too.

        Raises ``ValueError``.
        """
        found = {}
        for part in name.split("/"):
            match = re.fullmatch(r"(fold|seed)(\d+)", part)
            key, value = (match[1], int(match[2])) if match else ("protocol", part)
            if key in found or not part:
                break
            found[key] = value
        if len(found) < 3 or name.count("/") != 2:
            raise ValueError(f"expected a cell like fold1/hier_freeze/seed0, got {name!r}")
        return cls(**found)


def grid(folds: Iterable[int], protocols: Iterable[str], seeds: Iterable[int]) -> list[Cell]:
    """All cells, protocol by protocol.

    Cells of one fold and seed copy cycles from each other. In this order neighbours have other
    folds and seeds, so that what can be copied is finished even where several work at a time.
    """
    folds, seeds = list(folds), list(seeds)
    return [Cell(fold, name, seed) for name in protocols for seed in seeds for fold in folds]


def read_flag_file(path: Path) -> tuple[str, ...]:
    """The flags in a file, nested files read, comments left out; raises ``UsageError``."""
    try:
        return tuple(flags.FlagValues().read_flags_from_files([f"--flagfile={path}"]))
    except flags.Error as error:
        raise app.UsageError(str(error)) from None


def read_protocol(named: str) -> Protocol:
    """A protocol by its flag file: ``hier_freeze`` is ``hier_freeze.flags`` in this folder.

    Raises ``UsageError`` where there is none, or where it sets what the study sets.
    """
    path = Path(named if named.endswith(".flags") else f"{named}.flags")
    if not path.is_file():
        raise app.UsageError(f"--protocols: no flag file {path}; a protocol is a flag file")
    arguments = read_flag_file(path)
    _refuse_flags(path, arguments, OF_THE_STUDY)
    names = values(arguments, "protocol")
    if not names or not values(arguments, "cycle"):
        raise app.UsageError(f"{path}: expected --protocol=NAME and at least one --cycle=")
    if not re.fullmatch(r"[\w-]+", names[-1], re.ASCII):
        raise app.UsageError(f"{path}: a protocol's name has letters, digits, '_' and '-' alone")
    return Protocol(names[-1], arguments, str(path))


def read_protocols(named: Sequence[str]) -> list[Protocol]:
    """Several, each with a name of its own; raises ``UsageError`` as ``read_protocol``."""
    protocols = [read_protocol(one) for one in named]
    names = [one.name for one in protocols]
    if twice := [name for name in names if names.count(name) > 1]:
        raise app.UsageError(f"--protocols: {twice[0]} is there twice")
    if not names:
        raise app.UsageError("--protocols: expected at least one")
    return protocols


def read_settings(paths: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The flags of training that all cells share, by file; raises ``UsageError`` as above."""
    found = {}
    for path in paths:
        found[path] = read_flag_file(Path(path))
        _refuse_flags(Path(path), found[path], OF_THE_STUDY | OF_THE_PROTOCOL)
    return found


def epochs_by_cycle(protocol: Protocol, settings: Sequence[str]) -> list[int]:
    """How many epochs each cycle has at most."""
    named = values((*protocol.arguments, *settings), "epochs")
    default = int(named[-1]) if named else _EPOCHS
    own = [re.search(r"\bepochs=(\d+)", line) for line in protocol.cycles]
    return [int(match[1]) if match else default for match in own]


def new_epochs(protocols: Sequence[Protocol], settings: Sequence[str]) -> dict[str, list[int]]:
    """By protocol the epochs of each cycle, 0 where a protocol before it has the same cycle."""
    found = {}
    for place, protocol in enumerate(protocols):
        copied = max((protocol.same_cycles(one) for one in protocols[:place]), default=0)
        epochs = epochs_by_cycle(protocol, settings)
        found[protocol.name] = [0] * copied + epochs[copied:]
    return found


def values(arguments: Sequence[str], flag: str) -> tuple[str, ...]:
    """What a flag is set to, in order."""
    return tuple(one.split("=", 1)[1] for one in arguments if name_of(one) == flag and "=" in one)


def name_of(argument: str) -> str:
    """The flag that ``--name=value`` sets."""
    return argument.lstrip("-").split("=", 1)[0]


def _refuse_flags(path: Path, arguments: Sequence[str], names: frozenset[str]) -> None:
    for argument in arguments:
        name = name_of(argument)
        if name in names or name.removeprefix("no") in names:
            raise app.UsageError(f"{path}: --{name} cannot stand here; it is set cell by cell")

"""How two runs differ, in the user's terms: grouped by kind, by the names of the flags."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from liver_tf.counted import counted
from liver_tf.model.blocks import BLOCKS, format_blocks
from liver_tf.options import options_of
from liver_tf.training.training_settings import FinetuneSettings, PretrainSettings

_MAX_LENGTH = 60
#: Numbers of a list that are shown.
_MAX_NUMBERS = 4
#: Differences that are listed; the number of the others is stated.
_MAX_LISTED = 8

#: The kinds in the order of the list, with the entries of ``run.json`` that are of this kind.
_KINDS = {
    "data": ("data_fingerprint", "seed", "fold", "validation", "split", "task"),
    "network": ("pretrained_weights", "head", "head_class_weights", "architecture"),
    "protocol": ("protocol",),
    "optimisation": (),
    "augmentation": ("augmentation",),
    "sampling": ("sampling",),
    "computation": ("computation",),
}
_KIND_OF = {entry: kind for kind, entries in _KINDS.items() for entry in entries}
#: Values that no flag has, with what to write instead, and the flags that decide them.
_NAMED: dict[str, tuple[str, tuple[str, ...]]] = {
    "data_fingerprint": ("--records: other records", ("records",)),
    "pretrained_weights": ("--pretrained: other weights", ("pretrained",)),
    # No flags: they may be given without being what changed the split.
    "split": ("patients: another split", ()),
    "task.class_weights": ("class weights", ("class_weights", "balance")),
    "task.mean_hu": ("mean of liver HU", ("standardisation",)),
    "task.sd_hu": ("SD of liver HU", ("standardisation",)),
    "protocol.name": ("--protocol", ("protocol",)),
    "protocol.cycles.fixed": ("--cycle", ("cycle",)),
    "protocol.cycles.schedule": ("--learning_rate_schedule", ("learning_rate_schedule",)),
    "protocol.cycles.decay": ("--rate_decay", ("rate_decay",)),
    "protocol.cycles.floor": ("--rate_floor", ("rate_floor",)),
    "architecture.momentum": ("--norm_momentum", ("norm_momentum",)),
    "sampling.resample": ("--balance=resample", ("balance",)),
    "computation.augment_on_host": ("--augment_on (host)", ("augment_on",)),
    "computation.replicas": ("--strategy (devices)", ("strategy",)),
}
#: Each entry that decides others, which are then listed as its consequence.
_DECIDES = {
    "data_fingerprint": ("split", "task"),
    "seed": ("split", "task"),
    "fold": ("split", "task"),
    "validation": ("split", "task"),
    "pretrained_weights": ("head_class_weights",),
}


class _Difference(NamedTuple):
    """An entry such as ``protocol.cycles.epochs``, the number of its cycle, both values."""

    entry: str
    cycle: int | None
    old: Any
    new: Any

    @property
    def root(self) -> str:
        return self.entry.split(".")[0]

    @property
    def kind(self) -> str:
        if self.entry in ("protocol.cycles", "protocol.cycles.fixed"):
            return "protocol"
        optimised = self.entry.startswith("protocol.cycles.")
        loss = self.entry in ("task.class_weights", "task.dice_weight", "task.type_weight")
        return "optimisation" if optimised or loss else _KIND_OF.get(self.root, "other")

    @property
    def named(self) -> tuple[str, tuple[str, ...]]:
        """The name for the user, and the flags that decide the value."""
        leaf = self.entry.split(".")[-1]
        flag = (f"--{leaf}", (leaf,)) if leaf in _flags() else (self.entry, ())
        return _NAMED.get(self.entry) or _NAMED.get(self.root) or flag

    def text(self, cycles: list[int | None]) -> str:
        name, _ = self.named
        if ": " in name:
            return name
        before, now = (_shown(value) for value in (self.old, self.new))
        if before == now:  # the same digits
            before, now = (json.dumps(value) for value in (self.old, self.new))
        if self.entry == "protocol.cycles":
            name = f"--cycle (number {self.cycle})"
            before, now = ("none" if value is None else "one" for value in (self.old, self.new))
        elif cycles != [None]:
            name += f" (cycle {', '.join(map(str, cycles))})"
        return f"{name}: {before} before, {now} now"


@functools.cache
def _flags() -> frozenset[str]:
    both = options_of(FinetuneSettings) + options_of(PretrainSettings)
    return frozenset(option.name for option in both)


def run_differences(old: Any, new: Any, given: Collection[str] = ()) -> str:
    """The differences of two identities (``run.json``), without their consequences.

    Args:
      given: Names of the flags that the user has set: their differences are all listed, first.
    """
    differences = list(_differences(old, new))
    roots = {each.root for each in differences}
    decided = {name for root in roots for name in _DECIDES.get(root, ())} & roots
    groups: dict[tuple[str, str], list[_Difference]] = {}
    for each in differences:
        if each.root not in decided or _is_given(each, given):
            change = "" if ": " in each.named[0] else json.dumps((each.entry, each.old, each.new))
            groups.setdefault((each.named[0], change), []).append(each)
    order = [*_KINDS, "other"]
    listed = sorted(
        groups.values(),
        key=lambda group: (not _is_given(group[0], given), order.index(group[0].kind)),
    )
    shown = max(_MAX_LISTED, sum(_is_given(group[0], given) for group in listed))
    more = len(listed) - shown
    kinds: dict[str, list[str]] = {}
    for group in listed[:shown]:
        text = group[0].text([each.cycle for each in group])
        kinds.setdefault(group[0].kind, []).append(text)
    parts = [f"{kind}: {'; '.join(texts)}" for kind, texts in kinds.items()]
    parts += [f"and {counted(more, 'more difference')}"] if more > 0 else []
    parts += [f"accordingly also {' and '.join(sorted(decided))}"] if decided else []
    return "; ".join(parts)


def _is_given(difference: _Difference, given: Collection[str]) -> bool:
    return any(flag in given for flag in difference.named[1])


def _differences(
    old: Any, new: Any, entry: str = "", cycle: int | None = None
) -> Iterator[_Difference]:
    """The differences of two JSON values; cycle by cycle."""
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*new, *old]):  # in the order in which they are stored
            name = f"{entry}.{key}" if entry else key
            yield from _differences(old.get(key), new.get(key), name, cycle)
    elif entry == "protocol.cycles" and isinstance(old, list) and isinstance(new, list):
        for number, pair in enumerate(itertools.zip_longest(old, new), 1):
            yield from _differences(*pair, entry, number)
    else:
        yield _Difference(entry, cycle, old, new)


def _shown(value: Any) -> str:
    """A value as a flag has it: floats with 3 digits, long lists and texts truncated."""
    if value is None:
        return "not set"
    if isinstance(value, list) and set(map(str, value)) <= set(BLOCKS):
        text = format_blocks(value)
    elif (
        isinstance(value, list)
        and len(value) > _MAX_NUMBERS
        and all(isinstance(each, int | float) for each in value)
    ):
        start = json.dumps(_rounded(value[:_MAX_NUMBERS]))
        return f"{start[:-1]}, ...] ({len(value)} numbers)"
    else:
        text = value if isinstance(value, str) else json.dumps(_rounded(value))
    return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 3]}..."


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return float(f"{value:.3g}") if isinstance(value, float) else value

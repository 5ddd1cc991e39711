"""A protocol: a sequence of cycles, each written as a line with its frozen blocks and settings.

To add a protocol, write a flag file with such lines, like ``hier_freeze.flags``; no code is needed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from liver_tf.counted import counted
from liver_tf.model.blocks import format_blocks, parse_blocks
from liver_tf.training.cycle_settings import CycleSettings

if TYPE_CHECKING:  # it imports TensorFlow
    from liver_tf.model.block_weights import ParameterCount

#: Weights from which the first cycle starts.
PRETRAINED, SCRATCH = STARTS = ("pretrained", "scratch")


@dataclass(frozen=True)
class Protocol:
    """A named sequence of cycles and the weights from which the first one starts."""

    name: str
    start: str
    cycles: tuple[CycleSettings, ...]

    def __post_init__(self) -> None:
        if self.start not in STARTS:
            raise ValueError(f"start: expected one of {', '.join(STARTS)}; got {self.start!r}")
        if not self.cycles:
            raise ValueError(
                f"protocol {self.name!r} has no cycle; name a protocol, e.g. "
                "--flagfile=hier_freeze.flags, or give --cycle at least once"
            )
        if not self.name or not self.name.replace("_", "").replace("-", "").isalnum():
            raise ValueError(
                f"protocol name: expected letters, digits, '_' and '-', got {self.name!r}"
            )

    def identity(self) -> dict[str, Any]:
        """The protocol as it is stored in ``run.json``."""
        cycles = [cycle.identity() for cycle in self.cycles]
        return {"name": self.name, "start": self.start, "cycles": cycles}


#: Settings that a cycle's line may change.
_OVERRIDES = {
    "learning_rate": float,
    "epochs": int,
    "batch_size": int,
    "patience": int,
    "norm": str,
    "warmup_epochs": float,
    "block_decay": float,
}


def parse_cycle(line: str, defaults: CycleSettings) -> CycleSettings:
    """Parse a cycle: its frozen blocks, then optional settings.

    Examples: ``none``; ``enc1-enc3``; ``enc1-enc5,dec4 learning_rate=1e-5 epochs=20``.

    Raises:
      ValueError: The line cannot be parsed; the message quotes it.
    """
    blocks, *settings = line.split() or [""]
    try:
        changes: dict[str, Any] = {"fixed": parse_blocks(blocks)}
        for setting in settings:
            name, separator, value = setting.partition("=")
            if not separator or name not in _OVERRIDES:
                raise ValueError(
                    f"cannot read {setting!r}; settings are {', '.join(_OVERRIDES)} (name=value)"
                )
            changes[name] = _converted(name, value)
        return replace(defaults, **changes)
    except ValueError as error:
        raise ValueError(f"--cycle={line}: {error}") from None


def _converted(name: str, value: str) -> float | str:
    kind = _OVERRIDES[name]
    try:
        return kind(value)
    except ValueError:
        number = "a whole number" if kind is int else "a number"
        raise ValueError(f"{name}: expected {number}, found {value!r}") from None


def protocol_table(protocol: Protocol, parameters: dict[str, ParameterCount]) -> str:
    """The protocol as a table, to be printed before training.

    ``trainable`` counts the parameters that the optimiser updates; ``of parameters`` counts all of
    them, moving statistics included, as Keras does.

    Args:
      parameters: Counts by block, from ``block_weights.parameter_counts``.
    """
    total = sum(block.total for block in parameters.values())
    columns: dict[str, list[str]] = {
        "cycle": [str(number) for number in range(1, len(protocol.cycles) + 1)],
        "trained": [format_blocks(cycle.trained) for cycle in protocol.cycles],
        "frozen": [format_blocks(cycle.fixed) for cycle in protocol.cycles],
        "trainable": [
            f"{sum(parameters[block].trainable(cycle.norm) for block in cycle.trained):,}"
            for cycle in protocol.cycles
        ],
        "of parameters": [f"{total:,}"] * len(protocol.cycles),
        "rate": [f"{cycle.learning_rate:g}" for cycle in protocol.cycles],
        "epochs": [f"<={cycle.epochs}" for cycle in protocol.cycles],
        "batch": [str(cycle.batch_size) for cycle in protocol.cycles],
        "norm": [cycle.norm for cycle in protocol.cycles],
    }
    padded = []
    for name, cells in columns.items():
        width = max(map(len, (name, *cells)))
        padded.append([cell.ljust(width) for cell in (name, *cells)])
    lines = ["  ".join(row).rstrip() for row in zip(*padded, strict=True)]
    cycles = counted(len(protocol.cycles), "cycle")
    head = f"protocol {protocol.name}: {cycles}, start: {protocol.start}"
    return "\n".join([head, *lines])

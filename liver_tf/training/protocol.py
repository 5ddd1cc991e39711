"""A protocol: a sequence of cycles, each written as one line that names its frozen blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

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
            raise ValueError(f"protocol {self.name!r} has no cycle; give --cycle at least once")
        if not self.name or not self.name.replace("_", "").replace("-", "").isalnum():
            raise ValueError(
                f"protocol name: expected letters, digits, '_' and '-', got {self.name!r}"
            )


_OVERRIDES = {
    "learning_rate": float,
    "epochs": int,
    "batch_size": int,
    "patience": int,
    "norm": str,
}


def parse_cycle(line: str, defaults: CycleSettings) -> CycleSettings:
    """Parse a cycle: its frozen blocks, then optional settings.

    ``none``; ``enc1-enc3``; ``enc1-enc5,dec4 learning_rate=1e-5 epochs=20``.

    Raises:
      ValueError: The line is wrong; the message quotes it.
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
            changes[name] = _OVERRIDES[name](value)
        return replace(defaults, **changes)
    except ValueError as error:
        raise ValueError(f"--cycle={line}: {error}") from None


_COLUMNS = (
    *("cycle", "trained", "fixed", "trainable", "of parameters"),
    *("rate", "epochs", "batch", "norm"),
)


def protocol_table(protocol: Protocol, parameters: dict[str, ParameterCount]) -> str:
    """The protocol as a table, to be printed before training.

    ``trainable`` counts what the optimiser updates; ``of parameters`` counts all parameters with
    the moving statistics, as Keras does.

    Args:
      parameters: By block, from ``block_weights.parameter_counts``.
    """
    total = sum(block.total for block in parameters.values())
    rows = [_COLUMNS]
    for number, cycle in enumerate(protocol.cycles, 1):
        rows.append(
            (
                str(number),
                format_blocks(cycle.trained),
                format_blocks(cycle.fixed),
                f"{sum(parameters[block].trainable(cycle.norm) for block in cycle.trained):,}",
                f"{total:,}",
                f"{cycle.learning_rate:g}",
                f"<={cycle.epochs}",
                str(cycle.batch_size),
                cycle.norm,
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    head = f"protocol {protocol.name}: {len(protocol.cycles)} cycle(s), starting {protocol.start}"
    return "\n".join([head, *(line.rstrip() for line in lines)])

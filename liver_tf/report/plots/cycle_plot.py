"""Validation results from cycle to cycle: a panel per protocol."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes

from liver_tf.report.plots import plot_style
from liver_tf.results.training_history import FinishedCycle

#: Column of the history -> label, from top to bottom.
_LEVELS = {
    "val_dice": "validation Dice,\nmean over lesion types",
    "val_loss": "validation loss",
}


def draw_cycles(runs: Mapping[str, Sequence[Sequence[FinishedCycle]]], path: Path | str) -> Path:
    """Write one PNG: a panel per protocol, validation Dice above, validation loss below.

    Each point is the epoch whose weights a cycle kept. Thin lines are networks; the thick line is
    the mean over the networks that finished the cycle.

    Args:
      runs: protocol -> networks -> cycles.

    Raises:
      ValueError: no run has a finished cycle.
    """
    drawn = {name: [c for c in networks if c] for name, networks in runs.items()}
    drawn = {name: networks for name, networks in drawn.items() if networks}
    if not drawn:
        raise ValueError("expected at least one finished cycle; found none")
    figure, panels = plot_style.protocol_panels([*drawn], [*_LEVELS.values()], 3.8)
    for networks, axes in zip(drawn.values(), panels, strict=True):
        for axis, key in zip(axes, _LEVELS, strict=True):
            _draw(axis, networks, key)
        longest = max(networks, key=len)
        axes[1].set_xticks(
            [cycle.number for cycle in longest],
            [f"{cycle.number}\n{cycle.fixed_text}".replace(",", ",\n") for cycle in longest],
            fontsize=7,
        )
        axes[1].set_xlim(0.5, len(longest) + 0.5)
        axes[1].set_xlabel("cycle, frozen blocks", fontsize=8.5)
    for level, most in ((0, 1.0), (1, None)):
        plot_style.scale_from_zero([axes[level] for axes in panels], most)
    plot_style.legend_above(figure, [axis for axes in panels for axis in axes])
    return plot_style.save(figure, path)


def _draw(axis: Axes, networks: Sequence[Sequence[FinishedCycle]], key: str) -> None:
    values: dict[int, list[float]] = {}
    for number, cycles in enumerate(networks):
        points = {c.number: kept for c in cycles if (kept := c.kept(key)) is not None}
        for cycle, kept in points.items():
            values.setdefault(cycle, []).append(kept)
        if points and len(networks) > 1:
            look = {"color": plot_style.PALE, "lw": 0.9, "marker": ".", "ms": 3}
            label = None if number else "each network"
            axis.plot([*points], [*points.values()], gid=plot_style.DATA, label=label, **look)
    means = {cycle: statistics.fmean(values[cycle]) for cycle in sorted(values)}
    if means:
        look = {"color": plot_style.BLUE, "lw": 1.8, "marker": "o", "ms": 4}
        label = "mean over networks"
        axis.plot([*means], [*means.values()], gid=plot_style.DATA, label=label, **look)

"""Reliability curves: how often a type that is given with some confidence is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from liver_tf.atomic_files import written_whole
from liver_tf.evaluation.calibration import ReliabilityBin

_LINES = (
    ("as the network gives it", "#377eb8", "o"),
    ("scaled by the temperature", "#e6550d", "s"),
)

#: A column is wide enough for its title; more protocols go into further rows.
_COLUMNS = 4


def draw_reliability(
    curves: Mapping[str, Sequence[Sequence[ReliabilityBin]]], path: Path | str
) -> Path:
    """Writes one PNG: a panel per protocol, share right over confidence, slices per bin below.

    Args:
      curves: protocol -> (unscaled, scaled) -> bins (``calibration.reliability``). A curve without
        any slice is left out.
      path: where the PNG goes.

    Raises:
      ValueError: no protocol.
    """
    if not curves:
        raise ValueError("expected the curves of at least one protocol; got none")
    columns = min(len(curves), _COLUMNS)
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(3.0 * columns + 0.5, 3.9 * rows), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(
        2 * rows, columns, squeeze=False, height_ratios=(3, 1) * rows, sharex=True
    )
    for place, (name, both) in enumerate(curves.items()):
        row, column = divmod(place, columns)
        curve, counts = grid[2 * row][column], grid[2 * row + 1][column]
        curve.set_title(name, fontsize=10)
        _draw_curve(curve, both)
        _draw_counts(counts, both)
        if column == 0:
            curve.set_ylabel("share right", fontsize=9)
            counts.set_ylabel("slices", fontsize=9)
        counts.set_xlabel("confidence in the type", fontsize=9)
        counts.tick_params(labelbottom=True)
    for place in range(len(curves), rows * columns):
        row, column = divmod(place, columns)
        grid[2 * row][column].set_axis_off()
        grid[2 * row + 1][column].set_axis_off()
    grid[0][0].legend(fontsize=7, frameon=False, loc="upper left")
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
    return Path(path)


def _draw_curve(axis: Axes, both: Sequence[Sequence[ReliabilityBin]]) -> None:
    axis.plot([0, 1], [0, 1], color="#999999", lw=0.8, ls="--", label="calibrated")
    for (label, colour, marker), bins in zip(_LINES, both, strict=True):
        filled = [one for one in bins if one.slices]
        if filled:
            axis.plot(
                [one.confidence for one in filled],
                [one.right for one in filled],
                color=colour,
                marker=marker,
                ms=4,
                lw=1.2,
                label=label,
            )
    axis.set_xlim(0, 1)
    axis.set_ylim(-0.03, 1.03)
    axis.grid(alpha=0.25)
    axis.tick_params(labelsize=8)


def _draw_counts(axis: Axes, both: Sequence[Sequence[ReliabilityBin]]) -> None:
    for shift, (_, colour, _), bins in zip((-1, 1), _LINES, both, strict=True):
        middles = [(one.low + one.high) / 2 + shift * 0.02 for one in bins]
        axis.bar(middles, [one.slices for one in bins], width=0.04, color=colour)
    axis.grid(alpha=0.25)
    axis.tick_params(labelsize=8)

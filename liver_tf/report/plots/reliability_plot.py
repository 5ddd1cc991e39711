"""Reliability curves: proportion of correct types by confidence."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes

from liver_tf.measures.calibration import ReliabilityBin
from liver_tf.report.plots import plot_style

_LINES = (
    ("unscaled", plot_style.BLUE, "o"),
    ("temperature-scaled", plot_style.ORANGE, "s"),
)


def draw_reliability(
    curves: Mapping[str, Sequence[Sequence[ReliabilityBin]]], path: Path | str
) -> Path:
    """Write one PNG: a panel per protocol, proportion correct above, slices per bin below.

    Args:
      curves: protocol -> (unscaled, scaled) -> bins. A curve without slices is omitted.

    Raises:
      ValueError: no protocol.
    """
    if not curves:
        raise ValueError("expected the curves of at least one protocol; found none")
    labels = ("proportion correct", "slices")
    figure, panels = plot_style.protocol_panels([*curves], labels, 3.3, (3.0, 1.0))
    for both, (curve, counts) in zip(curves.values(), panels, strict=True):
        _draw_curve(curve, both)
        _draw_counts(counts, both)
        counts.set_xlabel("confidence in the type", fontsize=8.5)
    plot_style.legend_above(figure, [curve for curve, _ in panels])
    return plot_style.save(figure, path)


def _draw_curve(axis: Axes, both: Sequence[Sequence[ReliabilityBin]]) -> None:
    axis.plot([0, 1], [0, 1], color=plot_style.GREY, lw=0.8, ls="--", label="calibrated")
    for (label, colour, marker), bins in zip(_LINES, both, strict=True):
        points = [(b.confidence, b.right) for b in bins if b.slices]
        if points:
            look = {"color": colour, "marker": marker, "ms": 4, "lw": 1.2}
            axis.plot(*zip(*points, strict=True), label=label, **look)
    axis.set_xlim(0, 1)
    axis.set_ylim(-0.03, 1.03)


def _draw_counts(axis: Axes, both: Sequence[Sequence[ReliabilityBin]]) -> None:
    for shift, (_, colour, _), bins in zip((-1, 1), _LINES, both, strict=True):
        middles = [(b.low + b.high) / 2 + shift * 0.02 for b in bins]
        axis.bar(middles, [b.slices for b in bins], width=0.04, color=colour)

"""Free-response curves: sensitivity for lesions by false lesions per slice."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes

from liver_tf.measures.free_response import CURVE_RATES, RATES
from liver_tf.report.plots import plot_style
from liver_tf.statistics.bootstrap_intervals import Interval

#: Rate and sensitivity of every point.
Curve = Sequence[tuple[float, Interval]]

_LINES = (("run's decision", plot_style.BLUE, "o"), ("raw argmax", plot_style.ORANGE, "s"))


def draw_froc(curves: Mapping[str, Sequence[Curve]], path: Path | str) -> Path:
    """Write one PNG: a panel per protocol, with bootstrap bands.

    Args:
      curves: protocol -> curve by the run's decision, then by raw argmax if it is another.

    Raises:
      ValueError: no protocol.
    """
    if not curves:
        raise ValueError("expected the curves of at least one protocol; found none")
    ends = [curve[-1][0] for both in curves.values() for curve in both if curve]
    figure, panels = plot_style.single_panels([*curves], "sensitivity", 2.7)
    for both, axis in zip(curves.values(), panels, strict=True):
        for curve, look in zip(both, _LINES, strict=False):
            _draw(axis, curve, *look)
        for rate in RATES.values():
            axis.axvline(rate, color=plot_style.PALE, lw=0.8, ls="--", zorder=0)
        axis.set_xscale("log")
        axis.set_xlim(CURVE_RATES[0] * 0.9, max(1.0, *ends) * 1.4)
        axis.xaxis.set_major_formatter("{x:g}")
        axis.set_ylim(-0.02, 1.02)
        axis.set_xlabel("false lesions per slice", fontsize=8.5)
    plot_style.legend_above(figure, panels)
    return plot_style.save(figure, path)


def _draw(axis: Axes, curve: Curve, label: str, colour: str, marker: str) -> None:
    """A curve with its band; the marker is where every predicted lesion is reported."""
    points = [(max(rate, CURVE_RATES[0]), i) for rate, i in curve if i.value is not None]
    if not points:
        return
    rates = [rate for rate, _ in points]
    axis.plot(rates, [i.value for _, i in points], color=colour, lw=1.5, label=label)
    axis.plot(rates[-1], points[-1][1].value, color=colour, marker=marker, ms=5)
    band = [(rate, i.low, i.high) for rate, i in points if i.low is not None and not i.of_few]
    if band:
        axis.fill_between(*zip(*band, strict=True), color=colour, alpha=0.15, lw=0)

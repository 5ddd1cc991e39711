"""The charts of the verify page: liver HU, HU by class, lesion sizes and spacings."""

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from liver_tf.counted import counted
from liver_tf.ct.hu_plausibility import PLAUSIBLE_MEAN_HU
from liver_tf.ct.window import DEFAULT_WINDOW
from liver_tf.inspection.fingerprint import Facts
from liver_tf.inspection.hu_statistics import HIGH_HU, LOW_HU, Histogram
from liver_tf.inspection.mask_checks import MASK_CODES
from liver_tf.labels import LIVER, LabelSet
from liver_tf.report.plots.plot_style import BLUE, GREY, new_figure

_DIAMETER_MM, _LAST_DIAMETER_MM = 5, 100
_COLUMNS, _ROW_INCHES = 3, 2.2
_FLAGGED, _BAND, _REFERENCE = "#d00000", "#e3ecf5", "#333333"
_SPACING_BINS = 30
#: Dots of cases closer than this share of the axis are stacked.
_DOT_SHARE = 1 / 60


@dataclass(frozen=True)
class _Bars:
    """A histogram of bars of equal width; ``reference`` is drawn over it as a line."""

    title: str
    unit: str
    heights: Sequence[float]
    low: float
    high: float
    colour: str
    reference: Sequence[float] | None = None
    band: tuple[float, float] | None = None
    percent: bool = False


def distributions_svg(facts: Facts, label_set: LabelSet) -> bytes | None:
    """All charts as one SVG picture; None for a data set without a slice."""
    figure = distributions(facts, label_set)
    if figure is None:
        return None
    file = io.BytesIO()
    # The same facts give the same bytes: no date, no random element names.
    with matplotlib.rc_context({"svg.hashsalt": "liver_tf"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def distributions(facts: Facts, label_set: LabelSet) -> Figure | None:
    """The charts, three in a row; None for a data set without a slice."""
    if not facts.slices:
        return None
    bars = [
        *_hu_histograms(facts, label_set),
        *_diameter_histograms(facts, label_set),
        *_spacing_histograms(facts),
    ]
    rows = -(-(len(bars) + 1) // _COLUMNS)
    figure = new_figure(_ROW_INCHES * rows)
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).reshape(-1)
    _draw_case_dots(axes[0], facts)
    for axis, histogram in zip(axes[1:], bars, strict=False):
        _draw_bars(axis, histogram)
    for axis in axes[len(bars) + 1 :]:
        axis.set_axis_off()
    return figure


def _draw_case_dots(axis: Axes, facts: Facts) -> None:
    """Mean liver HU of each case; values outside the axis are drawn at its end."""
    stacked: Counter[int] = Counter()
    step = (HIGH_HU - LOW_HU) * _DOT_SHARE
    unit = "HU; band: plausible"
    for flagged, marker, colour in ((False, "o", BLUE), (True, "D", _FLAGGED)):
        points = []
        for row in facts.rows:
            if row.liver_hu.count and bool(MASK_CODES & set(row.cautions)) == flagged:
                place = round((min(max(row.liver_hu.mean, LOW_HU), HIGH_HU) - LOW_HU) / step)
                stacked[place] += 1
                points.append((LOW_HU + place * step, stacked[place]))
        if points:
            axis.scatter(*zip(*points, strict=True), s=16, marker=marker, color=colour)
            unit += "; red: mask looks misplaced" if flagged else ""
    _style(axis, "mean liver HU of each case", unit, LOW_HU, HIGH_HU, PLAUSIBLE_MEAN_HU["liver"])
    axis.set_ylim(0, max([*stacked.values(), 16]) + 1)
    axis.set_yticks([])


def _hu_histograms(facts: Facts, label_set: LabelSet) -> list[_Bars]:
    liver = _shares(facts.hu_histograms.get(LIVER, Histogram()))
    bars = []
    for label, histogram in sorted(facts.hu_histograms.items()):
        title = f"{label_set.classes[label]}: HU"
        outside = (histogram.below + histogram.above) / histogram.total
        if outside >= 0.0005:
            title += f" ({outside:.1%} outside the axis)"
        bars.append(
            _Bars(
                title,
                "HU; band: window" + ("" if label == LIVER else "; line: liver"),
                _shares(histogram),
                LOW_HU,
                HIGH_HU,
                label_set.colour(label),
                reference=None if label == LIVER else liver,
                band=DEFAULT_WINDOW,
                percent=True,
            )
        )
    return bars


def _diameter_histograms(facts: Facts, label_set: LabelSet) -> list[_Bars]:
    last = _LAST_DIAMETER_MM - _DIAMETER_MM
    return [
        _Bars(
            f"{label_set.classes[label]}: {counted(len(diameters), '2-D lesion')}",
            f"equivalent diameter, mm; last bar: {last} and more",
            diameter_counts(diameters),
            0,
            _LAST_DIAMETER_MM,
            label_set.colour(label),
        )
        for label, diameters in sorted(facts.diameters_mm.items())
    ]


def diameter_counts(diameters: Sequence[float]) -> list[int]:
    """Number of diameters in [0, 5), [5, 10), ... mm; the last bin includes all larger ones."""
    bins = _LAST_DIAMETER_MM // _DIAMETER_MM
    places = [min(int(diameter // _DIAMETER_MM), bins - 1) for diameter in diameters]
    return np.bincount(places, minlength=bins).tolist()


def _spacing_histograms(facts: Facts) -> list[_Bars]:
    row_mm = Counter({pair[0]: n for pair, n in facts.pixel_mm.items() if pair is not None})
    slice_mm = Counter({mm: n for mm, n in facts.slice_mm.items() if mm is not None})
    bars = []
    for title, counts in (("slices by row spacing", row_mm), ("slices by distance", slice_mm)):
        if counts:
            low, high = min(counts), max(counts)
            margin = max(0.1 * (high - low), 0.05 * high)
            low, high = max(low - margin, 0.0), high + margin
            heights, _ = np.histogram(
                list(counts), _SPACING_BINS, (low, high), weights=list(counts.values())
            )
            bars.append(_Bars(title, "mm", heights.tolist(), low, high, GREY))
    return bars


def _draw_bars(axis: Axes, bars: _Bars) -> None:
    edges = np.linspace(bars.low, bars.high, len(bars.heights) + 1)
    axis.stairs(bars.heights, edges, fill=True, color=bars.colour)
    if bars.reference is not None:
        axis.stairs(bars.reference, edges, color=_REFERENCE, linewidth=0.8)
    _style(axis, bars.title, bars.unit, bars.low, bars.high, bars.band)
    axis.set_ylim(0, 1.05 * max([*bars.heights, *(bars.reference or ()), 1e-12]))
    axis.yaxis.set_major_locator(MaxNLocator(3, integer=not bars.percent))
    if bars.percent:
        axis.yaxis.set_major_formatter(
            PercentFormatter(1.0, decimals=None if axis.get_ylim()[1] < 0.1 else 0)
        )


def _style(
    axis: Axes, title: str, unit: str, low: float, high: float, band: tuple[float, float] | None
) -> None:
    axis.set_title(title, fontsize=9.5, loc="left", fontweight="bold")
    axis.set_xlabel(unit, fontsize=8)
    axis.set_xlim(low, high)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    if band is not None:
        axis.axvspan(max(band[0], low), min(band[1], high), color=_BAND, linewidth=0, zorder=-1)


def _shares(histogram: Histogram) -> list[float]:
    return [count / max(histogram.total, 1) for count in histogram.counts]

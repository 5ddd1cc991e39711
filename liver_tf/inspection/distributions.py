"""Charts of what a data set holds, for the page of ``verify``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from liver_tf.ct.hu_plausibility import PLAUSIBLE_MEAN_HU
from liver_tf.ct.window import DEFAULT_WINDOW
from liver_tf.inspection.fingerprint import Facts
from liver_tf.inspection.fingerprint_text import counted
from liver_tf.inspection.hu_statistics import HIGH_HU, LOW_HU, Histogram
from liver_tf.inspection.mask_checks import MASK_CODES
from liver_tf.inspection.svg_charts import dots_svg, histogram_svg
from liver_tf.labels import LIVER, LabelSet

_DIAMETER_MM, _LAST_DIAMETER_MM = 5, 100
_DIAMETER_UNIT = f"diameter of equal area, mm; last: from {_LAST_DIAMETER_MM - _DIAMETER_MM} on"
_GREY = "#8a8f98"


def distributions(facts: Facts, label_set: LabelSet) -> list[str]:
    """Charts of a data set: liver HU by case, HU and lesion sizes by class, spacings.

    Empty for a data set without a slice.
    """
    if not facts.slices:
        return []
    charts = []
    values = [
        (row.liver_hu.mean, bool(MASK_CODES & set(row.cautions)))
        for row in facts.rows
        if row.liver_hu.count
    ]
    charts.append(
        dots_svg(
            "mean HU of each case's liver",
            values,
            LOW_HU,
            HIGH_HU,
            unit="HU; shaded: plausible",
            shade=PLAUSIBLE_MEAN_HU["liver"],
        )
    )
    liver = _shares(facts.hu_histograms.get(LIVER, Histogram()))
    for label, histogram in sorted(facts.hu_histograms.items()):
        outside = (histogram.below + histogram.above) / histogram.total
        title = f"{label_set.classes[label]}: HU"
        if outside >= 0.0005:
            title += f" ({outside:.1%} beyond)"
        charts.append(
            histogram_svg(
                title,
                _shares(histogram),
                LOW_HU,
                HIGH_HU,
                unit="HU; shaded: window" + ("" if label == LIVER else "; line: liver"),
                colour=label_set.colour(label),
                reference=None if label == LIVER else liver,
                shade=DEFAULT_WINDOW,
            )
        )
    for label, diameters in sorted(facts.diameters_mm.items()):
        charts.append(
            histogram_svg(
                f"{label_set.classes[label]}: {counted(len(diameters), 'part')} in slices",
                diameter_counts(diameters),
                0,
                _LAST_DIAMETER_MM,
                unit=_DIAMETER_UNIT,
                colour=label_set.colour(label),
                percent=False,
            )
        )
    rows = Counter({pair[0]: n for pair, n in facts.pixel_mm.items() if pair is not None})
    steps = Counter({mm: n for mm, n in facts.slice_mm.items() if mm is not None})
    for title, counts in (("pixel spacing (rows)", rows), ("slice distance", steps)):
        if counts:
            charts.append(_spacing_chart(title, counts))
    return charts


def diameter_counts(diameters: Sequence[float]) -> list[int]:
    """How many diameters lie in [0, 5), [5, 10), ... mm; what is larger counts in the last bin."""
    bins = _LAST_DIAMETER_MM // _DIAMETER_MM
    counts = [0] * bins
    for diameter in diameters:
        counts[min(int(diameter // _DIAMETER_MM), bins - 1)] += 1
    return counts


def _spacing_chart(title: str, counts: Counter[float]) -> str:
    low, high = min(counts), max(counts)
    margin = max(0.1 * (high - low), 0.05 * high)
    low, high, bins = max(low - margin, 0.0), high + margin, 30
    bars = [0] * bins
    for mm, slices in counts.items():
        bars[min(int((mm - low) / (high - low) * bins), bins - 1)] += slices
    return histogram_svg(
        f"{title}: slices", bars, low, high, unit="mm", colour=_GREY, percent=False
    )


def _shares(histogram: Histogram) -> list[float]:
    return [count / max(histogram.total, 1) for count in histogram.counts]

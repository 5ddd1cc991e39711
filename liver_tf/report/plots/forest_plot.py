"""Forest plot of paired differences with intervals, p values and outcomes."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from liver_tf.measures.measure_registry import measure_title
from liver_tf.report.plots import plot_style
from liver_tf.report.tables.paper_table import ABSENT, format_interval, format_p
from liver_tf.results.run_results import LOOSE
from liver_tf.statistics.paired_difference import PairedDifference

_ROW = 0.27

#: Characters of a label that fit on a line.
_CHARACTERS = 36

#: Columns beside the axes: position in widths of the axes -> heading.
_COLUMNS = {
    1.03: "difference\n[95 % interval]",
    1.45: "patients,\nnetworks",
    1.63: "p after\nHolm",
    1.815: "outcome",
}
_HEAD = {"fontsize": 10, "loc": "left", "fontweight": "bold"}
_SMALL = {"fontsize": 7.5, "color": plot_style.GREY}


def draw_brief_forest(differences: Sequence[PairedDifference], path: Path | str) -> Path:
    """Write one PNG: a column per measure, a row per comparison, without figures.

    Marks and errors as in ``draw_forest``.
    """
    reach = _reach(differences)
    measures = list(dict.fromkeys(d.measure for d in differences))
    pairs = list(dict.fromkeys((d.protocol, d.reference) for d in differences))
    height = 0.75 + 0.24 * len(pairs)
    figure = plot_style.new_figure(height, layout=None)
    figure.subplots_adjust(0.235, 0.32 / height, 0.99, 1 - 0.4 / height, wspace=0.08)
    panels = figure.subplots(1, len(measures), squeeze=False, sharey=True)[0]
    for axis, measure in zip(panels, measures, strict=True):
        of_pair = {(d.protocol, d.reference): d for d in differences if d.measure == measure}
        axis.axvline(0.0, color="#444444", lw=0.9)
        for row, pair in enumerate(pairs):
            if pair in of_pair:
                _mark(axis, row, of_pair[pair])
        axis.set_title("\n".join(textwrap.wrap(measure_title(measure), 24)), fontsize=9)
        axis.set_yticks(range(len(pairs)))
        axis.set_ylim(len(pairs) - 0.5, -0.5)
        _style(axis, reach)
    firsts = [next(d for d in differences if (d.protocol, d.reference) == pair) for pair in pairs]
    _name_rows(panels[0], firsts)
    return plot_style.save(figure, path)


def draw_forest(differences: Sequence[PairedDifference], path: Path | str) -> Path:
    """Write one PNG: a panel per measure, a row per comparison, with figures and outcome.

    Filled marks are shown differences, open blue marks observed ones (fewer than three trainings);
    open grey marks are not shown. All panels have the same scale.

    Raises:
      ValueError: no difference with an interval.
    """
    reach = _reach(differences)
    measures = list(dict.fromkeys(d.measure for d in differences))
    rows = max(sum(d.measure == m for d in differences) for m in measures)
    height = 0.45 + len(measures) * (0.62 + _ROW * rows)
    # No layout engine reserves space for the text beside the axes.
    figure = plot_style.new_figure(height, layout=None)
    figure.subplots_adjust(0.235, 0.5 / height, 0.545, 1 - 0.3 / height, hspace=0.62 / _ROW / rows)
    axes = figure.subplots(len(measures), 1, squeeze=False, sharex=True)[:, 0]
    for axis, measure in zip(axes, measures, strict=True):
        _draw(axis, [d for d in differences if d.measure == measure], reach)
        axis.set_title(measure_title(measure), **_HEAD)
        for place, head in _COLUMNS.items():
            axis.text(place, 1.0, head, transform=axis.transAxes, va="bottom", **_SMALL)
    axes[-1].set_xlabel(
        "first minus second protocol on the same patients; lines: 95 % bootstrap intervals over "
        "patients and, with several seeds, networks",
        fontsize=9,
    )
    return plot_style.save(figure, path)


def _reach(differences: Sequence[PairedDifference]) -> float:
    """End of the axes on both sides of zero."""
    ends = (end for d in differences for end in (d.interval.low, d.interval.high, d.interval.value))
    known = [abs(end) for end in ends if end is not None]
    if not known:
        raise ValueError("expected at least one difference; found none")
    return max(1.08 * max(known), 0.02)


def _draw(axis: Axes, differences: Sequence[PairedDifference], reach: float) -> None:
    axis.axvline(0.0, color="#444444", lw=0.9)
    for row, d in enumerate(differences):
        colour = _mark(axis, row, d)
        cells = (
            format_interval(d.interval, signed=True),
            ABSENT if d.patients is None else f"{d.patients}, {d.networks}",
            format_p(d.p_holm),
            # The reason is given in the table.
            d.brief,
        )
        words = {"transform": axis.get_yaxis_transform(), "va": "center", "fontsize": 8.5}
        *_, outcome = (
            axis.text(place, row, cell, **words)
            for place, cell in zip(_COLUMNS, cells, strict=True)
        )
        outcome.set(color=colour, fontweight="bold" if d.is_shown else "normal")
        if row and d.reference != differences[row - 1].reference:
            axis.axhline(row - 0.5, color=plot_style.PALE, lw=0.8, ls=":")
    axis.set_yticks(range(len(differences)))
    _name_rows(axis, differences)
    axis.set_ylim(len(differences) - 0.5, -0.5)
    _style(axis, reach)


def _mark(axis: Axes, row: int, d: PairedDifference) -> str:
    """Draw the value and its interval; return their colour."""
    interval = d.interval
    colour = plot_style.GREY if d.direction is None else plot_style.BLUE
    if interval.low is not None:
        axis.plot([interval.low, interval.high], [row, row], color=colour, lw=1.8)
    if interval.value is not None:
        look = {"marker": "o", "ms": 6, "color": colour, "mew": 1.4}
        axis.plot(interval.value, row, mfc=colour if d.is_shown else "white", **look)
    return colour


def _name_rows(axis: Axes, differences: Sequence[PairedDifference]) -> None:
    axis.set_yticklabels([_label(d) for d in differences])
    for tick, d in zip(axis.get_yticklabels(), differences, strict=True):
        tick.set_fontsize(7.0 if "\n" in tick.get_text() else 8.5)
        if LOOSE in d.protocol + d.reference:
            tick.set_color(plot_style.RED)


def _style(axis: Axes, reach: float) -> None:
    axis.set_xlim(-reach, reach)
    axis.tick_params(axis="x", labelsize=8.5, labelbottom=True)
    axis.grid(alpha=0.25, axis="x", lw=0.6)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)


def _label(d: PairedDifference) -> str:
    """Names of both protocols, on two lines if necessary."""
    names = [name.replace(LOOSE, "test fold") for name in (d.protocol, d.reference)]
    line = " \u2212 ".join(names)
    if len(line) <= _CHARACTERS:
        return line
    half = _CHARACTERS // 2
    names = [
        name if len(name) <= _CHARACTERS else f"{name[:half]}…{name[-half:]}" for name in names
    ]
    return "\n\u2212 ".join(names)

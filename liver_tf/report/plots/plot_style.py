"""Common style of the plots of a report: colours, grid of panels, legend, saving."""

import io
import math
import textwrap
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from liver_tf import palette
from liver_tf.atomic_files import atomic_write
from liver_tf.results.run_results import LOOSE

BLUE, ORANGE, GREEN, PURPLE = palette.BLUE, palette.VERMILLION, palette.GREEN, palette.PURPLE
GREY, PALE = "#777777", "#c8c8c8"
RED = "#a00000"

#: Group id of lines that show data, not borders of cycles.
DATA = "data"

#: Inches; the width of the page.
WIDTH = 10.8
COLUMNS = 4

_DPI = 140

#: No picture of a report is larger, so that reports can be kept under version control.
MOST_BYTES = 500_000

#: Characters of a panel's title that fit on a line.
_TITLE_CHARACTERS = 30


def new_figure(height: float, layout: str | None = "constrained") -> Figure:
    """A white figure of the width of the page; ``height`` in inches."""
    return Figure(figsize=(WIDTH, height), dpi=_DPI, layout=layout)


def protocol_panels(
    protocols: Sequence[str],
    labels: Sequence[str],
    row_height: float,
    ratios: tuple[float, float] = (1.0, 1.0),
    *,
    above: float = 6.0,
) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """A figure with a titled panel per protocol, four in a row.

    A panel is an upper and a lower plot with the same x axis; all upper plots share y, and so do
    all lower ones.

    Args:
      protocols: titles of the panels.
      labels: of the y axes of the upper and lower plots.
      row_height: height of a row of panels, inches.
      ratios: relative heights of the upper and lower plots.
      above: space between plots and title, points.
    """
    columns = min(len(protocols), COLUMNS)
    rows = -(-len(protocols) // columns)
    figure = new_figure(0.4 + row_height * rows)
    grid = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=ratios * rows)
    pairs = [pair for row in range(rows) for pair in zip(*grid[2 * row : 2 * row + 2], strict=True)]
    for axis in chain.from_iterable(pairs[len(protocols) :]):
        axis.set_axis_off()
    panels = pairs[: len(protocols)]
    for place, (protocol, pair) in enumerate(zip(protocols, panels, strict=True)):
        for axis, first, label in zip(pair, panels[0], labels, strict=True):
            if place:
                axis.sharey(first)
            if place % columns == 0:
                axis.set_ylabel(label, fontsize=9)
            axis.tick_params(labelsize=8, labelleft=place % columns == 0)
            axis.grid(alpha=0.25, lw=0.6)
            axis.spines[["top", "right"]].set_visible(False)
        pair[1].sharex(pair[0])
        pair[0].tick_params(labelbottom=False)
        _name_panel(pair[0], protocol, above)
    return figure, panels


def single_panels(
    protocols: Sequence[str], label: str, row_height: float
) -> tuple[Figure, list[Axes]]:
    """A figure with a titled panel per protocol, four in a row, that share both axes.

    Args:
      protocols: titles of the panels.
      label: of the y axes.
      row_height: height of a row of panels, inches.
    """
    columns = min(len(protocols), COLUMNS)
    rows = -(-len(protocols) // columns)
    figure = new_figure(0.4 + row_height * rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel().tolist()
    for axis in grid[len(protocols) :]:
        axis.set_axis_off()
    panels: list[Axes] = grid[: len(protocols)]
    for place, (protocol, axis) in enumerate(zip(protocols, panels, strict=True)):
        if place % columns == 0:
            axis.set_ylabel(label, fontsize=9)
        axis.tick_params(labelsize=8, labelbottom=True)
        axis.grid(alpha=0.25, lw=0.6)
        axis.spines[["top", "right"]].set_visible(False)
        _name_panel(axis, protocol, 6.0)
    return figure, panels


def _name_panel(axis: Axes, protocol: str, above: float) -> None:
    """Title a panel with its protocol, in red if it was validated on the test fold."""
    lines = [
        line for part in protocol.split(", ") for line in textwrap.wrap(part, _TITLE_CHARACTERS)
    ]
    colour = RED if protocol.endswith(LOOSE) else "black"
    size = 8.5 if len(lines) > 1 else 10
    axis.set_title("\n".join(lines), fontsize=size, color=colour, pad=above)


def scale_from_zero(axes: list[Axes], most: float | None = None) -> None:
    """Scale axes that share y from 0 to just above the data, at most to ``most``."""
    tops = [
        value
        for axis in axes
        for line in axis.get_lines()
        if line.get_gid() == DATA
        for value in line.get_ydata()
    ]
    top = 1.08 * max(tops, default=1.0)
    axes[0].set_ylim(0.0, top if most is None else min(top, most))


def legend_above(figure: Figure, axes: list[Axes], columns: int | None = None) -> None:
    """One legend above all panels; by default on one line."""
    handles: dict[str, object] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        figure.legend(
            list(handles.values()),
            list(handles),
            loc="outside upper left",
            ncols=columns or len(handles),
            frameon=False,
            fontsize=9,
        )


def save(figure: Figure, path: Path | str) -> Path:
    """Write the PNG atomically; the same figure gives the same bytes, at most ``MOST_BYTES``.

    A larger picture is written with a palette of 256 colours, and then, if it is still too large,
    with fewer dots per inch.
    """
    dpi = figure.dpi
    png = _png(figure, dpi)
    while len(png) > MOST_BYTES:
        reduced = io.BytesIO()
        Image.open(io.BytesIO(png)).convert("RGB").quantize(256).save(reduced, "png", optimize=True)
        png = reduced.getvalue()
        if len(png) > MOST_BYTES:
            dpi *= 0.95 * math.sqrt(MOST_BYTES / len(png))
            png = _png(figure, dpi)
    with atomic_write(path) as temporary:
        temporary.write_bytes(png)
    return Path(path)


def _png(figure: Figure, dpi: float) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()

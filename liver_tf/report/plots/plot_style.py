"""Common style of the plots of a report: colours, grid of panels, legend, saving."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from liver_tf.atomic_files import atomic_write
from liver_tf.results.stored_results import LOOSE

#: Colours of Okabe and Ito, distinguishable by colour-blind readers and in greyscale.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
GREY, PALE = "#777777", "#c8c8c8"
RED = "#a00000"

#: Group id of lines that show data, not borders of cycles.
DATA = "data"

#: Inches; the width of the page.
WIDTH = 10.8
COLUMNS = 4

_DPI = 140

#: Characters of a panel's title that fit on a line.
_TITLE_CHARACTERS = 30


def new_figure(height: float, layout: str | None = "constrained") -> Figure:
    """A white figure of the width of the page; ``height`` in inches."""
    figure = Figure(figsize=(WIDTH, height), dpi=_DPI, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def protocol_panels(
    protocols: Sequence[str], row_height: float, ratios: tuple[float, ...], *, above: float = 6.0
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with a titled panel per protocol, four in a row, each a stack of axes.

    The axes of a panel share x; axes at the same level share y across panels.

    Args:
      protocols: titles of the panels.
      row_height: height of a row of panels, inches.
      ratios: relative heights of the axes of a panel.
      above: space between axes and title, points.

    Returns:
      The figure, and the axes of each panel from top to bottom.
    """
    figure = new_figure(0.4 + row_height * -(-len(protocols) // COLUMNS))
    panels = _stacked_grid(figure, len(protocols), ratios)
    for protocol, axes in zip(protocols, panels, strict=True):
        _name_panel(axes[0], protocol, above)
    return figure, panels


def label_first_column(panels: list[list[Axes]], labels: Sequence[str]) -> None:
    """Label the y axes at the left edge of the figure."""
    for axes in panels[::COLUMNS]:
        for axis, label in zip(axes, labels, strict=True):
            axis.set_ylabel(label, fontsize=9)


def _stacked_grid(figure: Figure, panels: int, ratios: tuple[float, ...]) -> list[list[Axes]]:
    columns = min(max(panels, 1), COLUMNS)
    rows = -(-panels // columns)
    grid = figure.subplots(
        rows * len(ratios), columns, squeeze=False, height_ratios=ratios * rows
    ).reshape(rows, len(ratios), columns)
    panel_axes: list[list[Axes]] = []
    for place in range(rows * columns):
        row, column = divmod(place, columns)
        stack = list(grid[row, :, column])
        if place >= panels:
            for axis in stack:
                axis.set_axis_off()
            continue
        for level, axis in enumerate(stack):
            if panel_axes:
                axis.sharey(panel_axes[0][level])
            if level:
                axis.sharex(stack[0])
            if level < len(ratios) - 1:
                axis.tick_params(labelbottom=False)
            axis.tick_params(labelsize=8, labelleft=column == 0)
            axis.grid(alpha=0.25, lw=0.6)
            axis.spines[["top", "right"]].set_visible(False)
        panel_axes.append(stack)
    return panel_axes


def _name_panel(axis: Axes, protocol: str, above: float) -> None:
    """Title a panel with its protocol, in red if it was validated on the test fold."""
    caution = protocol.endswith(LOOSE)
    lines = [
        line for part in protocol.split(", ") for line in textwrap.wrap(part, _TITLE_CHARACTERS)
    ]
    axis.set_title(
        "\n".join(lines),
        fontsize=8.5 if len(lines) > 1 else 10,
        color=RED if caution else "black",
        pad=above,
    )


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
    """Write the PNG atomically; the same figure gives the same bytes."""
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
    return Path(path)

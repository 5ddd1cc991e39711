"""Draw outlines of truth and prediction on CT slices.

Nothing covers the pixels except thin outlines, and the numbers of lesions beside them: side
markers, scale bar and legend are beside the image, and a single overlay shows the plain slice next
to the outlined one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import AbstractPathEffect, Normal, Stroke

from liver_tf import palette
from liver_tf.labels import LIVER, LabelSet
from liver_tf.report.overlays.outlines import outlines_of
from liver_tf.report.plots import plot_style

#: Display window in HU, the paper's.
WINDOW_HU = (-160.0, 240.0)

_GROUND = "#101010"
_INK = "#f0f0f0"
_TRUTH_WIDTH = 0.9
_TRUTH_STYLE = {"color": "white", "linewidth": _TRUTH_WIDTH, "linestyle": (0, (1.2, 1.6))}
_PREDICTED_WIDTH = 1.1
# Dark casing of all lines, so that they are visible on bright liver and bone.
_CASING = 1.2
_DPI = 120


@dataclass(frozen=True)
class Panel:
    """One outlined slice.

    Attributes:
      hu: [rows, columns] in HU, rows front to back, columns from the patient's right to the left.
      truth: integer labels [rows, columns]; None if unknown.
      predicted: integer labels [rows, columns].
      title: text above the image, without patient names.
      spacing_mm: (row, column) spacing; None if unknown, then pixels are drawn square, without a
        scale bar.
      marks: (row, column) of the number of each lesion that is drawn.
    """

    hu: np.ndarray
    truth: np.ndarray | None
    predicted: np.ndarray
    label_set: LabelSet
    title: str
    spacing_mm: tuple[float, float] | None
    marks: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, labels in (("truth", self.truth), ("predicted", self.predicted)):
            if labels is not None and (labels.shape != self.hu.shape or self.hu.ndim != 2):
                raise ValueError(
                    f"expected hu and {name} as [rows, columns] of the same shape; found "
                    f"{self.hu.shape} and {labels.shape}"
                )
        if self.spacing_mm is not None and (
            len(self.spacing_mm) != 2 or not all(np.isfinite(s) and s > 0 for s in self.spacing_mm)
        ):
            raise ValueError(
                "expected spacing_mm as two positive numbers (rows, columns) or None; found "
                f"{self.spacing_mm}"
            )

    @property
    def size_mm(self) -> tuple[float, float]:
        """Height and width of the slice in mm, or in pixels if the spacing is unknown."""
        row, column = self.spacing_mm or (1.0, 1.0)
        return self.hu.shape[0] * row, self.hu.shape[1] * column


def draw_overlay(panel: Panel, path: Path | str) -> Path:
    """Write one PNG: the plain slice next to the slice with outlines.

    Lines in the colours and dashes of the label set are predictions: one outline for liver
    including lesions, one for each lesion type. Dotted white lines are the truth.
    """
    height, width = panel.size_mm
    image_inches = 5.2
    size = (2 * image_inches + 1.0, image_inches * min(height / width, 1.6) + 1.05)
    figure = Figure(size, _DPI, facecolor=_GROUND)
    axes = figure.subplots(1, 2, gridspec_kw={"wspace": 0.12})
    figure.subplots_adjust(left=0.04, right=0.96, bottom=0.13, top=0.91)
    figure.suptitle(panel.title, color=_INK, fontsize=11, y=0.975)
    for axis in axes:
        _draw_slice(axis, panel)
    _draw_outlines(axes[1], panel)
    _legend(figure, [panel])
    return plot_style.save(figure, path)


def draw_sheet(panels: Sequence[Panel], path: Path | str, *, columns: int = 3) -> Path:
    """Write a contact sheet of outlined slices as one PNG, with at most ``columns`` in a row.

    Raises:
      ValueError: no panels.
    """
    if not panels:
        raise ValueError("expected at least one panel; found none")
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    ratio = min(max(p.size_mm[0] / p.size_mm[1] for p in panels), 1.6)
    width = 4.2 * columns + 0.4
    panel_width = (width - 0.6) / (columns + 0.14 * (columns - 1))
    height = (panel_width * ratio + 0.75) * rows + 0.6
    figure = Figure((width, height), _DPI, facecolor=_GROUND)
    figure.subplots_adjust(
        left=0.3 / width,
        right=1 - 0.3 / width,
        bottom=0.85 / height,
        top=1 - 0.4 / height,
        wspace=0.14,
        hspace=0.6 / (panel_width * ratio),
    )
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, panel in zip(grid, panels, strict=False):
        _draw_slice(axis, panel)
        _draw_outlines(axis, panel)
        axis.set_title(panel.title, color=_INK, fontsize=9, pad=5)
    for axis in grid[len(panels) :]:
        axis.set_axis_off()
    _legend(figure, panels)
    return plot_style.save(figure, path)


def scale_bar_mm(width_mm: float) -> int:
    """Length of the scale bar: the longest of 1, 2, 5, 10, ... mm within 30 % of the width."""
    lengths = [1, 2, 5, 10, 20, 50, 100, 200]
    return max((n for n in lengths if n <= 0.3 * width_mm), default=1)


def _draw_slice(axis: Axes, panel: Panel) -> None:
    row_mm, column_mm = panel.spacing_mm or (1.0, 1.0)
    axis.imshow(
        panel.hu,
        cmap="gray",
        vmin=WINDOW_HU[0],
        vmax=WINDOW_HU[1],
        aspect=row_mm / column_mm,
        interpolation="bilinear",
    )
    axis.set_axis_off()
    axis.set_anchor("N")
    beside = {"transform": axis.transAxes, "color": _INK, "fontsize": 10, "va": "center"}
    axis.text(-0.015, 0.5, "R", ha="right", **beside)
    axis.text(1.015, 0.5, "L", ha="left", **beside)
    if panel.spacing_mm is None:
        axis.text(0.0, -0.035, "spacing unknown", ha="left", **(beside | {"fontsize": 8}))
        return
    length = scale_bar_mm(panel.size_mm[1])
    share = length / panel.size_mm[1]
    place = {"transform": axis.transAxes, "clip_on": False}
    axis.plot([0.0, share], [-0.03, -0.03], color=_INK, lw=2, **place)
    axis.text(share + 0.015, -0.03, f"{length} mm", ha="left", **(beside | {"fontsize": 8}))


def _draw_outlines(axis: Axes, panel: Panel) -> None:
    if panel.truth is not None:
        style = _TRUTH_STYLE | {"zorder": 3, "path_effects": _cased(_TRUTH_WIDTH)}
        for outline in chain.from_iterable(outlines_of(panel.truth, panel.label_set).values()):
            axis.plot(*outline.T[::-1], **style)
    for label, outlines in outlines_of(panel.predicted, panel.label_set).items():
        for outline in outlines:
            style = line_style(panel.label_set, label, _PREDICTED_WIDTH)
            axis.plot(*outline.T[::-1], **style, zorder=2, path_effects=_cased(_PREDICTED_WIDTH))
    halo = [Stroke(linewidth=2.5, foreground="black"), Normal()]
    for number, (row, column) in panel.marks.items():
        axis.annotate(
            *(str(number), (column, row)),
            xytext=(3, 3),
            textcoords="offset points",
            color=_INK,
            fontsize=14,
            fontweight="bold",
            path_effects=halo,
        )
    rows, columns = panel.hu.shape
    axis.set_xlim(-0.5, columns - 0.5)
    axis.set_ylim(rows - 0.5, -0.5)


def line_style(label_set: LabelSet, label: int, width: float) -> dict[str, Any]:
    """Arguments of matplotlib for the line of a class; ``width`` in points."""
    # matplotlib scales dashes by the width of the line.
    dashes = label_set.dashes(label)
    style = (0, dashes) if dashes else "-"
    return {"color": label_set.colour(label), "linewidth": width, "linestyle": style}


def _cased(width: float) -> list[AbstractPathEffect]:
    casing: dict[str, Any] = {"foreground": palette.HALO, "alpha": 0.7}
    # Below dashes the casing is solid; below the dots of truth it is not, to show the prediction.
    if width == _PREDICTED_WIDTH:
        casing["dashes"] = {"dash_offset": 0, "dash_list": None}
    return [Stroke(linewidth=width + _CASING, **casing), Normal()]


def _legend(figure: Figure, panels: Sequence[Panel]) -> None:
    handles: dict[str, Line2D] = {}
    for panel in panels:
        for label in range(LIVER, len(panel.label_set)):
            handles.setdefault(
                f"predicted {panel.label_set.classes[label]}",
                Line2D([], [], **line_style(panel.label_set, label, 2.0)),
            )
    if any(panel.truth is not None for panel in panels):
        handles["truth"] = Line2D([], [], **(_TRUTH_STYLE | {"linewidth": 1.6}))
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="lower center",
        ncols=min(len(handles), max(2, int(figure.get_figwidth() / 1.9))),
        frameon=False,
        labelcolor=_INK,
        fontsize=9,
    )

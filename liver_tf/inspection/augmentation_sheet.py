"""Draws slices as training sees them in each epoch, to judge the augmentation by eye."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from liver_tf.atomic_files import atomic_write
from liver_tf.labels import LIVER, LabelSet
from liver_tf.pipeline.augmentation import augment
from liver_tf.pipeline.sampling import NO_LESION, NOTHING
from liver_tf.pipeline.slices import Slices, scan_kinds
from liver_tf.pipeline.slices_on_disk import SlicesOnDisk
from liver_tf.report.overlays.draw_overlays import line_style
from liver_tf.report.overlays.outlines import outlines_of

_GROUND, _INK, _PALE = "#101010", "#f0f0f0", "#b0b0b0"
_INCHES, _TEXT_INCHES, _DPI = 2.3, 0.62, 110


@dataclass(frozen=True)
class SheetRow:
    """One slice, unchanged and as augmented in each epoch.

    Attributes:
      name: its lesion type; no pseudonym.
      images: float32 HU [1 + epochs, side, side], the unchanged slice first.
      labels: uint8 [1 + epochs, side, side].
      applied: result of ``augment.applied`` for each epoch.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    applied: list[dict[str, np.ndarray]]


def make_rows(
    slices: Slices, ranges: augment.Ranges, *, seed: int, rows: int, epochs: int
) -> list[SheetRow]:
    """Choose slices by the seed, the lesion types in turn, and augment them.

    A run with the same seed, ranges and image size augments them identically in its first epochs.
    """
    if ranges.drawn:
        slices = slices.with_tissues()
    examples, kinds = scan_kinds(slices)
    on_disk = SlicesOnDisk(slices)
    manifest = slices.manifest
    sheet = []
    for place in _choose(kinds, rows, np.random.default_rng(seed)):
        drawn = [
            augment.draw(seed, tf.constant(epoch), tf.constant(examples[place]), ranges)
            for epoch in range(epochs)
        ]
        record = on_disk.take(place)
        image, labels = record["image"], record["labels"]
        parameters = {name: tf.stack([epoch[name] for epoch in drawn]) for name in drawn[0]}
        if slices.tissues:
            parameters["tissues"] = tf.stack([record["tissues"]] * epochs)
            parameters["code_labels"] = tf.tile(slices.code_labels[None], [epochs, 1])
        unmoved = tf.stack([labels] * epochs)
        images, moved = augment.apply(
            tf.stack([image] * epochs), unmoved, parameters, manifest.window
        )
        applied = augment.applied(unmoved, parameters)
        sheet.append(
            SheetRow(
                _name(kinds[place], manifest.label_set),
                np.concatenate([image[None], images]),
                np.concatenate([labels[None], moved]),
                [{name: np.array(applied[name][n]) for name in applied} for n in range(epochs)],
            )
        )
    return sheet


def caption(applied: Mapping[str, np.ndarray]) -> str:
    """The augmentation of a slice as text of up to four lines.

    The order of operations is flip, rotation (anticlockwise), zoom, shift.
    """
    a, b, c, d, e, f = (float(number) for number in applied["transform"])
    degrees = math.degrees(math.atan2(d, e))
    zoom = 1 / math.hypot(d, e)
    flipped = ", flipped" if a * e - b * d < 0 else ""
    # The transform maps output to input; the picture shows where the centre moves to.
    right, down = -np.linalg.solve([[a, b], [d, e]], [c, f])
    lines = [
        f"rotation {_signed(degrees)}°, zoom {zoom:.2f}{flipped}",
        f"{_signed(100 * right)} % right, {_signed(100 * down)} % down",
        f"contrast {float(applied['gain']):.2f}, {_signed(float(applied['offset_hu']))} HU",
    ]
    if "noise_hu" in applied:
        lines[2] += f", noise {float(applied['noise_hu']):.0f} HU"
    beyond = []
    if applied.get("is_drawn"):
        beyond.append("drawn")
    if "elastic" in applied:
        beyond.append(f"elastic {100 * np.abs(applied['elastic']).max():.1f} %")
    if "gamma" in applied:
        beyond.append(f"gamma {float(applied['gamma']):.2f}")
    if "curve" in applied and np.any(applied["curve"]):
        beyond.append("curve")
    if "blur" in applied:
        taps = applied["blur"].astype(float)
        variance = 2 * (taps * np.arange(len(taps)) ** 2).sum()
        beyond.append(f"blur {math.sqrt(variance):.1f} px")
    return "\n".join([*lines, ", ".join(beyond)] if beyond else lines)


def _signed(number: float) -> str:
    """Rounded to an integer with its sign; never -0."""
    return f"{round(number):+d}"


def draw_sheet(
    rows: list[SheetRow], label_set: LabelSet, window: tuple[int, int], path: Path, note: str
) -> None:
    """Write the sheet as one PNG, atomically."""
    columns = len(rows[0].images)
    width = columns * _INCHES + 0.55
    height = len(rows) * (_INCHES + _TEXT_INCHES) + 1.0
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor=_GROUND)
    FigureCanvasAgg(figure)
    figure.subplots_adjust(
        left=0.4 / width,
        right=1 - 0.15 / width,
        top=1 - 0.6 / height,
        bottom=(0.4 + _TEXT_INCHES) / height,
        wspace=0.03,
        hspace=_TEXT_INCHES / _INCHES,
    )
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for row, axes in zip(rows, grid, strict=True):
        captions = ["unchanged", *map(caption, row.applied)]
        for axis, image, labels, text in zip(axes, row.images, row.labels, captions, strict=True):
            _draw(axis, image, labels, label_set, window)
            axis.set_xlabel(text, color=_PALE, fontsize=6.5, labelpad=3, linespacing=1.15)
        axes[0].set_ylabel(row.name, color=_INK, fontsize=9, labelpad=4)
    for number, axis in enumerate(grid[0][1:], 1):
        axis.set_title(f"epoch {number}", color=_INK, fontsize=9, pad=4)
    figure.suptitle(note, color=_INK, fontsize=9, y=1 - 0.12 / height, va="top")
    legend = range(LIVER, len(label_set))
    figure.legend(
        [Line2D([], [], **line_style(label_set, label, 2.0)) for label in legend],
        [label_set.classes[label] for label in legend],
        loc="lower center",
        ncols=len(label_set),
        frameon=False,
        labelcolor=_INK,
        fontsize=9,
    )
    with atomic_write(path) as temporary:
        # Without the version of matplotlib the same sheet has the same bytes.
        figure.savefig(temporary, format="png", facecolor=_GROUND, metadata={"Software": None})


def _choose(kinds: np.ndarray, rows: int, generator: np.random.Generator) -> list[int]:
    """Indices of slices: one of each lesion type, then a second of each, and so on."""
    shuffled = {
        kind: generator.permutation(np.flatnonzero(kinds == kind)) for kind in np.unique(kinds)
    }
    # Slices without lesion or liver show little: they come last.
    order = sorted(shuffled, key=lambda kind: (kind == NOTHING, kind == NO_LESION, kind))
    turns = max(map(len, shuffled.values()))
    ordered = [shuffled[k][turn] for turn in range(turns) for k in order if turn < len(shuffled[k])]
    return [int(place) for place in ordered[:rows]]


def _name(kind: int, label_set: LabelSet) -> str:
    names = {NOTHING: "no liver", NO_LESION: "no lesion"}
    return names.get(kind) or label_set.classes[kind]


def _draw(
    axis: Axes, image: np.ndarray, labels: np.ndarray, label_set: LabelSet, window: tuple[int, int]
) -> None:
    axis.imshow(image, cmap="gray", vmin=window[0], vmax=window[1], interpolation="nearest")
    for label, contours in outlines_of(labels, label_set).items():
        for contour in contours:
            axis.plot(contour[:, 1], contour[:, 0], **line_style(label_set, label, 0.9))
    side = len(image)
    axis.set(xlim=(-0.5, side - 0.5), ylim=(side - 0.5, -0.5), xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set_visible(False)

"""A page and a table of the generated labels, to be inspected before training on them."""

import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from liver_tf import palette
from liver_tf.anatomical.label_rule import KEPT, OUTCOMES, Decision
from liver_tf.atomic_files import write_text
from liver_tf.csv_text import csv_text
from liver_tf.labels import LIVER, LabelSet
from liver_tf.measures.measure_registry import measure_title
from liver_tf.records.manifest import MADE_LABELS, Manifest
from liver_tf.records.record_schema import SliceRecord
from liver_tf.report.overlays.outlines import outlines_of
from liver_tf.report.page.page_parts import (
    Note,
    Page,
    Paragraph,
    Part,
    Picture,
    Section,
    Status,
    Table,
)
from liver_tf.report.page.render_html import render_html

PAGE, TABLE = "neighbours.html", "neighbours.csv"
#: Side of a panel in pixels, and pixels of the slice around the liver.
_SIDE, _MARGIN = 320, 6

_LEGEND = (
    "Left: the annotated slice with its outlines. Middle: the neighbour. Right: the neighbour with "
    "the generated labels; a dashed white line is a predicted lesion that was not kept."
)
_WARNING = (
    "Nobody annotated these slices: a network labelled them. Inspect the outlines before training."
)


@dataclass(frozen=True)
class Place:
    """A neighbour without its pixels; ``diagnosis`` is that of its annotated slice."""

    case: str
    slice_index: int
    neighbour_of: int
    offset_mm: float
    diagnosis: str

    @classmethod
    def of(cls, neighbour: SliceRecord, annotated: SliceRecord) -> "Place":
        return cls(
            *(neighbour.case, neighbour.slice_index, annotated.slice_index),
            *(neighbour.offset_mm, annotated.diagnosis),
        )


@dataclass(frozen=True)
class Reviewed:
    """A neighbour and what became of it.

    Attributes:
      dice: Of the lesions made, if the truth is known.
      picture: PNG of ``draw_panels``; None if it is not shown.
    """

    place: Place
    decision: Decision
    dice: float | None
    picture: bytes | None

    @property
    def caption(self) -> str:
        """Place and lesions."""
        place, decision = self.place, self.decision
        lesions = f"{decision.lesions} lesion(s) kept, {decision.removed} removed"
        retyped = f", {decision.retyped} with another type" if decision.retyped else ""
        dice = "" if self.dice is None else f", Dice with the truth {self.dice:.2f}"
        return (
            f"{place.case}, {place.offset_mm:+.2f} mm from slice {place.neighbour_of} "
            f"({place.diagnosis}): {lesions}{retyped}{dice}"
        )


def write_review(folder: Path, manifest: Manifest, reviewed: Sequence[Reviewed]) -> None:
    """Write ``PAGE`` and ``TABLE`` into the folder of an extended record set."""
    result = manifest.made_by[MADE_LABELS]["result"]
    write_text(folder / TABLE, _csv(reviewed))
    write_text(folder / PAGE, render_html(_page(result, reviewed)))


def _page(result: dict, reviewed: Sequence[Reviewed]) -> Page:
    used = result["outcomes"][KEPT]
    counts = tuple((text, str(result["outcomes"][o])) for o, text in OUTCOMES.items())
    summary: list[Part] = [Table(("outcome", "neighbours"), counts)]
    if result["quality"]:
        summary += [_quality_table(result["quality"]), Note("True labels exist for phantoms only.")]
    return Page(
        "Generated labels of unlabelled neighbours",
        (
            Status(f"{used} of {len(reviewed)} neighbours are used for training.", "caution"),
            Paragraph(_WARNING),
        ),
        (
            Section("Summary", tuple(summary)),
            *(
                Section(text[0].upper() + text[1:], (Note(_LEGEND), *pictures))
                for outcome, text in OUTCOMES.items()
                if (pictures := _pictures(reviewed, outcome))
            ),
        ),
    )


def _pictures(reviewed: Sequence[Reviewed], outcome: str) -> tuple[Picture, ...]:
    return tuple(
        Picture(each.picture, each.caption)
        for each in reviewed
        if each.decision.outcome == outcome and each.picture is not None
    )


def _quality_table(quality: dict) -> Table:
    names = list(next(iter(quality.values())))
    titles = {"images": "slices", "lesion_images": "with a true lesion"}
    rows = tuple(
        (row, *("–" if f[n] is None else f"{f[n]:.3g}" for n in names))
        for row, f in quality.items()
    )
    return Table(("", *(titles.get(n) or measure_title(n) for n in names)), rows)


def _csv(reviewed: Sequence[Reviewed]) -> str:
    header = ("case", "slice", "neighbour_of", "offset_mm", "diagnosis", "outcome")
    rows: list[tuple[object, ...]] = [(*header, "lesions", "removed", "retyped", "dice")]
    for r in reviewed:
        p, d = r.place, r.decision
        place = (p.case, p.slice_index, p.neighbour_of, f"{p.offset_mm:.3f}", p.diagnosis)
        counts = (d.outcome, d.lesions, d.removed, d.retyped)
        rows.append((*place, *counts, "" if r.dice is None else f"{r.dice:.4f}"))
    return csv_text(rows)


def draw_panels(
    neighbour: SliceRecord,
    annotated: SliceRecord,
    predicted: np.ndarray,
    made: np.ndarray | None,
    label_set: LabelSet,
) -> bytes:
    """Annotated slice, neighbour, and neighbour with its labels, side by side: PNG.

    Args:
      predicted, made: uint8 [rows, columns]; ``made`` is None if the neighbour is not used.
    """
    kept = np.minimum(predicted, LIVER) if made is None else made
    corner, side = _square(np.maximum(annotated.labels, predicted) >= LIVER)
    images = [_panel(r.image, corner, side) for r in (annotated, neighbour, neighbour)]
    _outline(images[0], annotated.labels, label_set, corner, side)
    _outline(images[2], kept, label_set, corner, side)
    lost = (predicted > LIVER) & (kept <= LIVER)
    for contour in outlines_of(lost.astype(np.uint8), label_set).get(LIVER, ()):
        _draw(images[2], contour, corner, side, palette.WHITE, dashed=True)
    row = Image.new("RGB", (3 * _SIDE, _SIDE))
    for place, image in enumerate(images):
        row.paste(image, (place * _SIDE, 0))
    packed = io.BytesIO()
    row.save(packed, format="PNG")
    return packed.getvalue()


def _square(region: np.ndarray) -> tuple[tuple[int, int], int]:
    """First row and column, and side, of a square around a region; the slice without one."""
    if not region.any():
        return (0, 0), max(region.shape)
    places = np.argwhere(region)
    low, high = places.min(axis=0) - _MARGIN, places.max(axis=0) + _MARGIN + 1
    side = int((high - low).max())
    row, column = ((low + high - side) // 2).tolist()
    return (row, column), side


def _panel(hu: np.ndarray, corner: tuple[int, int], side: int) -> Image.Image:
    # Records hold HU inside the window, which is what is shown.
    low, high = float(hu.min()), max(float(hu.max()), float(hu.min()) + 1)
    grey = Image.fromarray(((hu - low) / (high - low) * 255).astype(np.uint8))
    (row, column) = corner
    cut = grey.crop((column, row, column + side, row + side))
    return cut.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC).convert("RGB")


def _outline(
    image: Image.Image, labels: np.ndarray, label_set: LabelSet, corner: tuple[int, int], side: int
) -> None:
    for label, contours in outlines_of(labels, label_set).items():
        for contour in contours:
            _draw(image, contour, corner, side, label_set.colour(label))


def _draw(
    image: Image.Image,
    contour: np.ndarray,
    corner: tuple[int, int],
    side: int,
    colour: str,
    *,
    dashed: bool = False,
) -> None:
    """Draw an outline, float [points, 2] of (row, column), as a line of two pixels."""
    scale = _SIDE / side
    points = [
        ((column - corner[1] + 0.5) * scale, (row - corner[0] + 0.5) * scale)
        for row, column in contour
    ]
    pen = ImageDraw.Draw(image)
    for number, (start, end) in enumerate(itertools.pairwise(points)):
        if not dashed or number % 2 == 0:
            pen.line((start, end), fill=colour, width=2)

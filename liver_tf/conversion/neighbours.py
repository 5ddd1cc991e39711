"""Unlabelled slices next to the annotated ones of a patient, from the column ``neighbours``.

A neighbour belongs to the nearest annotated slice of its series. Only headers are read here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.dicom_elements import numbers, read_dataset, text
from liver_tf.ct.slices_csv import SliceRow
from liver_tf.refusals import Refusal

#: Positions that differ by less are the same slice.
_SAME_MM = 0.01
#: In-plane shift of a slice that lies exactly over another, for rounded positions.
_SHIFT_MM = 0.1
_ELEMENTS = (
    *("SeriesInstanceUID", "ImagePositionPatient", "ImageOrientationPatient"),
    *("PixelSpacing", "Rows", "Columns"),
)


@dataclass(frozen=True)
class Neighbour:
    """An unlabelled slice.

    Attributes:
      row: Index of the annotated slice among the rows of the patient.
      offset_mm: Distance from that slice, positive towards the head.
    """

    path: Path
    row: int
    offset_mm: float


@dataclass(frozen=True)
class _Place:
    """Where a slice is: series, position and axes (LPS mm), and its grid."""

    series: str
    position: np.ndarray
    axes: np.ndarray
    grid: tuple[float, ...]

    @property
    def normal(self) -> np.ndarray:
        """Unit vector towards the head."""
        normal = np.cross(*self.axes)
        return normal if normal[2] > 0 else -normal

    def offset_of(self, other: "_Place") -> float | None:
        """Distance in mm along the normal; None if it does not lie over this slice."""
        moved = other.position - self.position
        along = float(moved @ self.normal)
        shifted = np.abs(moved - along * self.normal).max() > _SHIFT_MM
        turned = np.abs(other.axes - self.axes).max() > 1e-3
        resized = np.abs(np.subtract(other.grid, self.grid)).max() > 1e-3
        return None if shifted or turned or resized else along


def find_neighbours(
    rows: Sequence[SliceRow], reach_mm: float
) -> tuple[tuple[Neighbour, ...], list[Refusal]]:
    """The neighbours of a patient's annotated slices, each once, in the order of the rows.

    Args:
      rows: All rows of the patient.
      reach_mm: Largest distance of slices taken from a folder. Slices of other series in it, and
        files that are not DICOM, are ignored.

    Returns:
      Neighbours, and a refusal for each listed file that cannot be used: ``neighbour-unplaced``,
      ``neighbour-other-series``, ``neighbour-other-geometry``, ``neighbour-annotated``,
      ``neighbour-twice``, and those of reading DICOM.
    """
    if not any(row.neighbours for row in rows):
        return (), []
    annotated: dict[int, _Place] = {}
    refusals: list[Refusal] = []
    for index, row in enumerate(rows):
        try:
            annotated[index] = _place(row.image)
        except Refusal as refusal:
            if row.neighbours:
                refusals.append(refusal)
    found: dict[tuple[str, int], Neighbour] = {}
    folders: dict[Path, list[tuple[Path, _Place]]] = {}
    for index, row in enumerate(rows):
        if index not in annotated:
            continue
        listed = not (len(row.neighbours) == 1 and row.neighbours[0].is_dir())
        if listed:
            placed = _listed(row.neighbours, refusals)
        else:
            folder = row.neighbours[0]
            if folder not in folders:
                folders[folder] = _in_folder(folder)
            placed = folders[folder]
        for path, place in placed:
            try:
                neighbour = _neighbour_of(path, place, annotated, index)
                if not listed and abs(neighbour.offset_mm) > reach_mm:
                    continue
                key = place.series, round(float(place.position @ place.normal) / _SAME_MM)
                if key in found and listed:
                    raise bad_input("neighbour-twice", path, "each slice once", "a second one")
                found.setdefault(key, neighbour)
            except Refusal as refusal:
                if listed:
                    refusals.append(refusal)
    ordered = sorted(found.values(), key=lambda n: (n.row, n.offset_mm, n.path))
    return tuple(ordered), refusals


def _listed(paths: Iterable[Path], refusals: list[Refusal]) -> list[tuple[Path, _Place]]:
    placed = []
    for path in paths:
        try:
            placed.append((path, _place(path)))
        except Refusal as refusal:
            refusals.append(refusal)
    return placed


def _in_folder(folder: Path) -> list[tuple[Path, _Place]]:
    return _listed(sorted(path for path in folder.iterdir() if path.is_file()), [])


def _neighbour_of(path: Path, place: _Place, annotated: dict[int, _Place], row: int) -> Neighbour:
    """The neighbour, assigned to the nearest annotated slice of its series."""
    if place.series != annotated[row].series:
        expected = "a slice of the series of the annotated image"
        raise bad_input("neighbour-other-series", path, expected, "another series")
    offsets = {
        index: offset
        for index, other in annotated.items()
        if other.series == place.series and (offset := other.offset_of(place)) is not None
    }
    if row not in offsets:
        expected = "a slice that lies exactly above or below the annotated image"
        raise bad_input("neighbour-other-geometry", path, expected, "another place or size")
    nearest = min(offsets, key=lambda index: (abs(offsets[index]), index))
    if abs(offsets[nearest]) < _SAME_MM:
        expected = "a slice that nobody annotated"
        raise bad_input("neighbour-annotated", path, expected, "the place of an annotated one")
    return Neighbour(path, nearest, offsets[nearest])


def _place(path: Path) -> _Place:
    dataset = read_dataset(path, pixels=False, only=_ELEMENTS)
    series = text(dataset, "SeriesInstanceUID", path)
    position = numbers(dataset, "ImagePositionPatient", path, 3)
    axes = numbers(dataset, "ImageOrientationPatient", path, 6)
    spacing = numbers(dataset, "PixelSpacing", path, 2)
    rows, columns = (numbers(dataset, name, path, 1) for name in ("Rows", "Columns"))
    if not series or not (position and axes and spacing and rows and columns):
        expected = "SeriesInstanceUID, position, orientation and size of the slice"
        raise bad_input("neighbour-unplaced", path, expected, "a slice without one of them")
    grid = (*spacing, *rows, *columns)
    return _Place(series, np.array(position), np.array(axes).reshape(2, 3), grid)

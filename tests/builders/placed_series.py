"""Small DICOM series at any place and angle, with a block marked by its HU, and where it lies."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pydicom

from tests.builders.ct_files import SERIES_UID, ct_dataset

MARK_HU = 300
SPACING_MM = (2.5, 0.8, 0.7)  # slices, rows, columns as stored
SHAPE = (4, 10, 12)
STUDY_UID, FRAME_UID = "1.2.826.0.1.3680043.8.498.21", "1.2.826.0.1.3680043.8.498.22"


def turned(degrees: float, axis: int) -> np.ndarray:
    """Rotation about a body axis."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(3)
    others = [other for other in range(3) if other != axis]
    matrix[np.ix_(others, others)] = [[cosine, -sine], [sine, cosine]]
    return matrix


#: (row direction, column direction) in LPS: rows and columns of the image along any body axis of
#: the plane, either way; eight in all.
IN_PLANE = [
    (row, column)
    for row, column in itertools.product([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)], repeat=2)
    if np.dot(row, column) == 0
]


def marked_hu() -> np.ndarray:
    """int16 [slices, rows, columns] as stored, marked near one corner of some of the slices."""
    hu = np.full(SHAPE, -1000, np.int16)
    hu[:, 1:-1, 1:-1] = 40
    hu[1:3, 2:5, 2:4] = MARK_HU
    hu[1, 2, 4] = MARK_HU
    return hu


def write_placed_series(
    folder: Path, row, column, *, to_head: bool = True, rotation=None, change=None
) -> dict[str, np.ndarray]:
    """Write a series; returns stored HU [rows, columns] by SOPInstanceUID.

    Args:
      row, column: directions in LPS in which columns and rows follow each other.
      to_head: whether files, instance numbers and UIDs run to the head, or to the feet.
      rotation: turns the whole series, by default not at all.
      change: edits the data set of each slice.
    """
    rotation = np.eye(3) if rotation is None else rotation
    row, column = rotation @ np.array(row, float), rotation @ np.array(column, float)
    up = np.cross(row, column)
    up = up if up[2] > 0 else -up
    step = up * SPACING_MM[0] * (1 if to_head else -1)
    folder.mkdir(exist_ok=True)
    stored = {}
    for index, hu in enumerate(marked_hu()):
        dataset = ct_dataset(hu, index)
        dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = STUDY_UID, FRAME_UID
        dataset.PatientID, dataset.InstanceNumber = "4711", index + 1
        dataset.ImageOrientationPatient = [round(float(part), 9) for part in (*row, *column)]
        position = np.array([-20.0, 30.0, 500.0]) + index * step
        dataset.ImagePositionPatient = [round(float(part), 6) for part in position]
        dataset.PixelSpacing = list(SPACING_MM[1:])
        if change is not None:
            change(dataset)
        dataset.save_as(folder / f"{index}.dcm", enforce_file_format=True)
        stored[f"{SERIES_UID}.{index + 1}"] = hu
    return stored


def places_of_marks(folder: Path) -> np.ndarray:
    """LPS mm of every marked pixel of a series, [pixels, 3], sorted (PS3.3 C.7.6.2.1.1)."""
    found = []
    for path in sorted(folder.iterdir()):
        dataset = pydicom.dcmread(path)
        hu = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        found.append(places_in_plane(dataset, dataset, dataset, np.argwhere(hu == MARK_HU)))
    return sorted_places(np.concatenate(found))


def places_in_plane(position, orientation, measures, pixels: np.ndarray) -> np.ndarray:
    """LPS mm of pixels (row, column) of a plane whose elements stand in the given data sets."""
    cosines = np.array(orientation.ImageOrientationPatient, float)
    between_rows, between_columns = map(float, measures.PixelSpacing)
    steps = np.stack([cosines[3:] * between_rows, cosines[:3] * between_columns])
    return np.array(position.ImagePositionPatient, float) + pixels @ steps


def sorted_places(places: np.ndarray) -> np.ndarray:
    """Points in an order that does not hang on rounding."""
    return places[np.lexsort(np.round(places, 2).T)]

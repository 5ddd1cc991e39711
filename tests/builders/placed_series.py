"""Small DICOM series in any orientation, with a marked block of pixels and its position."""

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


def rotation_matrix(degrees: float, axis: int) -> np.ndarray:
    """Rotation by an angle about a body axis."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(3)
    others = [other for other in range(3) if other != axis]
    matrix[np.ix_(others, others)] = [[cosine, -sine], [sine, cosine]]
    return matrix


#: The eight pairs of row and column direction in LPS along the body axes of the axial plane.
IN_PLANE = [
    (row, column)
    for row, column in itertools.product([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)], repeat=2)
    if np.dot(row, column) == 0
]


def marked_hu() -> np.ndarray:
    """int16 [slices, rows, columns] as stored; a block near one corner of some slices is marked."""
    hu = np.full(SHAPE, -1000, np.int16)
    hu[:, 1:-1, 1:-1] = 40
    hu[1:3, 2:5, 2:4] = MARK_HU
    hu[1, 2, 4] = MARK_HU
    return hu


def write_placed_series(
    folder: Path, row, column, *, to_head: bool = True, rotation=None, change=None
) -> dict[str, np.ndarray]:
    """Write a series; return the stored HU [rows, columns] by SOPInstanceUID.

    Args:
      row, column: Directions of the rows and columns in LPS (the two parts of
        ImageOrientationPatient).
      to_head: Whether files, instance numbers and UIDs ascend towards the head or the feet.
      rotation: Rotates the entire series; none by default.
      change: Edits the data set of each slice.
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


def marked_positions(folder: Path) -> np.ndarray:
    """Sorted LPS positions of all marked pixels of a series, mm [pixels, 3] (PS3.3 C.7.6.2.1.1)."""
    positions = []
    for path in sorted(folder.iterdir()):
        dataset = pydicom.dcmread(path)
        hu = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        positions.append(pixel_positions(dataset, dataset, dataset, np.argwhere(hu == MARK_HU)))
    return sort_positions(np.concatenate(positions))


def pixel_positions(position, orientation, measures, pixels: np.ndarray) -> np.ndarray:
    """LPS positions in mm of pixels (row, column) of a plane described by the given data sets."""
    cosines = np.array(orientation.ImageOrientationPatient, float)
    between_rows, between_columns = map(float, measures.PixelSpacing)
    steps = np.stack([cosines[3:] * between_rows, cosines[:3] * between_columns])
    return np.array(position.ImagePositionPatient, float) + pixels @ steps


def sort_positions(positions: np.ndarray) -> np.ndarray:
    """Sort points so that the order does not depend on rounding."""
    return positions[np.lexsort(np.round(positions, 2).T)]

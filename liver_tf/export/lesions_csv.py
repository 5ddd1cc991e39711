"""Lesions as rows of plain values (``lesions.csv``), with their centroids in the scan's files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from liver_tf.atomic_files import atomic_write
from liver_tf.csv_text import csv_text
from liver_tf.ct.orientation import index_in_file
from liver_tf.ct.scan import Scan, has_geometry
from liver_tf.inference.lesion_components import LesionComponents
from liver_tf.inference.lesion_properties import DetectedLesion

Scalar = str | int | float | bool | None

#: The last column, about the lesion's type; empty unless types were learned from phantoms.
TYPE_NOTE = "type_note"
#: A column after it: the Tracking UID in DICOM SEG and SR; only if they are written.
TRACKING = "tracking_uid"

#: Columns of fields that have the same parts in every lesion.
_PAIRS = {"slices": ("first_slice", "last_slice")}
_COLUMNS = {
    **_PAIRS,
    "centroid_voxel": tuple(f"centroid_voxel.{axis}" for axis in "ijk"),
    "centroid_mm": tuple(f"centroid_mm.{axis}" for axis in "xyz"),
}


@dataclass(frozen=True)
class Centroid:
    """The mean of the voxel centres of a lesion; it may lie outside a curved lesion.

    Attributes:
      centroid_voxel: ``i``, ``j``, ``k``, index into the arrays of ``labels.nii.gz`` and
        ``lesion_ids.nii.gz``, from 0. For a NIfTI scan these are the axes of its own array; for
        DICOM they are column, row (as stored in the slices) and slice (from the feet).
      centroid_mm: ``x``, ``y``, ``z`` in patient coordinates; all None without geometry.
      centroid_space: Directions of x, y and z: ``RAS+`` (NIfTI) or ``LPS+`` (DICOM).
    """

    centroid_voxel: dict[str, float]
    centroid_mm: dict[str, float | None]
    centroid_space: str


def write_lesions_csv(
    path: Path | str, rows: Sequence[Mapping[str, Scalar]], scan: str, status: str
) -> None:
    """Write one line per lesion (UTF-8, RFC 4180), atomically; unknown values are empty.

    A scan without lesions has one line with its status only. Otherwise it would be missing from
    joined tables, and a scan without liver could be taken for a healthy one.

    Args:
      scan: Identifies the scan in joined tables; never a file name or a patient's name.
      status: ``ScanFindings.status``.
    """
    columns = columns_of(rows) if rows else _columns_of_fields()
    table: list[list[Scalar]] = [["scan", "status", *columns]]
    table += [[scan, status, *(row.get(name) for name in columns)] for row in rows or [{}]]
    with atomic_write(path) as temporary:
        temporary.write_bytes(csv_text(table, "\r\n").encode())


def lesion_rows(
    lesions: Sequence[DetectedLesion], centroids: Sequence[Centroid]
) -> list[dict[str, Scalar]]:
    """One row per lesion, centroid included."""
    pairs = zip(lesions, centroids, strict=True)
    return [row_of(lesion) | row_of(centroid) for lesion, centroid in pairs]


def row_of(lesion: DetectedLesion | Centroid) -> dict[str, Scalar]:
    """The values by column; ``a.b`` is entry ``b`` of field ``a``."""
    return dict(_flat("", plain(asdict(lesion))))


def row_of_json(lesion: Mapping[str, Any]) -> dict[str, Scalar]:
    """The row of a lesion as ``lesions.json`` states it, centroid included."""
    return dict(_flat("", lesion))


def columns_of(rows: Sequence[Mapping[str, Scalar]]) -> list[str]:
    """Every column of the rows, in order of first appearance."""
    return list(dict.fromkeys(column for row in rows for column in row))


def plain(value: Any) -> Any:
    """The value with built-in numbers, lists and dictionaries, for JSON."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value.item() if hasattr(value, "item") else value


def centroids_of(components: LesionComponents, scan: Scan) -> list[Centroid]:
    """The centroid of every lesion, rounded to 0.01 voxels and 0.01 mm."""
    points = components.centroids()
    in_file = index_in_file(points, scan.source)
    in_mm = points @ scan.affine[:3, :3].T + scan.affine[:3, 3]
    from_dicom = scan.source.kind != "nifti"
    if from_dicom:
        in_file, in_mm = in_file[:, ::-1], in_mm * [-1.0, -1.0, 1.0]
    known = has_geometry(scan)
    return [
        Centroid(
            dict(zip("ijk", _rounded(voxel), strict=True)),
            dict(zip("xyz", _rounded(mm) if known else [None] * 3, strict=True)),
            "LPS+" if from_dicom else "RAS+",
        )
        for voxel, mm in zip(in_file, in_mm, strict=True)
    ]


def _rounded(values: np.ndarray) -> list[float]:
    return (np.round(values, 2) + 0.0).tolist()  # no -0.0


def _columns_of_fields() -> list[str]:
    names = [field.name for each in (DetectedLesion, Centroid) for field in fields(each)]
    return [*(column for name in names for column in _COLUMNS.get(name, (name,))), TYPE_NOTE]


def _flat(name: str, value: Any) -> Iterable[tuple[str, Scalar]]:
    if isinstance(value, dict):
        parts = [(f"{name}.{key}" if name else key, part) for key, part in value.items()]
    elif isinstance(value, list):
        names = _PAIRS.get(name) or [f"{name}.{index}" for index in range(len(value))]
        parts = list(zip(names, value, strict=True))
    else:
        return [(name, value)]
    return [leaf for key, part in parts for leaf in _flat(key, part)]

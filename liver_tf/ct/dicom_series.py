"""A folder of axial DICOM slices as one volume, sorted by where the slices lie.

File names and instance numbers tell nothing reliable about order; positions do (DICOM PS3.3
C.7.6.2). What cannot be stacked without a guess is refused.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from liver_tf.ct.dicom_file import has_dicom_prefix, read_dataset, text
from liver_tf.ct.dicom_geometry import (
    axial_axes,
    directions_of,
    oblique_caution,
    stored_affine_of,
    upward_normal,
)
from liver_tf.ct.dicom_header import CT_STORAGES, SliceHeader, check_header, is_localizer
from liver_tf.ct.dicom_pixels import refuse_implausible_slices, stored_hu
from liver_tf.ct.input_file import unreadable
from liver_tf.ct.orientation import canonical_affine, spacing_of, to_canonical
from liver_tf.ct.scan import Scan, SourceGrid
from liver_tf.refusals import Caution, Refusal

#: Positions are stored with few decimals, so gaps may differ a little: by this share of the gap,
#: and at least by this many mm.
_GAP_TOLERANCE = 0.05
_GAP_TOLERANCE_MM = 0.06
#: Drift of the slices across their normal, per mm along it (0.5 degrees), and at least in mm.
_DRIFT_PER_MM = 0.0087
_DRIFT_MM = 0.1
_SAME_DIRECTION = 1e-3


def read_dicom_series(folder: Path | str) -> Scan:
    """All slices of the one CT series in a folder, [slices, rows, columns] in canonical order.

    Subfolders are not entered. Other objects (segmentations, reports, localizers) and single stray
    slices of another series are left out with a caution; the scan's ``source.files`` are the slices
    used, from the feet to the head.

    Cautions: those of the slices, ``series-stray-slice``, ``series-other-object``,
    ``series-localizer``, ``series-not-dicom``.

    Raises:
      Refusal: as :func:`liver_tf.ct.dicom_slice.read_dicom_slice` for any slice of the series,
        and ``series-folder``, ``series-empty``, ``series-mixed``, ``series-no-geometry``,
        ``series-duplicate-position``, ``series-spacing``, ``series-tilted``.
    """
    folder = Path(folder)
    headers, left_out = _read_headers(folder)
    headers, strays = _one_series(headers, folder)
    headers, step = _sorted_by_position(headers, folder)
    hu, padding_seen = _stack(headers)
    refuse_implausible_slices(hu, padding_seen, folder)
    first = headers[0]
    grid = SourceGrid(
        "dicom-series",
        folder,
        hu.shape,
        *axial_axes(first, folder),
        files=tuple(header.path for header in headers),
        series_uid=first.series_uid,
        instance_uids=tuple(header.instance_uid for header in headers),
    )
    affine = canonical_affine(stored_affine_of(first, slice_step=step), grid)
    return Scan(
        hu=to_canonical(hu, grid),
        affine=affine,
        spacing_mm=spacing_of(affine),
        source=grid,
        cautions=_distinct(
            caution for header in headers for caution in header.cautions + oblique_caution(header)
        )
        + strays
        + left_out,
        details=first.details,
    )


def _read_headers(folder: Path) -> tuple[list[SliceHeader], tuple[Caution, ...]]:
    if not folder.is_dir():
        raise _refused(folder, "series-folder", "a folder of DICOM slices", "no such folder")
    headers, not_dicom, others, localizers = [], 0, 0, 0
    try:
        paths = sorted(
            path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")
        )
    except OSError:
        raise unreadable(folder) from None
    for path in paths:
        # A file that calls itself DICOM and is not one is refused; a note beside the slices is not.
        if not has_dicom_prefix(path) and path.suffix.lower() not in (".dcm", ".dicom", ".ima"):
            not_dicom += 1
            continue
        dataset = read_dataset(path, pixels=False)
        if text(dataset, "SOPClassUID", path) not in CT_STORAGES:
            others += 1
        elif is_localizer(dataset, path):
            localizers += 1
        else:
            headers.append(check_header(dataset, path))
    if not headers:
        raise _refused(folder, "series-empty", "CT slices as DICOM files", "none")
    counted = (
        ("series-not-dicom", not_dicom, "not DICOM and left out"),
        (
            "series-other-object",
            others,
            "no CT images (segmentations, reports, screenshots) and left out",
        ),
        ("series-localizer", localizers, "localizers and left out"),
    )
    return headers, tuple(
        Caution(code, f"{count} of the files in the folder are {what}")
        for code, count, what in counted
        if count
    )


def _one_series(
    headers: list[SliceHeader], folder: Path
) -> tuple[list[SliceHeader], tuple[Caution, ...]]:
    """The one group of slices that belong together; single others are strays."""
    groups: dict[tuple, list[SliceHeader]] = defaultdict(list)
    for header in headers:
        directions = np.concatenate(directions_of(header))
        key = (
            header.series_uid,
            header.shape,
            header.pixel_spacing_mm,
            tuple(np.round(directions / _SAME_DIRECTION).astype(int).tolist()),
        )
        groups[key].append(header)
    ordered = sorted(groups.values(), key=len, reverse=True)
    main, rest = ordered[0], ordered[1:]
    if rest and (len(main) < 3 or any(len(group) > 1 for group in rest)):
        raise _refused(
            folder,
            "series-mixed",
            "the slices of one series, all of one size, spacing and orientation",
            f"{len(ordered)} groups, the two largest of {len(main)} and {len(rest[0])} slices",
        )
    if not rest:
        return main, ()
    note = f"{len(rest)} stray slice(s) of another series, size or orientation left out"
    return main, (Caution("series-stray-slice", note),)


def _sorted_by_position(
    headers: list[SliceHeader], folder: Path
) -> tuple[list[SliceHeader], np.ndarray]:
    """Slices from the feet to the head, and the step in mm (LPS+) between them."""
    for header in headers:
        if header.position is None or header.row_direction is None or not header.pixel_spacing_mm:
            raise _refused(
                folder,
                "series-no-geometry",
                "position, orientation and pixel spacing in every slice",
                "a slice that leaves one of them out",
            )
    normal = upward_normal(headers[0])
    headers = sorted(headers, key=lambda header: float(header.position @ normal))
    positions = np.stack([header.position for header in headers])
    along = positions @ normal
    gaps = np.diff(along)
    if len(headers) == 1:
        thickness = headers[0].thickness_mm
        if thickness is None:
            raise _refused(
                folder, "series-no-geometry", "a slice thickness if there is one slice only", "none"
            )
        return headers, normal * thickness
    if (gaps < 0.01).any():
        raise _refused(
            folder,
            "series-duplicate-position",
            "one slice at each position",
            f"{int((gaps < 0.01).sum())} position(s) with several",
        )
    usual = float(np.median(gaps))
    if np.abs(gaps - usual).max() > max(_GAP_TOLERANCE * usual, _GAP_TOLERANCE_MM):
        raise _refused(
            folder,
            "series-spacing",
            "slices at equal distances",
            f"distances from {gaps.min():.2f} to {gaps.max():.2f} mm (a slice missing?)",
        )
    drift = positions - positions[0] - np.outer(along - along[0], normal)
    allowed = np.maximum(_DRIFT_MM, _DRIFT_PER_MM * (along - along[0]))
    if (np.linalg.norm(drift, axis=1) > allowed).any():
        raise _refused(
            folder,
            "series-tilted",
            "slices stacked along their normal",
            "slices that drift sideways (a tilted gantry?)",
        )
    return headers, (positions[-1] - positions[0]) / (len(headers) - 1)


def _stack(headers: list[SliceHeader]) -> tuple[np.ndarray, np.ndarray]:
    """HU and padding [slices, rows, columns]; int16 unless a slice needs float32."""
    shape = (len(headers), *headers[0].shape)
    hu = np.empty(shape, np.int16)
    padding = np.empty(shape, bool)
    for index, header in enumerate(headers):
        values, padding[index] = stored_hu(read_dataset(header.path), header)
        if values.dtype != hu.dtype and hu.dtype == np.int16:
            hu = hu.astype(np.float32)
        hu[index] = values
    return hu, padding


def _distinct(cautions) -> tuple[Caution, ...]:
    return tuple(dict.fromkeys(cautions))


def _refused(folder: Path, code: str, expected: str, came: str) -> Refusal:
    return Refusal(
        code,
        folder,
        expected=expected,
        came=came,
        remedy="Put the slices of one axial series, and nothing else, into the folder; single "
        "slices can be used one by one.",
    )

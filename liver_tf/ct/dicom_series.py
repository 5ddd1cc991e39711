"""A folder of axial DICOM slices as one volume."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from liver_tf.ct.dicom_file import has_dicom_prefix, read_dataset, text
from liver_tf.ct.dicom_header import CT_STORAGES, SliceHeader, check_header, is_localizer
from liver_tf.ct.dicom_stack import stack_slices
from liver_tf.ct.input_file import unreadable
from liver_tf.ct.scan import Scan
from liver_tf.refusals import Caution, Refusal

#: A file that calls itself DICOM and is not one is refused; a note beside the slices is not.
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")

#: What the files are that are left out, by the code of the caution that says so.
LEFT_OUT = {
    "series-not-dicom": "not DICOM and left out",
    "series-other-object": "no CT images (segmentations, reports, screenshots) and left out",
    "series-localizer": "localizers and left out",
}


def read_dicom_series(folder: Path | str) -> Scan:
    """All slices of the one CT series in a folder, [slices, rows, columns] in canonical order.

    Subfolders are not entered. Other objects (segmentations, reports, localizers) and single stray
    slices of another series are left out with a caution; the scan's ``source.files`` are the slices
    used, from the feet to the head. The whole volume is float32 where a single slice needs it.

    Cautions: those of the slices, ``series-stray-slice``, ``series-other-object``,
    ``series-localizer``, ``series-not-dicom``.

    Raises:
      Refusal: as :func:`liver_tf.ct.dicom_slice.read_dicom_slice` for any slice of the series, as
        :func:`liver_tf.ct.dicom_stack.stack_slices`, and ``series-folder``, ``series-empty``.
    """
    folder = Path(folder)
    headers, left_out = _read_headers(folder)
    stack = stack_slices(headers, folder)
    hu = None
    for index, values in enumerate(stack.slices()):
        if hu is None:
            hu = np.empty((len(stack.headers), *values.shape), values.dtype)
        elif values.dtype != hu.dtype and hu.dtype == np.int16:
            hu = hu.astype(np.float32)
        hu[index] = values
    return Scan(
        hu=hu,
        affine=stack.affine,
        spacing_mm=stack.spacing_mm,
        source=stack.source,
        cautions=stack.cautions + left_out,
        details=stack.details,
    )


def _read_headers(folder: Path) -> tuple[list[SliceHeader], tuple[Caution, ...]]:
    if not folder.is_dir():
        raise _refused(folder, "series-folder", "a folder of DICOM slices", "no such folder")
    headers, left_out = [], dict.fromkeys(LEFT_OUT, 0)
    try:
        paths = sorted(
            path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")
        )
    except OSError:
        raise unreadable(folder) from None
    for path in paths:
        if not has_dicom_prefix(path) and path.suffix.lower() not in DICOM_SUFFIXES:
            left_out["series-not-dicom"] += 1
            continue
        dataset = read_dataset(path, pixels=False)
        if text(dataset, "SOPClassUID", path) not in CT_STORAGES:
            left_out["series-other-object"] += 1
        elif is_localizer(dataset, path):
            left_out["series-localizer"] += 1
        else:
            headers.append(check_header(dataset, path))
    if not headers:
        raise _refused(folder, "series-empty", "CT slices as DICOM files", "none")
    return headers, left_out_cautions(left_out)


def left_out_cautions(counts: dict[str, int]) -> tuple[Caution, ...]:
    """A caution for each code of :data:`LEFT_OUT` of which there are files in a folder."""
    return tuple(
        Caution(code, f"{counts[code]} of the files in the folder are {what}")
        for code, what in LEFT_OUT.items()
        if counts.get(code)
    )


def _refused(folder: Path, code: str, expected: str, came: str) -> Refusal:
    return Refusal(
        code,
        folder,
        expected=expected,
        came=came,
        remedy="Put the slices of one axial series, and nothing else, into the folder; single "
        "slices can be used one by one.",
    )

"""A folder of axial DICOM slices as one volume."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset

from liver_tf.ct.dicom_file import has_dicom_prefix, read_dataset, text
from liver_tf.ct.dicom_slice_header import CT_STORAGES, SliceHeader, check_header, is_localizer
from liver_tf.ct.dicom_slice_order import stack_slices
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

    Subfolders are entered only where the folder itself holds no CT slice; all slices below it are
    then taken together, as an export may spread a series over folders. Other objects
    (segmentations, reports, localizers) and single stray slices of another series are left out
    with a caution; the scan's ``source.files`` are the slices used, from the feet to the head. The
    whole volume is float32 where a single slice needs it.

    Cautions: those of the slices, ``series-stray-slice``, ``series-other-object``,
    ``series-localizer``, ``series-not-dicom``, ``series-below``.

    Raises:
      Refusal: as :func:`liver_tf.ct.dicom_slice.read_dicom_slice` for any slice of the series, as
        :func:`liver_tf.ct.dicom_slice_order.stack_slices`, and ``series-folder``, ``series-empty``.
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


def folders_with_slices(folder: Path | str) -> list[Path]:
    """The folder and those below it that hold CT slices, in order; for whoever named the folder.

    What cannot be read is passed over. Hidden files and links to folders are not looked at.
    """
    found = []
    for place in (Path(folder), *_folders_below(Path(folder))):
        with contextlib.suppress(Refusal):
            if any(_kind_of(path)[0] is None for path in _files_in(place)):
                found.append(place)
    return found


def _read_headers(folder: Path) -> tuple[list[SliceHeader], tuple[Caution, ...]]:
    if not folder.is_dir():
        raise _refused(folder, "series-folder", "a folder of DICOM slices", "no such folder")
    left_out = dict.fromkeys(LEFT_OUT, 0)
    headers = _headers_in(folder, left_out)
    if headers:
        return headers, left_out_cautions(left_out)
    for below in _folders_below(folder):
        headers += _headers_in(below, left_out)
    if not headers:
        found = "none, neither in it nor in the folders below it"
        raise _refused(folder, "series-empty", "CT slices as DICOM files", found)
    note = "the folder itself holds no CT slice: those of the folders below it are used"
    return headers, (Caution("series-below", note), *left_out_cautions(left_out))


def _headers_in(folder: Path, left_out: dict[str, int]) -> list[SliceHeader]:
    """Of the CT slices in a folder; adds to the counts of other files, by :data:`LEFT_OUT`."""
    headers = []
    for path in _files_in(folder):
        other, dataset = _kind_of(path)
        if other is None:
            headers.append(check_header(dataset, path))
        else:
            left_out[other] += 1
    return headers


def _kind_of(path: Path) -> tuple[str | None, FileDataset | None]:
    """None and the header of a CT slice; else a code of :data:`LEFT_OUT`."""
    if not has_dicom_prefix(path) and path.suffix.lower() not in DICOM_SUFFIXES:
        return "series-not-dicom", None
    dataset = read_dataset(path, pixels=False)
    if text(dataset, "SOPClassUID", path) not in CT_STORAGES:
        return "series-other-object", None
    if is_localizer(dataset, path):
        return "series-localizer", None
    return None, dataset


def _files_in(folder: Path) -> list[Path]:
    try:
        return sorted(
            path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")
        )
    except OSError:
        raise unreadable(folder) from None


def _folders_below(folder: Path) -> Iterator[Path]:
    """All of them in order, as :mod:`liver_tf.ct.dicom_series_search` goes through them."""

    def cannot_enter(error: OSError) -> None:
        raise unreadable(Path(error.filename or folder)) from None

    for parent, subfolders, _ in os.walk(folder, onerror=cannot_enter):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        if Path(parent) != folder:
            yield Path(parent)


def left_out_cautions(counts: dict[str, int]) -> tuple[Caution, ...]:
    """A caution for each code of :data:`LEFT_OUT` of which there are files in a folder."""
    return tuple(
        Caution(code, f"{counts[code]} of the files in the folder are {what}")
        for code, what in LEFT_OUT.items()
        if counts.get(code)
    )


def _refused(folder: Path, code: str, expected: str, found: str) -> Refusal:
    return Refusal(
        code,
        folder,
        expected=expected,
        found=found,
        remedy="Put the slices of one axial series, and nothing else, into the folder; single "
        "slices can be used one by one.",
    )

"""Reading a folder of axial DICOM slices as a volume."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset

from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.dicom_elements import has_dicom_prefix, read_dataset, text
from liver_tf.ct.dicom_slice_header import CT_STORAGES, SliceHeader, check_header, is_localizer
from liver_tf.ct.dicom_slice_order import stack_slices
from liver_tf.ct.input_file import files_below
from liver_tf.ct.scan import Scan
from liver_tf.refusals import Caution, Refusal

#: A file with one of these suffixes that is not DICOM is refused; other files are excluded.
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")

#: Files that are excluded, by the code of the caution.
EXCLUDED = {
    "series-not-dicom": "file(s) in the folder that are not DICOM",
    "series-other-object": "file(s) that are not CT images (segmentations, reports, screenshots)",
    "series-localizer": "localizer(s)",
}


def read_dicom_series(folder: Path | str) -> Scan:
    """Read the CT series in a folder, [slices, rows, columns] in canonical orientation.

    Subfolders are searched only if the folder itself holds no CT slice; all slices below it then
    belong to the series, since an export may spread a series over folders. Other objects
    (segmentations, reports, localizers) and single stray slices of another series are excluded
    with a caution. ``source.files`` of the scan are the slices used, from feet to head. The whole
    volume is float32 if one of its slices is.

    Cautions: those of the slices, ``series-stray-slice``, ``series-other-object``,
    ``series-localizer``, ``series-not-dicom``, ``series-below``.

    Raises:
      Refusal: ``file-…``, ``dicom-…``, ``hu-…`` and ``series-…`` of ``docs/bad_input.md``.
    """
    folder = Path(folder)
    headers, excluded = _read_headers(folder)
    stack = stack_slices(headers, folder)
    slices = stack.slices()
    first = next(slices)
    hu = np.empty((len(stack.headers), *first.shape), first.dtype)
    hu[0] = first
    for index, values in enumerate(slices, 1):
        if values.dtype != hu.dtype and hu.dtype == np.int16:
            hu = hu.astype(np.float32)
        hu[index] = values
    return Scan(
        hu=hu,
        affine=stack.affine,
        spacing_mm=stack.spacing_mm,
        source=stack.source,
        cautions=stack.cautions + excluded,
        details=stack.details,
    )


def folders_with_slices(folder: Path | str) -> list[Path]:
    """The folder and its subfolders that hold CT slices, in order.

    Unreadable files and folders, hidden files and links to folders are skipped.
    """
    folders = []
    for place, paths in _files_by_folder(Path(folder), []):
        with contextlib.suppress(Refusal):
            if any(isinstance(_ct_header(path), FileDataset) for path in paths):
                folders.append(place)
    return folders


def excluded_cautions(counts: Mapping[str, int]) -> tuple[Caution, ...]:
    """A caution for each code of :data:`EXCLUDED` with files."""
    return tuple(
        Caution(code, f"excluded {counts[code]} {files}")
        for code, files in EXCLUDED.items()
        if counts.get(code)
    )


def _read_headers(folder: Path) -> tuple[list[SliceHeader], tuple[Caution, ...]]:
    if not folder.is_dir():
        raise bad_input("series-folder", folder, "a folder of DICOM slices", "no such folder")
    excluded = dict.fromkeys(EXCLUDED, 0)
    headers: list[SliceHeader] = []
    refusals: list[Refusal] = []
    for place, paths in _files_by_folder(folder, refusals):
        if refusals:
            break
        headers += _headers_of(paths, excluded)
        if headers and place == folder:
            return headers, excluded_cautions(excluded)
    if refusals:
        raise refusals[0]
    if not headers:
        expected = "CT slices as DICOM files"
        raise bad_input("series-empty", folder, expected, "none in the folder or its subfolders")
    note = "the folder itself holds no CT slice: the slices of its subfolders are used"
    return headers, (Caution("series-below", note), *excluded_cautions(excluded))


def _headers_of(paths: Iterable[Path], excluded: dict[str, int]) -> list[SliceHeader]:
    """Headers of the CT slices; counts other files in ``excluded``."""
    headers = []
    for path in paths:
        dataset = _ct_header(path)
        if isinstance(dataset, str):
            excluded[dataset] += 1
        else:
            headers.append(check_header(dataset, path))
    return headers


def _ct_header(path: Path) -> FileDataset | str:
    """The data set of a CT slice without its pixels; for other files a code of ``EXCLUDED``."""
    if not has_dicom_prefix(path) and path.suffix.lower() not in DICOM_SUFFIXES:
        return "series-not-dicom"
    dataset = read_dataset(path, pixels=False)
    if text(dataset, "SOPClassUID", path) not in CT_STORAGES:
        return "series-other-object"
    return "series-localizer" if is_localizer(dataset, path) else dataset


def _files_by_folder(
    folder: Path, refusals: list[Refusal]
) -> Iterator[tuple[Path, Iterator[Path]]]:
    """The folder, then its subfolders in order, each with its files (see ``files_below``)."""
    files = (path for path in files_below(folder, refusals) if path.is_file())
    return itertools.groupby(files, key=lambda path: path.parent)

"""Reading a folder of axial DICOM slices as a volume."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.dicom_file_kinds import (
    NOT_DICOM,
    OTHER_OBJECT,
    SEGMENTATION,
    SLICE,
    damaged_caution,
    damaged_slices,
    excluded_cautions,
    is_damage,
    kind_of,
    refuse_damaged_pixels,
)
from liver_tf.ct.dicom_slice_header import SliceHeader, check_header
from liver_tf.ct.dicom_slice_order import stack_slices
from liver_tf.ct.input_file import files_below
from liver_tf.ct.scan import Scan
from liver_tf.refusals import Caution, Refusal


def read_dicom_series(folder: Path | str, *, allow_damaged: bool = False) -> Scan:
    """Read the CT series in a folder, [slices, rows, columns] in canonical orientation.

    Subfolders are searched only if the folder itself holds no CT slice; all slices below it then
    belong to the series, since an export may spread a series over folders. Other objects
    (segmentations, reports, localizers) and single stray slices of another series are excluded
    with a caution. ``source.files`` of the scan are the slices used, from feet to head. The whole
    volume is float32 if one of its slices is.

    Args:
      folder: Of the series.
      allow_damaged: Whether files that should be slices and cannot be read are left out.

    Cautions: those of ``stack_slices``, ``series-other-object``, ``series-localizer``,
    ``series-not-dicom``, ``series-below``, ``series-damaged``.

    Raises:
      Refusal: ``file-…``, ``dicom-…``, ``hu-…`` and ``series-…`` of ``docs/bad_input.md``.
    """
    folder = Path(folder)
    headers, excluded = _read_headers(folder, allow_damaged)
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
            if any(kind_of(path)[0] == SLICE for path in paths):
                folders.append(place)
    return folders


def _read_headers(
    folder: Path, allow_damaged: bool
) -> tuple[list[SliceHeader], tuple[Caution, ...]]:
    if not folder.is_dir():
        raise bad_input("series-folder", folder, "a folder of DICOM slices", "no such folder")
    excluded: Counter[str] = Counter()
    headers: list[SliceHeader] = []
    refusals: list[Refusal] = []
    damaged: list[Refusal] = []
    note = "the folder itself holds no CT slice: the slices of its subfolders are used"
    below: tuple[Caution, ...] = (Caution("series-below", note),)
    for place, paths in _files_by_folder(folder, refusals):
        if refusals:
            break
        headers += _headers_of(paths, excluded, damaged, allow_damaged)
        if headers and place == folder:
            below = ()
            break
    if refusals:
        raise refusals[0]
    if damaged and not (allow_damaged and headers):
        raise damaged[0]
    if not headers:
        expected = "CT slices as DICOM files"
        raise bad_input("series-empty", folder, expected, "none in the folder or its subfolders")
    return headers, below + damaged_caution(len(damaged)) + excluded_cautions(excluded)


def _headers_of(
    paths: Iterable[Path], excluded: Counter[str], damaged: list[Refusal], check_pixels: bool
) -> list[SliceHeader]:
    """Headers of the CT slices; counts other files in ``excluded``."""
    headers, not_dicom = [], []
    for path in paths:
        try:
            kind, dataset = kind_of(path)
            if kind == SLICE and check_pixels:
                refuse_damaged_pixels(path)
        except Refusal as refusal:
            if not is_damage(refusal):
                raise
            damaged.append(refusal)
            continue
        if kind == SLICE and dataset is not None:
            headers.append(check_header(dataset, path))
        elif kind == NOT_DICOM:
            not_dicom.append(path)
        else:
            excluded[OTHER_OBJECT if kind == SEGMENTATION else kind] += 1
    refusals, others = damaged_slices(not_dicom, [header.path for header in headers])
    damaged += refusals
    excluded[NOT_DICOM] += len(others)
    return headers


def _files_by_folder(
    folder: Path, refusals: list[Refusal]
) -> Iterator[tuple[Path, Iterator[Path]]]:
    """The folder, then its subfolders in order, each with its files (see ``files_below``)."""
    return itertools.groupby(files_below(folder, refusals), key=lambda path: path.parent)

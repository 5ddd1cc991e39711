"""What each file of a folder is: a CT slice, another object, or a slice that cannot be read.

Every command that searches folders for slices decides by these functions.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydicom.dataset import FileDataset
from pydicom.uid import MediaStorageDirectoryStorage, SegmentationStorage

from liver_tf.counted import counted
from liver_tf.ct.dicom_decoding import decode_pixels
from liver_tf.ct.dicom_elements import (
    broken_file,
    has_dicom_prefix,
    no_dicom_prefix,
    read_dataset,
    text,
)
from liver_tf.ct.dicom_slice_header import CT_STORAGES, is_localizer
from liver_tf.ct.input_file import require_file
from liver_tf.refusals import Caution, Refusal

#: A file with one of these suffixes that is not DICOM is damaged.
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")

SLICE, SEGMENTATION = "slice", "segmentation"
NOT_DICOM, OTHER_OBJECT, LOCALIZER = "series-not-dicom", "series-other-object", "series-localizer"

#: Files that are excluded, by the code of the caution.
EXCLUDED = {
    NOT_DICOM: ("file", " in the folder without DICOM content"),
    OTHER_OBJECT: ("file", " other than CT images (segmentations, reports, screenshots)"),
    LOCALIZER: ("localizer", ""),
}

#: Refusals of files that cannot be read; all others concern the contents of a readable file.
_DAMAGE = frozenset(
    (
        *("file-missing", "file-unreadable", "dicom-no-prefix", "dicom-unreadable"),
        *("dicom-no-pixels", "dicom-truncated", "dicom-pixels"),
    )
)


def kind_of(path: Path, only: Sequence[str] | None = None) -> tuple[str, FileDataset | None]:
    """``SLICE``, ``SEGMENTATION`` or a key of ``EXCLUDED``, and the elements that were read.

    Args:
      only: Keywords of the elements to read; by default all but the pixels.

    Raises:
      Refusal: A DICOM file that cannot be read, or that should be one by its suffix.
    """
    named = path.suffix.lower() in DICOM_SUFFIXES
    if not named and not (path.is_file() and has_dicom_prefix(path)):
        return NOT_DICOM, None
    dataset = read_dataset(path, pixels=False, only=only)
    storage = text(dataset, "SOPClassUID", path)
    if not storage and not _is_directory(dataset, path):
        raise broken_file(path)  # truncated before the SOPClassUID
    if storage == SegmentationStorage:
        return SEGMENTATION, dataset
    if storage not in CT_STORAGES:
        return OTHER_OBJECT, dataset
    return (LOCALIZER if is_localizer(dataset, path) else SLICE), dataset


def damaged_slices(
    not_dicom: Iterable[Path], slices: Iterable[Path]
) -> tuple[list[Refusal], list[Path]]:
    """Refusals of files that are not DICOM but named like slices beside them, and the other files.

    Dangling links count as files.
    """
    patterns = {(path.parent, _pattern(path)) for path in slices}
    refusals, others = [], []
    for path in not_dicom:
        if (path.parent, _pattern(path)) not in patterns:
            others.append(path)
            continue
        try:
            refusals.append(no_dicom_prefix(require_file(path)))
        except Refusal as refusal:
            refusals.append(refusal)
    return refusals, others


def is_damage(refusal: Refusal) -> bool:
    """Whether a file cannot be read, which ``--allow_damaged`` accepts."""
    return refusal.code in _DAMAGE


def refuse_damaged_pixels(path: Path) -> None:
    """Decode the pixels of a slice; raises their refusal."""
    decode_pixels(read_dataset(path), path, frames=1)


def damaged_caution(count: int) -> tuple[Caution, ...]:
    """The caution ``series-damaged``; none for 0."""
    text = f"{counted(count, 'file')} that should be slices cannot be read: the volume lacks them"
    return (Caution("series-damaged", text),) * bool(count)


def excluded_cautions(counts: Mapping[str, int]) -> tuple[Caution, ...]:
    """A caution for each code of :data:`EXCLUDED` with files."""
    return tuple(
        Caution(code, f"excluded {counted(counts[code], noun)}{which}")
        for code, (noun, which) in EXCLUDED.items()
        if counts.get(code)
    )


def _pattern(path: Path) -> str:
    """A file's name with every number replaced by 0."""
    return re.sub(r"[0-9]+", "0", path.name)


def _is_directory(dataset: FileDataset, path: Path) -> bool:
    """Whether a file is the DICOMDIR of a medium, by its file meta information."""
    return text(dataset.file_meta, "MediaStorageSOPClassUID", path) == MediaStorageDirectoryStorage

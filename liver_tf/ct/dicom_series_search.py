"""Which CT series lie below a folder, and which DICOM SEG was drawn on which; by headers alone.

Exports arrange files as they like: a folder for each series, all in one, the segmentation beside
its slices or in a folder of its own. Only what the headers say counts (DICOM PS3.3 C.7.3.1, A.51).
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import FileDataset
from pydicom.uid import MediaStorageDirectoryStorage, SegmentationStorage

from liver_tf.ct.dicom_file import (
    broken_file,
    has_dicom_prefix,
    no_dicom_prefix,
    read_dataset,
    text,
)
from liver_tf.ct.dicom_seg import refuse_label_map
from liver_tf.ct.dicom_seg_frames import referenced_instances, referenced_series
from liver_tf.ct.dicom_series import DICOM_SUFFIXES, left_out_cautions
from liver_tf.ct.dicom_slice_header import CT_STORAGES, is_localizer, refuse_enhanced
from liver_tf.ct.input_file import unreadable
from liver_tf.refusals import Caution, Refusal

_NEEDED = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "PatientID",
    "ImageType",
    "ReferencedSeriesSequence",
)


@dataclass(frozen=True)
class SeriesFiles:
    """The files of one CT series and of the segmentations that were drawn on it.

    Attributes:
      place: what refusals name: the folder, if it holds slices of this series alone, else the first
        of the slices.
      slices, segmentations: at least one of each, by name. Their pixels may still be bad.
      series_uid, study_uid, patient_id: as the slices have them; the last two may be empty. They
        must leave as pseudonyms only.
      cautions: what lies in the same folders and was left out.
    """

    place: Path
    slices: tuple[Path, ...]
    segmentations: tuple[Path, ...]
    series_uid: str = field(repr=False)
    study_uid: str = field(repr=False)
    patient_id: str = field(repr=False)
    cautions: tuple[Caution, ...] = ()


@dataclass
class _Series:
    slices: list[Path] = field(default_factory=list)
    segmentations: list[Path] = field(default_factory=list)
    studies: set[str] = field(default_factory=set)
    patients: set[str] = field(default_factory=set)
    enhanced: tuple[str, Path] | None = None


@dataclass
class _Seen:
    """What the files say; filled file by file."""

    series: dict[str, _Series] = field(default_factory=dict)
    series_of_instance: dict[str, str] = field(default_factory=dict)
    segmentations: list[tuple[Path, set[str]]] = field(default_factory=list)
    left_out: dict[Path, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    not_dicom: list[Path] = field(default_factory=list)


def find_series_files(
    folder: Path | str,
) -> tuple[list[SeriesFiles], list[Refusal], Counter[str]]:
    """All CT series below a folder that have a segmentation, and a refusal for what fits nothing.

    Slices are grouped by SeriesInstanceUID, in whatever folders they lie. Hidden files are not
    looked at; links to folders are not followed. A single slice without segmentation in the folder
    of a longer series is a stray and left out with a caution, as are other files of the folders.

    Returns:
      The series in the order of their files; the refusals; the number of files left out of the
      whole input, by the code of the caution (``series-not-dicom``, ``series-other-object``,
      ``series-localizer``, ``series-stray-slice``). Refusal codes: ``file-missing``,
      ``file-unreadable``, ``dicom-no-prefix``, ``dicom-unreadable``, ``dicom-enhanced``,
      ``series-empty``, ``series-no-uid``, ``series-no-seg``, ``series-patients``,
      ``seg-not-binary``, ``seg-no-reference``, ``seg-no-series``, ``seg-several-series``.
    """
    folder = Path(folder)
    if not folder.is_dir():
        missing = _refused("file-missing", folder, "a folder", "no such folder", "Check --input.")
        return [], [missing], Counter()
    refusals: list[Refusal] = []
    seen = _Seen()
    for path in _files_below(folder, refusals):
        try:
            _look_at(path, seen)
        except Refusal as refusal:
            refusals.append(refusal)
    _sort_out_not_dicom(seen, refusals)
    for path, referenced in seen.segmentations:
        try:
            seen.series[_series_of(path, referenced, seen)].segmentations.append(path)
        except Refusal as refusal:
            refusals.append(refusal)
    if not seen.series:
        refusals.append(
            _refused(
                "series-empty",
                folder,
                "CT slices as DICOM files",
                "none",
                "Give the folder with the series and their DICOM SEG.",
            )
        )
    return *_paired(seen, refusals), sum(seen.left_out.values(), Counter())


def _files_below(folder: Path, refusals: list[Refusal]) -> Iterator[Path]:
    def cannot_enter(error: OSError) -> None:
        refusals.append(unreadable(Path(error.filename or folder)))

    for parent, subfolders, names in os.walk(folder, onerror=cannot_enter):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(parent) / name


def _look_at(path: Path, seen: _Seen) -> None:
    """Put one file where it belongs; raises ``Refusal`` where that cannot be told."""
    if not has_dicom_prefix(path) and path.suffix.lower() not in DICOM_SUFFIXES:
        seen.not_dicom.append(path)
        return
    dataset = read_dataset(path, pixels=False, only=_NEEDED)
    storage = text(dataset, "SOPClassUID", path)
    if not storage and not _is_directory(dataset, path):
        raise broken_file(path)  # cut off before it says what it is
    refuse_label_map(storage, path)
    if storage == SegmentationStorage:
        seen.segmentations.append((path, referenced_series(dataset, path)))
    elif storage not in CT_STORAGES:
        seen.left_out[path.parent]["series-other-object"] += 1
    elif is_localizer(dataset, path):
        seen.left_out[path.parent]["series-localizer"] += 1
    else:
        _add_slice(dataset, storage, path, seen)


def _sort_out_not_dicom(seen: _Seen, refusals: list[Refusal]) -> None:
    """A note beside slices is left out; a file named as they are is a slice that was destroyed."""
    slices = {(path.parent, _pattern(path)) for one in seen.series.values() for path in one.slices}
    for path in seen.not_dicom:
        if (path.parent, _pattern(path)) in slices:
            refusals.append(no_dicom_prefix(path))
        else:
            seen.left_out[path.parent]["series-not-dicom"] += 1


def _pattern(path: Path) -> str:
    """A file's name with every number replaced by 0."""
    return re.sub(r"[0-9]+", "0", path.name)


def _is_directory(dataset: FileDataset, path: Path) -> bool:
    """Whether a file is the DICOMDIR of a medium; only its file meta information says so."""
    return text(dataset.file_meta, "MediaStorageSOPClassUID", path) == MediaStorageDirectoryStorage


def _add_slice(dataset: FileDataset, storage: str, path: Path, seen: _Seen) -> None:
    uid = text(dataset, "SeriesInstanceUID", path)
    if not uid:
        raise _refused(
            "series-no-uid",
            path,
            "a SeriesInstanceUID in every slice",
            "none",
            "Export the series again: without it nothing says what the slice belongs to.",
        )
    series = seen.series.setdefault(uid, _Series())
    series.slices.append(path)
    series.patients.add(text(dataset, "PatientID", path))
    series.studies.add(text(dataset, "StudyInstanceUID", path))
    try:
        refuse_enhanced(storage, path)
    except Refusal:
        series.enhanced = storage, path
    seen.series_of_instance[text(dataset, "SOPInstanceUID", path)] = uid


def _series_of(path: Path, referenced: set[str], seen: _Seen) -> str:
    """SeriesInstanceUID of the one series here on which a segmentation was drawn."""
    known = referenced & seen.series.keys()
    if not referenced:
        instances = referenced_instances(read_dataset(path, pixels=False), path)
        if not instances:
            raise _refused(
                "seg-no-reference",
                path,
                "a segmentation that names the series or the slices it was drawn on",
                "one that names neither",
                "Export it again with its references (ReferencedSeriesSequence).",
            )
        known = {
            seen.series_of_instance[uid] for uid in instances if uid in seen.series_of_instance
        }
    if len(known) == 1:
        return known.pop()
    if known:
        raise _refused(
            "seg-several-series",
            path,
            "a segmentation of one series",
            f"one that names {len(known)} of those that are here",
            "Export a segmentation for each series.",
        )
    raise _refused(
        "seg-no-series",
        path,
        "the CT series on which the segmentation was drawn",
        "no such series below the folder",
        "Export the series beside its segmentation, or leave the segmentation out.",
    )


def _paired(seen: _Seen, refusals: list[Refusal]) -> tuple[list[SeriesFiles], list[Refusal]]:
    lodgers: dict[Path, set[str]] = defaultdict(set)
    for uid, series in seen.series.items():
        for path in series.slices:
            lodgers[path.parent].add(uid)
    strays = {uid for uid in seen.series if _is_stray(seen.series[uid], lodgers, seen)}
    for uid in strays:
        seen.left_out[seen.series[uid].slices[0].parent]["series-stray-slice"] += 1
    found = []
    for uid, series in seen.series.items():
        if uid in strays:
            continue
        folders = {path.parent for path in series.slices}
        alone = len(folders) == 1 and lodgers[series.slices[0].parent] <= {uid} | strays
        place = series.slices[0].parent if alone else series.slices[0]
        try:
            _refuse_unusable(series, place)
        except Refusal as refusal:
            refusals.append(refusal)
            continue
        folders |= {path.parent for path in series.segmentations}
        found.append(
            SeriesFiles(
                place=place,
                slices=tuple(series.slices),
                segmentations=tuple(series.segmentations),
                series_uid=uid,
                study_uid=min(series.studies),
                patient_id=series.patients.pop(),
                cautions=_cautions(sum((seen.left_out[path] for path in folders), Counter())),
            )
        )
    return found, refusals


def _is_stray(series: _Series, lodgers: dict[Path, set[str]], seen: _Seen) -> bool:
    if len(series.slices) > 1 or series.segmentations or series.enhanced:
        return False
    beside = lodgers[series.slices[0].parent]
    return any(len(seen.series[uid].slices) > 1 for uid in beside)


def _refuse_unusable(series: _Series, place: Path) -> None:
    if series.enhanced is not None:
        refuse_enhanced(*series.enhanced)
    if len(series.patients) > 1:
        raise _refused(
            "series-patients",
            place,
            "one PatientID in all slices of a series",
            f"{len(series.patients)}",
            "Export the series again; whose it is decides what it may be tested on.",
        )
    if not series.segmentations:
        raise _refused(
            "series-no-seg",
            place,
            "a DICOM SEG that was drawn on the series",
            "none below the folder",
            "Put it below the folder (RT structure sets are not read: convert them to DICOM SEG), "
            "or leave the series out.",
        )


def _cautions(counts: Counter[str]) -> tuple[Caution, ...]:
    strays = counts["series-stray-slice"]
    note = f"{strays} stray slice(s) of another series in the folder left out"
    return (Caution("series-stray-slice", note),) * bool(strays) + left_out_cautions(counts)


def _refused(code: str, path: Path, expected: str, found: str, remedy: str) -> Refusal:
    return Refusal(code, path, expected=expected, found=found, remedy=remedy)

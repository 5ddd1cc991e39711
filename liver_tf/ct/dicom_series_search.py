"""Finding the CT series below a folder and the DICOM SEG drawn on each, from headers alone.

Exports arrange files in any way: a folder per series, everything in one folder, the segmentation
beside its slices or elsewhere. Only the headers count (DICOM PS3.3 C.7.3.1, A.51).
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import FileDataset

from liver_tf.counted import counted
from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.dicom_elements import read_dataset, text
from liver_tf.ct.dicom_file_kinds import (
    NOT_DICOM,
    SEGMENTATION,
    SLICE,
    damaged_caution,
    damaged_slices,
    excluded_cautions,
    is_damage,
    kind_of,
    refuse_damaged_pixels,
)
from liver_tf.ct.dicom_seg import refuse_label_map
from liver_tf.ct.dicom_seg_frames import referenced_instances, referenced_series
from liver_tf.ct.dicom_slice_header import refuse_enhanced
from liver_tf.ct.input_file import files_below
from liver_tf.ct.one_volume import refuse_several_patients
from liver_tf.refusals import Caution, Refusal

_NEEDED = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "PatientID",
    "ImageType",
    "ReferencedSeriesSequence",
    "Manufacturer",
)
#: Manufacturer of the DICOM SEG that this program writes; editors write their own.
OURS = "liver_tf"


@dataclass(frozen=True)
class SeriesFiles:
    """The files of a CT series and of the segmentations drawn on it.

    Attributes:
      place: What refusals name: the folder if it holds slices of this series only, else the first
        slice.
      slices, segmentations: At least one each, by name. Their pixels have not been read.
      series_uid, study_uid, patient_id: From the slices; the last two may be empty. They may leave
        the program as pseudonyms only.
      cautions: Files in the same folders that were excluded.
    """

    place: Path
    slices: tuple[Path, ...]
    segmentations: tuple[Path, ...]
    series_uid: str = field(repr=False)
    study_uid: str = field(repr=False)
    patient_id: str = field(repr=False)
    cautions: tuple[Caution, ...] = ()


def find_series_files(
    folder: Path | str, *, allow_damaged: bool = False, corrected: bool = False
) -> tuple[list[SeriesFiles], list[Refusal], Counter[str]]:
    """Find all CT series with a segmentation below a folder.

    Slices are grouped by SeriesInstanceUID, whatever their folders. Hidden files and links to
    folders are skipped. A single slice without segmentation in the folder of a longer series is a
    stray; it and other files of the folder are excluded with a caution. A series beside a file that
    should be a slice and cannot be read is refused, unless ``allow_damaged`` leaves that file out.
    ``corrected`` leaves out segmentations that this program wrote; a series without another one is
    refused.

    Returns:
      The series in the order of their files; refusals; the number of excluded files of the whole
      input, by the code of the caution (``series-not-dicom``, ``series-other-object``,
      ``series-localizer``, ``series-stray-slice``).
    """
    folder = Path(folder)
    if not folder.is_dir():
        missing = bad_input("file-missing", folder, "a folder", "no such folder")
        return [], [missing], Counter()
    refusals: list[Refusal] = []
    index = _Index(check_pixels=allow_damaged, corrected=corrected)
    for path in files_below(folder, refusals):
        try:
            index.add(path)
        except Refusal as refusal:
            refusals.append(refusal)
    refusals += index.sort_out_not_dicom()
    damaged = Counter(
        refusal.path.parent
        for refusal in refusals
        if refusal.path and not refusal.code.startswith("seg-")
    )
    if allow_damaged:
        refusals = [refusal for refusal in refusals if not is_damage(refusal)]
    for path, referenced, ours in index.segmentations:
        try:
            series_of_seg = index.series[index.series_of(path, referenced)]
            if ours:
                series_of_seg.automatic = True
            else:
                series_of_seg.segmentations.append(path)
        except Refusal as refusal:
            refusals.append(refusal)
    if not index.series:
        refusals.append(bad_input("series-empty", folder, "CT slices as DICOM files", "none"))
    series, unusable = index.usable_series(damaged, allow_damaged)
    return series, refusals + unusable, sum(index.excluded.values(), Counter())


@dataclass
class _Series:
    slices: list[Path] = field(default_factory=list)
    segmentations: list[Path] = field(default_factory=list)
    studies: set[str] = field(default_factory=set)
    patients: set[str] = field(default_factory=set)
    enhanced: Refusal | None = None
    automatic: bool = False


class _Index:
    """The content of all files, filled file by file.

    Attributes:
      series: By SeriesInstanceUID.
      segmentations: Path of each DICOM SEG, the SeriesInstanceUIDs it refers to, and whether it is
        to be left out because this program wrote it.
      excluded: Counts of excluded files by folder and code.
    """

    def __init__(self, check_pixels: bool, corrected: bool) -> None:
        self._check_pixels, self._corrected = check_pixels, corrected
        self.series: dict[str, _Series] = {}
        self.segmentations: list[tuple[Path, set[str], bool]] = []
        self.excluded: dict[Path, Counter[str]] = defaultdict(Counter)
        self._series_of_instance: dict[str, str] = {}
        self._not_dicom: list[Path] = []

    def add(self, path: Path) -> None:
        """Add a file; raises ``Refusal`` if it cannot be classified."""
        kind, dataset = kind_of(path, _NEEDED)
        if kind == NOT_DICOM or dataset is None:
            self._not_dicom.append(path)
            return
        storage = text(dataset, "SOPClassUID", path)
        refuse_label_map(storage, path)
        if kind == SEGMENTATION:
            ours = self._corrected and text(dataset, "Manufacturer", path) == OURS
            self.segmentations.append((path, referenced_series(dataset, path), ours))
        elif kind == SLICE:
            self._add_slice(dataset, storage, path)
        else:
            self.excluded[path.parent][kind] += 1

    def _add_slice(self, dataset: FileDataset, storage: str, path: Path) -> None:
        if self._check_pixels:
            refuse_damaged_pixels(path)
        uid = text(dataset, "SeriesInstanceUID", path)
        if not uid:
            raise bad_input("series-no-uid", path, "a SeriesInstanceUID in every slice", "none")
        series = self.series.setdefault(uid, _Series())
        series.slices.append(path)
        series.patients.add(text(dataset, "PatientID", path))
        series.studies.add(text(dataset, "StudyInstanceUID", path))
        try:
            refuse_enhanced(storage, path)
        except Refusal as refusal:
            series.enhanced = refusal
        self._series_of_instance[text(dataset, "SOPInstanceUID", path)] = uid

    def sort_out_not_dicom(self) -> list[Refusal]:
        """Exclude files that are not DICOM; refuse those named like slices as damaged slices."""
        paths = (path for series in self.series.values() for path in series.slices)
        refusals, others = damaged_slices(self._not_dicom, paths)
        for path in others:
            self.excluded[path.parent][NOT_DICOM] += 1
        return refusals

    def series_of(self, path: Path, referenced: set[str]) -> str:
        """SeriesInstanceUID of the series on which a segmentation was drawn."""
        known = referenced & self.series.keys()
        if not referenced:
            instances = referenced_instances(read_dataset(path, pixels=False), path)
            if not instances:
                expected = "a segmentation that refers to its series or its slices"
                raise bad_input("seg-no-reference", path, expected, "no references")
            of_instance = self._series_of_instance
            known = {of_instance[uid] for uid in instances if uid in of_instance}
        if len(known) == 1:
            return known.pop()
        if known:
            found = f"references to {len(known)} of the series in the folder"
            raise bad_input("seg-several-series", path, "a segmentation of one series", found)
        expected = "the CT series on which the segmentation was drawn"
        raise bad_input("seg-no-series", path, expected, "no such series below the folder")

    def usable_series(
        self, damaged: Counter[Path], allow_damaged: bool
    ) -> tuple[list[SeriesFiles], list[Refusal]]:
        """All series but strays and refused ones; counts the strays as excluded.

        ``damaged`` is the number of unreadable files by folder.
        """
        series_in: dict[Path, set[str]] = defaultdict(set)
        for uid, series in self.series.items():
            for path in series.slices:
                series_in[path.parent].add(uid)
        strays = {uid for uid in self.series if self._is_stray(uid, series_in)}
        for uid in strays:
            self.excluded[self.series[uid].slices[0].parent]["series-stray-slice"] += 1
        usable, refusals = [], []
        for uid, series in self.series.items():
            if uid in strays:
                continue
            folders = {path.parent for path in series.slices}
            alone = len(folders) == 1 and series_in[series.slices[0].parent] <= {uid} | strays
            place = series.slices[0].parent if alone else series.slices[0]
            unreadable = sum(damaged[path] for path in folders)
            try:
                _refuse_unusable(series, place)
                if unreadable and not allow_damaged:
                    raise _incomplete(place, unreadable)
            except Refusal as refusal:
                refusals.append(refusal)
                continue
            folders |= {path.parent for path in series.segmentations}
            excluded = sum((self.excluded[path] for path in folders), Counter[str]())
            usable.append(
                SeriesFiles(
                    place=place,
                    slices=tuple(series.slices),
                    segmentations=tuple(series.segmentations),
                    series_uid=uid,
                    study_uid=min(series.studies),
                    patient_id=min(series.patients),
                    cautions=damaged_caution(unreadable) + _cautions(excluded),
                )
            )
        return usable, refusals

    def _is_stray(self, uid: str, series_in: dict[Path, set[str]]) -> bool:
        series = self.series[uid]
        if len(series.slices) > 1 or series.segmentations or series.automatic or series.enhanced:
            return False
        beside = series_in[series.slices[0].parent]
        return any(len(self.series[other].slices) > 1 for other in beside)


def _refuse_unusable(series: _Series, place: Path) -> None:
    if series.enhanced is not None:
        raise series.enhanced
    refuse_several_patients(series.patients, place)
    if series.automatic and not series.segmentations:
        expected = "a corrected DICOM SEG, saved by another program"
        raise bad_input("series-not-corrected", place, expected, "only that of liver_tf")
    if not series.segmentations:
        expected = "a DICOM SEG that was drawn on the series"
        raise bad_input("series-no-seg", place, expected, "none below the folder")


def _incomplete(place: Path, unreadable: int) -> Refusal:
    found = f"{counted(unreadable, 'file')} in its folder that cannot be read"
    return bad_input("series-incomplete", place, "all slices of the series", found)


def _cautions(counts: Counter[str]) -> tuple[Caution, ...]:
    strays = counts["series-stray-slice"]
    note = f"excluded {counted(strays, 'stray slice')} of another series in the folder"
    return (Caution("series-stray-slice", note),) * bool(strays) + excluded_cautions(counts)

"""Options of a data source: where the files are and what masks and segments mean."""

import os
from dataclasses import dataclass
from pathlib import Path

from liver_tf.conversion.segment_mapping import (
    DEFAULT_SEGMENTS,
    Segments,
    parse_segments,
    segments_text,
)
from liver_tf.ct.reading_settings import ReadingSettings
from liver_tf.labels import HEALTHY, LESION_TYPES, LabelSet
from liver_tf.options import REQUIRED, OptionError, Options, option, part

#: Segmentations of a series that are read: all, or all but those that ``predict`` wrote.
ALL, CORRECTED = "all", "corrected"


@dataclass(frozen=True, kw_only=True)
class SourceSettings(Options):
    """Options of everything that reads CT files with their masks."""

    source: str = option(
        REQUIRED,
        "lits: volume-N.nii[.gz] with segmentation-N.nii[.gz], or imagesTr/ with labelsTr/. "
        "series: DICOM series with the DICOM SEG drawn on them, in any folders. "
        "slices: a CSV with slice_id, patient_id, image, mask, diagnosis; neighbours is optional.",
        choices=("lits", "series", "slices"),
    )
    input: Path = option(
        REQUIRED, "Folder of the pairs (lits) or of the DICOM files (series), or the CSV (slices)."
    )
    lesion_types: tuple[str, ...] = option(
        LESION_TYPES.lesions,
        "slices, series: the lesion types, in the order of their labels from 2 on.",
    )
    mask_values: tuple[str, ...] = option(
        ("0:background", "1:liver", "2:lesion"),
        "slices: meaning of the values of a mask, or of the segments of a DICOM SEG by number. "
        "'lesion' is the type in the row's diagnosis; a lesion type may also be named directly.",
    )
    segments: tuple[str, ...] = option(
        DEFAULT_SEGMENTS,
        "series: meaning of the segments of a DICOM SEG, each by its number, name or code, and a "
        "class after the last colon: liver, lesion, background (ignored), or one of "
        "--lesion_types instead of lesion. For example liver:liver,SCT:4147007:metastasis.",
    )
    labels: str = option(
        ALL,
        "series: the segmentations to read. corrected: not those that predict wrote; a series that "
        "has no other one is refused.",
        choices=(ALL, CORRECTED),
    )
    series_without_patient_id: str = option(
        "refuse",
        "series: own_patient treats each study without PatientID as a separate patient. Use it "
        "only if that is true: otherwise a patient can be in training and test.",
        choices=("refuse", "own_patient"),
    )
    palette_index: bool = option(
        False,
        "slices: read the palette index of each pixel of a palette PNG as its value. By default "
        "the value is the grey level shown.",
    )
    reading: ReadingSettings = part(ReadingSettings)
    allow_outside: bool = option(
        False, "slices: accept absolute paths, and paths that leave the CSV's folder."
    )
    ignore_patient_id: bool = option(
        False,
        "slices: identify patients by the CSV only; ignore the PatientID of the images.",
    )
    neighbour_mm: float = option(
        5.0,
        "slices: from a folder in the column neighbours, take the slices of the image's series up "
        "to this distance in mm.",
        above=0,
        high=100,
    )
    workers: int = option(
        os.cpu_count() or 1,
        "Number of processes that read files.",
        low=1,
        shown_default="number of processors",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.source != "lits":
            self.typed_labels()
        if self.source == "slices":
            self.mask_meanings()
        if self.source == "series":
            self.segment_classes()
        elif self.labels == CORRECTED:
            raise OptionError("labels", "corrected is for --source=series only")

    def typed_labels(self) -> LabelSet:
        """The label set with ``lesion_types``; raises ``OptionError``."""
        # Reserved words of the CSV and of --mask_values.
        for reserved in (HEALTHY, "lesion", ""):
            if reserved in self.lesion_types:
                raise OptionError("lesion_types", f"{reserved!r} cannot be the name of a type")
        if not self.lesion_types:
            raise OptionError("lesion_types", "expected at least one lesion type")
        try:
            return LabelSet("lesion_types", ("background", "liver", *self.lesion_types))
        except ValueError as error:
            raise OptionError("lesion_types", str(error)) from None

    def mask_meanings(self) -> tuple[tuple[int, str], ...]:
        """Class of each mask value, sorted; raises ``OptionError``."""
        if not any(self.mask_values):
            raise OptionError("mask_values", "expected at least one value as number:meaning")
        known = (*self.typed_labels().classes, "lesion")
        meanings: dict[int, str] = {}
        for pair in self.mask_values:
            number, _, meaning = pair.partition(":")
            if not number.isdecimal() or meaning not in known or int(number) in meanings:
                raise OptionError(
                    "mask_values",
                    "expected each value once as number:meaning with a meaning of "
                    f"{', '.join(known)}; found {pair!r}",
                )
            meanings[int(number)] = meaning
        return tuple(sorted(meanings.items()))

    def segment_classes(self) -> tuple[LabelSet, Segments]:
        """The label set that the segments belong to, and their classes; raises ``OptionError``."""
        try:
            return parse_segments(self.segments, self.typed_labels())
        except ValueError as error:
            raise OptionError("segments", str(error)) from None

    def provenance(self, key: bytes) -> dict[str, str | bool]:
        """Options that define the meaning of the data; free text as pseudonyms under ``key``."""
        if self.source == "slices":
            return {
                "mask_values": ",".join(sorted(self.mask_values)),
                "lesion_types": ",".join(self.lesion_types),
                "allow_outside": self.allow_outside,
                "ignore_patient_id": self.ignore_patient_id,
                **({"palette_index": True} if self.palette_index else {}),
            }
        if self.source == "series":
            _, segments = self.segment_classes()
            return {
                "segments": segments_text(segments, key),
                "series_without_patient_id": self.series_without_patient_id,
                **({"labels": CORRECTED} if self.labels == CORRECTED else {}),
            }
        return {}

"""A case, the unit of reading and conversion: one scan, or a patient's slices from a CSV."""

import functools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from liver_tf.conversion.neighbours import Neighbour
from liver_tf.conversion.segment_mapping import Segments
from liver_tf.ct.dicom_series_search import SeriesFiles
from liver_tf.ct.hu_plausibility import hu_by_label
from liver_tf.ct.slices_csv import SliceRow
from liver_tf.labels import LabelSet
from liver_tf.refusals import Caution, Refusal


@dataclass(frozen=True)
class CaseTask:
    """A case to be read. Small, and identical in every process.

    Attributes:
      case, patient, group: pseudonyms (``group`` may be the name of a public source).
      volume, segmentation: files of a LiTS pair, else None.
      tissues: tissue map of a phantom beside the pair, else None.
      rows: slices of a patient from a slices CSV, else empty.
      neighbours: unlabelled slices next to those of ``rows``.
      mask_values: (mask value, class name) pairs, for a DICOM SEG (segment number, class name);
        ``lesion`` stands for the row's diagnosis.
      series: a DICOM series with its DICOM SEG, else None.
      segments: class of each segment of the DICOM SEG.
      sources: pseudonym of all file names and of the segment mapping; it changes with the files.
      palette_index: whether the values of a palette PNG are its indices.
      strict: whether cautions are refused.
      cautions: found before the files were read.
    """

    case: str
    patient: str
    group: str
    label_set: LabelSet
    volume: Path | None = None
    segmentation: Path | None = None
    tissues: Path | None = None
    rows: tuple[SliceRow, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    mask_values: tuple[tuple[int, str], ...] = ()
    series: SeriesFiles | None = None
    segments: Segments = ()
    sources: str = ""
    palette_index: bool = False
    strict: bool = False
    cautions: tuple[Caution, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that the case is read from."""
        if self.volume is not None:
            return tuple(p for p in (self.volume, self.segmentation, self.tissues) if p)
        if self.series is not None:
            return (*self.series.slices, *self.series.segmentations)
        pairs = (path for row in self.rows for path in (row.image, row.mask) if path is not None)
        return (*pairs, *(neighbour.path for neighbour in self.neighbours))

    @property
    def places(self) -> tuple[Path, ...]:
        """All paths that a refusal of the case may name: its files, and the series' folder."""
        return self.files if self.series is None else (*self.files, self.series.place)


@dataclass
class CaseNotes:
    """Cautions, refusals and scanner details of a case, collected while it is read."""

    cautions: list[Caution] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelledSlice:
    """One axial slice before windowing.

    Attributes:
      index: position in the case, from 0.
      hu: int16 or float32 [rows, columns].
      labels: uint8 [rows, columns].
      spacing_mm: (row, column) spacing, or None if unknown.
      diagnosis: from the slices CSV or the drawn lesions; empty if unknown.
      slice_distance_mm: distance to the next slice, or None if unknown.
      tissues: uint8 [rows, columns], codes of a phantom's tissues, or None.
    """

    index: int
    hu: np.ndarray
    labels: np.ndarray
    spacing_mm: tuple[float, float] | None
    diagnosis: str
    slice_distance_mm: float | None = None
    tissues: np.ndarray | None = None

    @functools.cached_property
    def hu_by_label(self) -> dict[int, np.ndarray]:
        """HU of the pixels of each label above 0."""
        return hu_by_label(self.hu, self.labels)


@dataclass(frozen=True)
class NeighbourSlice:
    """One unlabelled slice before windowing.

    Attributes:
      index, hu, spacing_mm: as in ``LabelledSlice``.
      neighbour_of: index of the annotated slice next to it.
      offset_mm: distance from that slice, positive towards the head.
    """

    index: int
    hu: np.ndarray
    spacing_mm: tuple[float, float]
    neighbour_of: int
    offset_mm: float

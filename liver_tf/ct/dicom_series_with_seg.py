"""A CT series and the DICOM SEG drawn on it, read side by side, one axial slice at a time.

All headers are read first, then the pixels slice by slice; frames of the segmentation stay packed
in bits until their slice is read. So a conversion holds a slice, not a volume.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.dicom_elements import read_dataset
from liver_tf.ct.dicom_seg import DicomSeg, SegmentName
from liver_tf.ct.dicom_series_search import SeriesFiles
from liver_tf.ct.dicom_slice_header import check_header
from liver_tf.ct.dicom_slice_order import stack_slices
from liver_tf.ct.segment_labels import label_of, paint
from liver_tf.refusals import Caution

#: Codes of the liver: SNOMED CT, and the older form that DICOM calls SRT.
LIVER_CODES = ("SCT:10200004", "SRT:T-62000")


class SeriesWithSeg:
    """A series with its segmentations; :meth:`slices` reads the pixels.

    Attributes:
      source, spacing_mm, details: As in :class:`liver_tf.ct.scan.Scan`.
      cautions: Those of files and slices, ``seg-empty-segment``, ``seg-region``.

    Args:
      files: From :func:`liver_tf.ct.dicom_series_search.find_series_files`.
      mapping: Label (0 to 255; 0 ignores the segment) by segment number, label or code. Several
        segmentations complete each other; each label must come from one of them only.

    Raises:
      Refusal: ``seg-label-twice``, and those of the readers of slices and segmentations.
    """

    def __init__(self, files: SeriesFiles, mapping: Mapping[int | str, int]) -> None:
        headers = [check_header(read_dataset(path, pixels=False), path) for path in files.slices]
        self._stack = stack_slices(headers, files.place)
        self.source, self.details = self._stack.source, self._stack.details
        self.spacing_mm = self._stack.spacing_mm
        cautions = [*files.cautions, *self._stack.cautions]
        self._segments: list[tuple[int, int, DicomSeg]] = []
        labels_before: set[int] = set()
        for path in files.segmentations:
            seg = DicomSeg(path, self._stack)
            labelled = [(label_of(name, mapping, path), name) for name in seg.segments]
            labelled = [(label, name) for label, name in labelled if label]
            labels = {label for label, _ in labelled}
            _refuse_twice(labels & labels_before, seg)
            labels_before |= labels
            self._segments += [(label, name.number, seg) for label, name in labelled]
            cautions += _cautions(seg, [name for _, name in labelled])
        self.cautions = tuple(dict.fromkeys(cautions))

    def slices(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (HU, labels) of each slice, from feet to head.

        HU are int16 where those of the slice are whole, else float32; labels are uint8; both
        [rows, columns]. Lesions overwrite the liver. The plausibility of the HU is checked after
        the last slice.
        """
        for index, hu in enumerate(self._stack.slices()):
            labels = np.zeros(hu.shape, np.uint8)
            paint(labels, self._masks(index), lesions_over_liver=True)
            yield hu, labels

    def _masks(self, index: int) -> Iterator[tuple[int, np.ndarray, Path]]:
        for label, number, seg in self._segments:
            mask = seg.mask(number, index)
            if mask is not None:
                yield label, mask, seg.path


def _refuse_twice(labels: set[int], seg: DicomSeg) -> None:
    if labels:
        expected = "each class in only one of the segmentations of a series"
        found = f"{len(labels)} class(es) that another segmentation holds as well"
        raise bad_input("seg-label-twice", seg.path, expected, found)


def _cautions(seg: DicomSeg, names: Iterable[SegmentName]) -> Iterator[Caution]:
    for name in names:
        if not seg.has_frames(name.number):
            note = f"segment {name.number} has no frame: it is treated as empty"
            yield Caution("seg-empty-segment", note)
        if name.region and name.region.upper() not in LIVER_CODES:
            note = f"the anatomic region of segment {name.number} is not the liver"
            yield Caution("seg-region", note)

"""A CT series and the DICOM SEG drawn on it, read side by side, one axial slice after the other.

So a conversion holds one slice, not a volume: headers first, then the pixels of a slice; frames of
the segmentation stay as they are stored, single bits, until their slice comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from liver_tf.ct.dicom_file import read_dataset
from liver_tf.ct.dicom_seg import DicomSeg
from liver_tf.ct.dicom_series_search import SeriesFiles
from liver_tf.ct.dicom_slice_header import check_header
from liver_tf.ct.dicom_slice_order import stack_slices
from liver_tf.ct.segment_labels import label_of, paint
from liver_tf.refusals import Caution, Refusal

#: Codes of the liver: SNOMED CT, and its older form that DICOM calls SRT.
LIVER_CODES = ("SCT:10200004", "SRT:T-62000")


class SeriesWithSeg:
    """A series with its segmentations; pixels are read by :meth:`slices`.

    Attributes:
      source: where the slices come from; ``source.files`` are those used, from the feet.
      spacing_mm: along (slices, rows, columns).
      cautions: those of the files and of the slices, and ``seg-empty-segment``, ``seg-region``.
      details: as in :class:`liver_tf.ct.scan.Scan`.

    Args:
      files: of :func:`liver_tf.ct.dicom_series_search.find_series_files`.
      mapping: label (0 to 255; 0 leaves the segment out) by segment number, label or code. Several
        segmentations complete each other: each label must come from one of them alone.

    Raises:
      Refusal: as :func:`liver_tf.ct.dicom_slice_header.check_header` for any slice,
        :func:`liver_tf.ct.dicom_slice_order.stack_slices`, :class:`liver_tf.ct.dicom_seg.DicomSeg`,
        :func:`liver_tf.ct.segment_labels.label_of`, and ``seg-label-twice``.
    """

    def __init__(self, files: SeriesFiles, mapping: Mapping[int | str, int]) -> None:
        headers = [check_header(read_dataset(path, pixels=False), path) for path in files.slices]
        self._stack = stack_slices(headers, files.place)
        self.source, self.details = self._stack.source, self._stack.details
        self.spacing_mm = self._stack.spacing_mm
        cautions = [*files.cautions, *self._stack.cautions]
        self._drawn: list[tuple[int, int, DicomSeg]] = []
        labels_before: set[int] = set()
        for path in files.segmentations:
            seg = DicomSeg(path, self._stack)
            drawn = [(label_of(name, mapping, path), name) for name in seg.segments]
            labels = {label for label, _ in drawn if label}
            _refuse_twice(labels & labels_before, seg)
            labels_before |= labels
            self._drawn += [(label, name.number, seg) for label, name in drawn if label]
            cautions += _cautions(seg, [name for label, name in drawn if label])
        self.cautions = tuple(dict.fromkeys(cautions))

    def slices(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(HU, labels) of one slice after the other, feet to head.

        HU are int16 where those of the slice are whole, else float32; labels are uint8; both
        [rows, columns]. A lesion drawn inside the liver wins over it. Whether the HU of the series
        are plausible is known only when the iteration has ended.

        Raises:
          Refusal: as :meth:`liver_tf.ct.dicom_slice_order.SliceStack.slices` and
            :func:`liver_tf.ct.segment_labels.paint`.
        """
        for index, hu in enumerate(self._stack.slices()):
            masks = [
                (label, seg.mask(number, index), seg.path) for label, number, seg in self._drawn
            ]
            labels = np.zeros(hu.shape, np.uint8)
            drawn = [one for one in masks if one[1] is not None]
            paint(labels, drawn, lesions_over_liver=True)
            yield hu, labels


def _refuse_twice(labels: set[int], seg: DicomSeg) -> None:
    if labels:
        raise Refusal(
            "seg-label-twice",
            seg.path,
            expected="several segmentations of a series to hold different classes",
            found=f"{len(labels)} class(es) that another one holds too",
            remedy="Leave out all but the one that counts, or merge them into one DICOM SEG.",
        )


def _cautions(seg: DicomSeg, names) -> Iterator[Caution]:
    for name in names:
        if not seg.has_frames(name.number):
            note = f"segment {name.number} has no frame: it is taken as empty"
            yield Caution("seg-empty-segment", note)
        if name.region and name.region.upper() not in LIVER_CODES:
            note = f"segment {name.number} says that it lies in another region than the liver"
            yield Caution("seg-region", note)

"""DICOM segmentations (PS3.3 A.51) laid onto the slices they were drawn on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import SegmentationStorage

from liver_tf.ct.dicom_file import (
    check_pixels,
    decode_frame,
    read_dataset,
    sequence,
    text,
    whole_number,
)
from liver_tf.ct.dicom_seg_frames import place_frames, read_frames, referenced_series, seg_refusal
from liver_tf.ct.dicom_slice_order import SliceStack
from liver_tf.ct.orientation import to_canonical
from liver_tf.ct.scan import Scan, SourceGrid

#: Label Map Segmentation Storage, which pydicom 3.0 does not name yet.
LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"


@dataclass(frozen=True)
class SegmentName:
    """What a DICOM SEG says of one of its segments.

    Attributes:
      number: SegmentNumber.
      label: SegmentLabel, free text of whoever drew it: not for logs or records.
      code: SegmentedPropertyType as ``scheme:value``, e.g. ``SCT:10200004`` for liver, or empty.
      region: the first code of its anatomic region likewise, or empty.
    """

    number: int
    label: str
    code: str
    region: str = ""


@dataclass(frozen=True)
class Segment(SegmentName):
    """One segment of a DICOM SEG on the grid of a scan.

    Attributes:
      mask: bool [slices, rows, columns], canonical, of the shape of ``scan.hu``.
    """

    mask: np.ndarray = field(kw_only=True)


class DicomSeg:
    """A binary DICOM SEG laid onto a scan; frames stay as they are stored until they are asked for.

    Attributes:
      path: of the file.
      segments: by number.

    Args:
      scan: a single DICOM slice or a series, whose pixels are not looked at.

    Raises:
      Refusal: ``dicom-…`` as for any DICOM file, ``seg-not-seg``, ``seg-not-binary``,
        ``seg-scan`` (the scan is not DICOM), ``seg-other-series``, ``seg-other-grid``,
        ``seg-frames`` (frames missing or without their description), ``seg-frame-unmatched``,
        ``seg-reference``, ``seg-frame-twice``, ``seg-segments``.
    """

    def __init__(self, path: Path | str, scan: Scan | SliceStack) -> None:
        self.path = path = Path(path)
        source = scan.source
        if source.kind not in ("dicom-slice", "dicom-series"):
            raise seg_refusal(
                "seg-scan", path, "a scan read from DICOM", "a scan from another format"
            )
        dataset = read_dataset(path)
        _refuse_other_objects(dataset, path)
        _refuse_other_series(dataset, path, source)
        self.segments = _segment_names(dataset, path)
        frames = read_frames(dataset, path)
        shape = check_pixels(dataset, path, len(frames))
        if shape != source.shape[1:]:
            expected = f"frames of {source.shape[1]} x {source.shape[2]} as in the scan"
            raise seg_refusal("seg-other-grid", path, expected, f"{shape[0]} x {shape[1]}")
        self._frame_of = place_frames(
            frames, {segment.number for segment in self.segments}, scan, path
        )
        if not self._frame_of and not _lists_a_slice(dataset, path, source):
            raise seg_refusal(
                "seg-frame-unmatched", path, "a frame on this slice", "frames on other slices only"
            )
        # Descriptions of frames take more memory than the frames do.
        del dataset.PerFrameFunctionalGroupsSequence
        self._dataset, self._grid = dataset, source

    def mask(self, number: int, index: int) -> np.ndarray | None:
        """Pixels of a segment on a slice, bool [rows, columns], canonical; None without a frame.

        Args:
          number: SegmentNumber.
          index: of the slice, from the feet.

        Raises:
          Refusal: ``dicom-pixels``.
        """
        frame = self._frame_of.get((number, index))
        if frame is None:
            return None
        stored = decode_frame(self._dataset, self.path, frame) != 0
        return to_canonical(stored[np.newaxis], self._grid)[0]

    def has_frames(self, number: int) -> bool:
        """Whether a segment has a frame on any slice of the scan."""
        return any(segment == number for segment, _ in self._frame_of)


def read_dicom_seg(path: Path | str, scan: Scan) -> list[Segment]:
    """The segments of a binary DICOM SEG that was drawn on this scan, by segment number.

    A slice without a frame of a segment is empty in it: writers may leave empty frames out. For a
    single slice the frames on other slices of its series are passed over, and if none is left the
    slice must at least be listed among those that were segmented. For a series every frame has to
    find its slice.

    Raises:
      Refusal: as :class:`DicomSeg` and its frames.
    """
    seg = DicomSeg(path, scan)
    segments = []
    for name in seg.segments:
        mask = np.zeros(scan.hu.shape, bool)
        for index in range(len(mask)):
            pixels = seg.mask(name.number, index)
            if pixels is not None:
                mask[index] = pixels
        segments.append(Segment(**vars(name), mask=mask))
    return segments


def refuse_label_map(storage: str, path: Path) -> None:
    """Raise ``Refusal`` ``seg-not-binary`` for the storage class of label maps (PS3.3 A.51)."""
    if storage == LABEL_MAP_STORAGE:
        raise seg_refusal(
            "seg-not-binary",
            path,
            "SegmentationType BINARY",
            "a label map",
            "Export it as binary segments; few programs read label maps yet.",
        )


def _refuse_other_objects(dataset: pydicom.Dataset, path: Path) -> None:
    storage = text(dataset, "SOPClassUID", path)
    refuse_label_map(storage, path)
    if storage != SegmentationStorage:
        raise seg_refusal("seg-not-seg", path, "a DICOM segmentation", "another DICOM object")
    if text(dataset, "SegmentationType", path).upper() != "BINARY":
        raise seg_refusal(
            "seg-not-binary",
            path,
            "SegmentationType BINARY",
            "a fractional or another one",
            "Export it as binary; where to cut a probability is not ours to guess.",
        )


def _refuse_other_series(dataset: pydicom.Dataset, path: Path, source: SourceGrid) -> None:
    referenced = referenced_series(dataset, path)
    if referenced and source.series_uid not in referenced:
        raise seg_refusal("seg-other-series", path, "a reference to the scan's series", "to others")


def _lists_a_slice(dataset: pydicom.Dataset, path: Path, source: SourceGrid) -> bool:
    """Whether a slice of the scan is listed among those that were segmented."""
    listed = {
        text(instance, "ReferencedSOPInstanceUID", path)
        for item in sequence(dataset, "ReferencedSeriesSequence", path)
        for instance in sequence(item, "ReferencedInstanceSequence", path)
    }
    return any(uid in listed for uid in source.instance_uids if uid)


def _segment_names(dataset: pydicom.Dataset, path: Path) -> tuple[SegmentName, ...]:
    found = {}
    items = sequence(dataset, "SegmentSequence", path)
    for item in items:
        key = whole_number(item, "SegmentNumber", path)
        key = -1 if key is None else key
        found[key] = SegmentName(
            key,
            text(item, "SegmentLabel", path),
            _code(item, "SegmentedPropertyTypeCodeSequence", path),
            _code(item, "AnatomicRegionSequence", path),
        )
    if not found or len(found) != len(items) or min(found) < 0:
        raise seg_refusal("seg-segments", path, "segments with a number each", "none, or doubles")
    return tuple(found[key] for key in sorted(found))


def _code(item: pydicom.Dataset, keyword: str, path: Path) -> str:
    codes = sequence(item, keyword, path)
    if not codes:
        return ""
    scheme = text(codes[0], "CodingSchemeDesignator", path)
    return f"{scheme}:{text(codes[0], 'CodeValue', path)}"

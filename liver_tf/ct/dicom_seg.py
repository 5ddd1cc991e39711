"""Binary DICOM SEG files (PS3.3 A.51), mapped to the slices they were drawn on."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import SegmentationStorage

from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.dicom_decoding import check_pixels, decode_frame
from liver_tf.ct.dicom_elements import read_dataset, sequence, text, whole_number
from liver_tf.ct.dicom_seg_frames import place_frames, read_frames, referenced_series
from liver_tf.ct.dicom_slice_order import SliceStack
from liver_tf.ct.orientation import to_canonical
from liver_tf.ct.scan import Scan, SourceGrid

#: Label Map Segmentation Storage, which pydicom 3.0 does not name yet.
LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"


@dataclass(frozen=True)
class SegmentName:
    """The description of a segment in a DICOM SEG.

    Attributes:
      number: SegmentNumber.
      label: SegmentLabel, free text: not for logs or records.
      code: SegmentedPropertyType as ``scheme:value``, e.g. ``SCT:10200004`` for liver, or empty.
      region: The first code of its anatomic region, likewise, or empty.
    """

    number: int
    label: str
    code: str
    region: str = ""


@dataclass(frozen=True)
class Segment(SegmentName):
    """A segment of a DICOM SEG on the grid of a scan.

    Attributes:
      mask: bool, of the shape of ``scan.hu``.
    """

    mask: np.ndarray = field(kw_only=True)


class DicomSeg:
    """A binary DICOM SEG mapped to a scan; a frame is decoded when :meth:`mask` needs it.

    Attributes:
      path: The file.
      segments: Its segments, by number.

    Args:
      scan: A single DICOM slice or a series; its pixels are not used.

    Raises:
      Refusal: ``dicom-…`` and ``seg-…`` of ``docs/bad_input.md``.
    """

    def __init__(self, path: Path | str, scan: Scan | SliceStack) -> None:
        self.path = path = Path(path)
        source = scan.source
        if source.kind not in ("dicom-slice", "dicom-series"):
            expected = "a scan read from DICOM"
            raise bad_input("seg-scan", path, expected, "a scan from another format")
        dataset = read_dataset(path)
        _refuse_other_objects(dataset, path)
        _refuse_other_series(dataset, path, source)
        self.segments = _segment_names(dataset, path)
        frames = read_frames(dataset, path)
        shape = check_pixels(dataset, path, len(frames))
        if shape != source.shape[1:]:
            expected = f"frames of the size of the scan, {source.shape[1]} x {source.shape[2]}"
            raise bad_input("seg-other-grid", path, expected, f"{shape[0]} x {shape[1]}")
        self._frame_of = place_frames(
            frames, {segment.number for segment in self.segments}, scan, path
        )
        if not self._frame_of and not _lists_a_slice(dataset, path, source):
            expected = "a frame on this slice"
            raise bad_input("seg-frame-unmatched", path, expected, "only frames on other slices")
        # The descriptions of the frames take more memory than the frames.
        del dataset.PerFrameFunctionalGroupsSequence
        self._dataset, self._grid = dataset, source

    def mask(self, number: int, index: int) -> np.ndarray | None:
        """Mask of a segment (by its number) on a slice, canonical; None without a frame."""
        frame = self._frame_of.get((number, index))
        if frame is None:
            return None
        stored: np.ndarray = decode_frame(self._dataset, self.path, frame) != 0
        mask: np.ndarray = to_canonical(stored[np.newaxis], self._grid)[0]
        return mask

    def has_frames(self, number: int) -> bool:
        """Whether a segment has a frame on any slice of the scan."""
        return any(segment == number for segment, _ in self._frame_of)


def read_dicom_seg(path: Path | str, scan: Scan) -> list[Segment]:
    """Read the segments of a binary DICOM SEG that was drawn on this scan, by segment number.

    A slice without a frame of a segment is empty in it, since writers may omit empty frames. For a
    single slice, frames on other slices of its series are ignored; if none is left, the slice must
    be listed among the segmented slices. For a series, every frame must match a slice.
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
        raise bad_input("seg-not-binary", path, "SegmentationType BINARY", "a label map")


def _refuse_other_objects(dataset: pydicom.Dataset, path: Path) -> None:
    storage = text(dataset, "SOPClassUID", path)
    refuse_label_map(storage, path)
    if storage != SegmentationStorage:
        raise bad_input("seg-not-seg", path, "a DICOM segmentation", "another DICOM object")
    if text(dataset, "SegmentationType", path).upper() != "BINARY":
        found = "a fractional segmentation or another type"
        raise bad_input("seg-not-binary", path, "SegmentationType BINARY", found)


def _refuse_other_series(dataset: pydicom.Dataset, path: Path, source: SourceGrid) -> None:
    referenced = referenced_series(dataset, path)
    if referenced and source.series_uid not in referenced:
        expected = "a reference to the scan's series"
        raise bad_input("seg-other-series", path, expected, "references to other series")


def _lists_a_slice(dataset: pydicom.Dataset, path: Path, source: SourceGrid) -> bool:
    """Whether a slice of the scan is listed among the segmented slices."""
    listed = {
        text(instance, "ReferencedSOPInstanceUID", path)
        for item in sequence(dataset, "ReferencedSeriesSequence", path)
        for instance in sequence(item, "ReferencedInstanceSequence", path)
    }
    return any(uid in listed for uid in source.instance_uids if uid)


def _segment_names(dataset: pydicom.Dataset, path: Path) -> tuple[SegmentName, ...]:
    names = {}
    items = sequence(dataset, "SegmentSequence", path)
    for item in items:
        key = whole_number(item, "SegmentNumber", path)
        key = -1 if key is None else key  # refused below
        names[key] = SegmentName(
            key,
            text(item, "SegmentLabel", path),
            _code(item, "SegmentedPropertyTypeCodeSequence", path),
            _code(item, "AnatomicRegionSequence", path),
        )
    if not names or len(names) != len(items) or min(names) < 0:
        expected = "segments with a unique SegmentNumber each"
        raise bad_input("seg-segments", path, expected, "none, or missing or repeated numbers")
    return tuple(names[key] for key in sorted(names))


def _code(item: pydicom.Dataset, keyword: str, path: Path) -> str:
    codes = sequence(item, keyword, path)
    if not codes:
        return ""
    scheme = text(codes[0], "CodingSchemeDesignator", path)
    return f"{scheme}:{text(codes[0], 'CodeValue', path)}"

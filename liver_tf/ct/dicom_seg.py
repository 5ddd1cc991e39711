"""DICOM segmentations (PS3.3 A.51) laid onto the slices they were drawn on.

Each frame says which segment it belongs to, where it lies and, mostly, which slice it was drawn
on. Frames are matched by that, never by their order: writers are free to choose any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import SegmentationStorage

from liver_tf.ct.dicom_file import (
    broken_file,
    decode_pixels,
    numbers,
    read_dataset,
    sequence,
    text,
    whole_number,
)
from liver_tf.ct.dicom_geometry import LPS_TO_RAS
from liver_tf.ct.orientation import stored_affine, to_canonical
from liver_tf.ct.scan import Scan
from liver_tf.labels import LIVER
from liver_tf.refusals import Refusal

MAX_FRAMES = 1 << 16
#: A frame lies on a slice if its first pixel is this near to the slice's, in mm.
_POSITION_TOLERANCE_MM = 0.1
_DIRECTION_TOLERANCE = 0.01
_SPACING_TOLERANCE = 0.01


@dataclass(frozen=True)
class Segment:
    """One segment of a DICOM SEG on the grid of a scan.

    Attributes:
      number: SegmentNumber.
      label: SegmentLabel, free text of whoever drew it: not for logs or records.
      code: SegmentedPropertyType as ``scheme:value``, e.g. ``SCT:10200004`` for liver, or empty.
      mask: bool [slices, rows, columns], canonical, of the shape of ``scan.hu``.
    """

    number: int
    label: str
    code: str
    mask: np.ndarray


def read_dicom_seg(path: Path | str, scan: Scan) -> list[Segment]:
    """The segments of a binary DICOM SEG that was drawn on this scan, by segment number.

    A slice without a frame of a segment is empty in it: writers may leave empty frames out. For a
    single slice the frames on other slices of its series are passed over, and if none is left the
    slice must at least be listed among those that were segmented. For a series every frame has to
    find its slice.

    Raises:
      Refusal: ``dicom-…`` as for any DICOM file, ``seg-not-seg``, ``seg-not-binary``,
        ``seg-scan`` (the scan is not DICOM), ``seg-other-series``, ``seg-other-grid``,
        ``seg-frames`` (frames missing or without their description), ``seg-frame-unmatched``,
        ``seg-reference``, ``seg-frame-twice``, ``seg-segments``.
    """
    path = Path(path)
    if scan.source.kind not in ("dicom-slice", "dicom-series"):
        raise _refused("seg-scan", path, "a scan read from DICOM", "a scan from another format")
    dataset = read_dataset(path)
    _refuse_other_objects(dataset, path)
    _refuse_other_series(dataset, path, scan)
    descriptions = _segment_descriptions(dataset, path)
    frames = _frames(dataset, path)
    pixels = decode_pixels(dataset, path, len(frames))
    if pixels.shape[1:] != scan.source.shape[1:]:
        came = f"{pixels.shape[1]} x {pixels.shape[2]}"
        expected = f"frames of {scan.source.shape[1]} x {scan.source.shape[2]} as in the scan"
        raise _refused("seg-other-grid", path, expected, came)
    masks = {key: np.zeros(scan.source.shape, bool) for key in descriptions}
    filled: set[tuple[int, int]] = set()
    for frame, values in zip(frames, pixels, strict=True):
        if frame.segment not in masks:
            raise _refused(
                "seg-segments", path, "frames of the segments listed", "a frame of another one"
            )
        index = _slice_of(frame, scan, path)
        if index is None:
            continue
        if (frame.segment, index) in filled:
            raise _refused("seg-frame-twice", path, "one frame a segment and slice", "several")
        filled.add((frame.segment, index))
        masks[frame.segment][index] = values != 0
    if not filled and not _lists_a_slice(dataset, path, scan):
        raise _refused(
            "seg-frame-unmatched", path, "a frame on this slice", "frames on other slices only"
        )
    return [
        Segment(key, *descriptions[key], to_canonical(mask, scan.source))
        for key, mask in sorted(masks.items())
    ]


def labels_from_segments(
    segments: list[Segment],
    mapping: Mapping[int | str, int],
    path: Path,
    *,
    lesions_over_liver: bool = False,
) -> np.ndarray:
    """One label map from segments; overlap is refused, as nothing says which segment is right.

    Args:
      segments: of :func:`read_dicom_seg`, at least one.
      mapping: label (0 to 255; 0 leaves the segment out) by segment number, label or code. The
        label in any case of letters.
      path: of the DICOM SEG, for refusals.
      lesions_over_liver: whether a lesion drawn inside the liver segment wins over it.

    Returns:
      uint8 [slices, rows, columns].

    Raises:
      Refusal: ``mask-unmapped`` for a segment that the mapping does not name, ``seg-overlap``.
    """
    folded = {key.casefold() if isinstance(key, str) else key: mapping[key] for key in mapping}
    labels = np.zeros(segments[0].mask.shape, np.uint8)
    painted = []
    for segment in segments:
        names = (segment.number, segment.label.casefold(), segment.code.casefold())
        name = next((name for name in names if name in folded), None)
        if name is None:
            raise _refused(
                "mask-unmapped",
                path,
                "every segment to be named in the mapping, by number, label or code",
                f"segment {segment.number}, which is not",
                "Add it to the mapping; map it to 0 to leave it out.",
            )
        painted.append((folded[name], segment.mask))
    if lesions_over_liver:
        painted.sort(key=lambda pair: pair[0] > LIVER)
    for label, mask in painted:
        if label == 0:
            continue
        allowed = (0, label, LIVER) if lesions_over_liver and label > LIVER else (0, label)
        if not np.isin(labels[mask], allowed).all():
            raise _refused(
                "seg-overlap",
                path,
                "segments that do not overlap",
                "pixels that belong to several",
                "Draw them apart, or let lesions win over the liver on purpose.",
            )
        labels[mask] = label
    return labels


@dataclass(frozen=True)
class _Frame:
    """What a frame says of itself; geometry in LPS+ mm."""

    segment: int
    position: np.ndarray
    orientation: np.ndarray
    spacing_mm: tuple[float, ...] | None
    references: frozenset[str]


def _refuse_other_objects(dataset: pydicom.Dataset, path: Path) -> None:
    if text(dataset, "SOPClassUID", path) != SegmentationStorage:
        raise _refused("seg-not-seg", path, "a DICOM segmentation", "another DICOM object")
    if text(dataset, "SegmentationType", path).upper() != "BINARY":
        raise _refused(
            "seg-not-binary",
            path,
            "SegmentationType BINARY",
            "a fractional or another one",
            "Export it as binary; where to cut a probability is not ours to guess.",
        )


def _refuse_other_series(dataset: pydicom.Dataset, path: Path, scan: Scan) -> None:
    referenced = {
        text(item, "SeriesInstanceUID", path)
        for item in sequence(dataset, "ReferencedSeriesSequence", path)
    }
    if referenced and scan.source.series_uid not in referenced:
        raise _refused("seg-other-series", path, "a reference to the scan's series", "to others")


def _lists_a_slice(dataset: pydicom.Dataset, path: Path, scan: Scan) -> bool:
    """Whether a slice of the scan is listed among those that were segmented."""
    listed = {
        text(instance, "ReferencedSOPInstanceUID", path)
        for item in sequence(dataset, "ReferencedSeriesSequence", path)
        for instance in sequence(item, "ReferencedInstanceSequence", path)
    }
    return any(uid in listed for uid in scan.source.instance_uids if uid)


def _segment_descriptions(dataset: pydicom.Dataset, path: Path) -> dict[int, tuple[str, str]]:
    """(label, code) by segment number."""
    found = {}
    items = sequence(dataset, "SegmentSequence", path)
    for item in items:
        codes = sequence(item, "SegmentedPropertyTypeCodeSequence", path)
        code = ""
        if codes:
            scheme = text(codes[0], "CodingSchemeDesignator", path)
            code = f"{scheme}:{text(codes[0], 'CodeValue', path)}"
        key = whole_number(item, "SegmentNumber", path)
        found[-1 if key is None else key] = (text(item, "SegmentLabel", path), code)
    if not found or len(found) != len(items) or min(found) < 0:
        raise _refused("seg-segments", path, "segments with a number each", "none, or doubles")
    return found


def _frames(dataset: pydicom.Dataset, path: Path) -> list[_Frame]:
    items = sequence(dataset, "PerFrameFunctionalGroupsSequence", path)
    count = whole_number(dataset, "NumberOfFrames", path) or 0
    if not 1 <= count <= MAX_FRAMES or len(items) != count:
        came = f"{len(items)} descriptions for {count} frames"
        raise _refused("seg-frames", path, "a description for each frame", came)
    shared = sequence(dataset, "SharedFunctionalGroupsSequence", path)
    if len(shared) > 1:
        raise broken_file(path)
    return [_frame(item, shared[0] if shared else pydicom.Dataset(), path) for item in items]


def _frame(item: pydicom.Dataset, shared: pydicom.Dataset, path: Path) -> _Frame:
    def group(keyword: str) -> pydicom.Dataset:
        found = sequence(item, keyword, path) or sequence(shared, keyword, path)
        return found[0] if found else pydicom.Dataset()

    segment = whole_number(group("SegmentIdentificationSequence"), "ReferencedSegmentNumber", path)
    position = numbers(group("PlanePositionSequence"), "ImagePositionPatient", path, 3)
    orientation = numbers(group("PlaneOrientationSequence"), "ImageOrientationPatient", path, 6)
    if segment is None or position is None or orientation is None:
        raise _refused(
            "seg-frames",
            path,
            "segment number, position and orientation of every frame",
            "a frame that lacks one of them",
        )
    derivations = sequence(item, "DerivationImageSequence", path) or sequence(
        shared, "DerivationImageSequence", path
    )
    references = frozenset(
        text(source, "ReferencedSOPInstanceUID", path)
        for derivation in derivations
        for source in sequence(derivation, "SourceImageSequence", path)
    )
    spacing = numbers(group("PixelMeasuresSequence"), "PixelSpacing", path, 2)
    return _Frame(segment, np.array(position), np.array(orientation), spacing, references)


def _slice_of(frame: _Frame, scan: Scan, path: Path) -> int | None:
    """Index of the slice of ``scan.source.files`` on which a frame lies.

    None if the scan is a single slice and the frame lies on another one of its series.
    """
    uids = scan.source.instance_uids
    referenced = [index for index, uid in enumerate(uids) if uid and uid in frame.references]
    if frame.references and not referenced and scan.source.kind == "dicom-slice":
        return None
    affine = stored_affine(scan)
    affine[:3] *= LPS_TO_RAS[:, np.newaxis]
    if np.isnan(affine[:3, 3]).any():
        # A slice that does not know where it lies can only be found by reference.
        if not referenced:
            raise _refused("seg-reference", path, "a reference to the slice", "none")
        return referenced[0]
    _refuse_other_plane(frame, affine, path)
    steps = np.arange(len(uids))[:, np.newaxis]
    step = affine[:3, 0] if len(uids) > 1 else np.zeros(3)
    distances = np.linalg.norm(affine[:3, 3] + steps * step - frame.position, axis=1)
    nearest = int(distances.argmin())
    if distances[nearest] > _POSITION_TOLERANCE_MM:
        if scan.source.kind == "dicom-slice" and not referenced:
            return None
        raise _refused(
            "seg-frame-unmatched",
            path,
            "frames that lie on slices of the scan",
            f"one that lies {distances[nearest]:.2f} mm off the nearest slice",
        )
    if frame.references and nearest not in referenced:
        raise _refused(
            "seg-reference",
            path,
            "frames that refer to the slice on which they lie",
            "one that refers to another slice",
        )
    return nearest


def _refuse_other_plane(frame: _Frame, affine: np.ndarray, path: Path) -> None:
    """Orientation and pixel spacing of frame and slice must agree; ``affine`` is in LPS+."""
    columns = affine[:3, 1:3]
    lengths = np.linalg.norm(columns, axis=0)
    if np.isnan(lengths).any():
        return
    directions = np.concatenate([columns[:, 1] / lengths[1], columns[:, 0] / lengths[0]])
    if np.abs(directions - frame.orientation).max() > _DIRECTION_TOLERANCE:
        raise _refused("seg-other-grid", path, "frames oriented as the slices are", "others")
    if frame.spacing_mm is not None and not np.allclose(
        frame.spacing_mm, lengths, rtol=_SPACING_TOLERANCE
    ):
        raise _refused("seg-other-grid", path, "frames with the slices' pixel spacing", "another")


def _refused(
    code: str,
    path: Path,
    expected: str,
    came: str,
    remedy: str = "Use the segmentation that was drawn on this very series, exported whole.",
) -> Refusal:
    return Refusal(code, path, expected=expected, came=came, remedy=remedy)

"""The frames of a DICOM SEG, matched to the slices of a scan (PS3.3 A.51, C.7.6.16).

A frame states its segment, its position and, in most files, the slice it was drawn on. Frames are
matched by these, not by their order, which is arbitrary.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom

from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.dicom_elements import broken_file, numbers, sequence, text, whole_number
from liver_tf.ct.dicom_geometry import LPS_TO_RAS
from liver_tf.ct.dicom_slice_order import SliceStack
from liver_tf.ct.orientation import stored_affine
from liver_tf.ct.scan import Scan

MAX_FRAMES = 1 << 16
#: Largest distance between the first pixels of a frame and of its slice, in mm.
_POSITION_TOLERANCE_MM = 0.1
_DIRECTION_TOLERANCE = 0.01
_SPACING_TOLERANCE = 0.01


@dataclass(frozen=True)
class Frame:
    """The description of a frame; geometry in LPS+ mm."""

    segment: int
    position: np.ndarray
    orientation: np.ndarray
    spacing_mm: tuple[float, ...] | None
    references: frozenset[str]


def read_frames(dataset: pydicom.Dataset, path: Path) -> list[Frame]:
    """Read the descriptions of the frames, in the order of their pixels.

    Raises:
      Refusal: ``seg-frames`` if the description of a frame is missing or incomplete.
    """
    items = sequence(dataset, "PerFrameFunctionalGroupsSequence", path)
    count = whole_number(dataset, "NumberOfFrames", path) or 0
    if not 1 <= count <= MAX_FRAMES or len(items) != count:
        descriptions = f"{len(items)} descriptions for {count} frames"
        raise bad_input("seg-frames", path, "a description for each frame", descriptions)
    shared = sequence(dataset, "SharedFunctionalGroupsSequence", path)
    if len(shared) > 1:
        raise broken_file(path)
    return [_frame(item, shared[0] if shared else pydicom.Dataset(), path) for item in items]


def _frame(item: pydicom.Dataset, shared: pydicom.Dataset, path: Path) -> Frame:
    def group(keyword: str) -> pydicom.Dataset:
        items = sequence(item, keyword, path) or sequence(shared, keyword, path)
        return items[0] if items else pydicom.Dataset()

    segment = whole_number(group("SegmentIdentificationSequence"), "ReferencedSegmentNumber", path)
    position = numbers(group("PlanePositionSequence"), "ImagePositionPatient", path, 3)
    orientation = numbers(group("PlaneOrientationSequence"), "ImageOrientationPatient", path, 6)
    if segment is None or position is None or orientation is None:
        expected = "segment number, position and orientation of every frame"
        raise bad_input("seg-frames", path, expected, "a frame that lacks one of them")
    references = _references(item, path) or _references(shared, path)
    spacing = numbers(group("PixelMeasuresSequence"), "PixelSpacing", path, 2)
    return Frame(segment, np.array(position), np.array(orientation), spacing, references)


def referenced_series(dataset: pydicom.Dataset, path: Path) -> set[str]:
    """SeriesInstanceUIDs that a DICOM SEG refers to; may be empty."""
    items = sequence(dataset, "ReferencedSeriesSequence", path)
    return {text(item, "SeriesInstanceUID", path) for item in items} - {""}


def referenced_instances(dataset: pydicom.Dataset, path: Path) -> set[str]:
    """SOPInstanceUIDs of the slices that the frames of a DICOM SEG refer to; may be empty."""
    groups = [
        *sequence(dataset, "PerFrameFunctionalGroupsSequence", path),
        *sequence(dataset, "SharedFunctionalGroupsSequence", path),
    ]
    return set[str]().union(*(_references(group, path) for group in groups))


def _references(group: pydicom.Dataset, path: Path) -> frozenset[str]:
    """SOPInstanceUIDs of the slices from which a frame was derived."""
    return frozenset(
        text(source, "ReferencedSOPInstanceUID", path)
        for derivation in sequence(group, "DerivationImageSequence", path)
        for source in sequence(derivation, "SourceImageSequence", path)
    )


class _Slices:
    """Positions and UIDs of the slices of a scan."""

    def __init__(self, scan: Scan | SliceStack) -> None:
        self.single = scan.source.kind == "dicom-slice"
        self.index_of = {uid: index for index, uid in enumerate(scan.source.instance_uids) if uid}
        self.affine = stored_affine(scan)  # in LPS+ here
        self.affine[:3] *= LPS_TO_RAS[:, np.newaxis]
        self.positions = scan.source.positions
        if self.positions is not None and not self.single:
            # Writers place frames on the slices, or on an even grid through them.
            steps = np.arange(len(self.positions))[:, np.newaxis]
            even = self.affine[:3, 3] + steps * self.affine[:3, 0]
            self.positions = np.stack([self.positions, even])

    def distances_mm(self, position: np.ndarray) -> np.ndarray:
        """Distances of the first pixels of the slices from a position, [slices]."""
        distances: np.ndarray = np.linalg.norm(self.positions - position, axis=-1)
        return distances if distances.ndim == 1 else distances.min(axis=0)


def place_frames(
    frames: list[Frame], segments: set[int], scan: Scan | SliceStack, path: Path
) -> dict[tuple[int, int], int]:
    """Map (segment number, index of the slice from the feet) to the index of the frame.

    For a single slice, frames on other slices of its series are ignored.
    """
    slices = _Slices(scan)
    frame_of: dict[tuple[int, int], int] = {}
    for count, frame in enumerate(frames):
        if frame.segment not in segments:
            expected = "frames of the listed segments"
            raise bad_input("seg-segments", path, expected, "a frame of another segment")
        index = _slice_of(frame, slices, path)
        if index is None:
            continue
        if (frame.segment, index) in frame_of:
            expected = "one frame per segment and slice"
            raise bad_input("seg-frame-twice", path, expected, "several")
        frame_of[frame.segment, index] = count
    return frame_of


def _slice_of(frame: Frame, slices: _Slices, path: Path) -> int | None:
    """Index of the slice of a frame.

    None if the scan is a single slice and the frame belongs to another slice of its series.
    """
    referenced = {slices.index_of[uid] for uid in frame.references if uid in slices.index_of}
    if frame.references and not referenced and slices.single:
        return None
    if slices.positions is None:
        # A slice without a position can only be matched by reference.
        if not referenced:
            raise bad_input("seg-reference", path, "a reference to the slice", "none")
        return min(referenced)
    _refuse_other_plane(frame, slices.affine, path)
    distances = slices.distances_mm(frame.position)
    nearest = int(distances.argmin())
    if distances[nearest] > _POSITION_TOLERANCE_MM:
        if slices.single and not referenced:
            return None
        found = f"a frame {distances[nearest]:.2f} mm from the nearest slice"
        raise bad_input("seg-frame-unmatched", path, "frames on slices of the scan", found)
    if frame.references and nearest not in referenced:
        expected = "frames that refer to the slice at their position"
        raise bad_input("seg-reference", path, expected, "a frame that refers to another slice")
    return nearest


def _refuse_other_plane(frame: Frame, affine: np.ndarray, path: Path) -> None:
    """Refuse another orientation or pixel spacing than the slices'; ``affine`` is in LPS+."""
    columns = affine[:3, 1:3]
    lengths = np.linalg.norm(columns, axis=0)
    if np.isnan(lengths).any():
        return
    directions = np.concatenate([columns[:, 1] / lengths[1], columns[:, 0] / lengths[0]])
    if np.abs(directions - frame.orientation).max() > _DIRECTION_TOLERANCE:
        expected = "frames oriented like the slices"
        raise bad_input("seg-other-grid", path, expected, "another orientation")
    if frame.spacing_mm is not None and not np.allclose(
        frame.spacing_mm, lengths, rtol=_SPACING_TOLERANCE
    ):
        expected = "frames with the pixel spacing of the slices"
        raise bad_input("seg-other-grid", path, expected, "another spacing")

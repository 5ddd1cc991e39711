"""Label maps from the segments of DICOM SEG files."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.dicom_seg import Segment, SegmentName
from liver_tf.labels import LIVER


def label_of(segment: SegmentName, mapping: Mapping[int | str, int], path: Path) -> int:
    """Label of a segment of the DICOM SEG ``path``, by its number, else by its label or code.

    Raises:
      Refusal: ``mask-unmapped`` if the mapping does not list the segment, ``mask-ambiguous`` if it
        maps label and code of the segment to different classes.
    """
    if segment.number in mapping:
        return mapping[segment.number]
    folded = {key.casefold(): mapping[key] for key in mapping if isinstance(key, str)}
    names = (segment.label.casefold(), segment.code.casefold())
    labels = {folded[name] for name in names if name in folded}
    if not labels:
        expected = "every segment in the mapping, by number, label or code"
        found = f"segment {segment.number}, which is not in it"
        raise bad_input("mask-unmapped", path, expected, found)
    if len(labels) > 1:
        expected = "the same class for label and code of a segment"
        found = f"segment {segment.number}, whose label and code are mapped to different classes"
        raise bad_input("mask-ambiguous", path, expected, found)
    return labels.pop()


def paint(
    labels: np.ndarray,
    masks: Iterable[tuple[int, np.ndarray, Path]],
    *,
    lesions_over_liver: bool = False,
) -> None:
    """Write masks into a label map; overlaps are refused.

    Args:
      labels: uint8 of any shape, all 0 (background); filled in place.
      masks: (label, bool mask of the same shape, its file). Label 0 is skipped.
      lesions_over_liver: Whether lesions may overlap the liver and overwrite it.
    """
    if lesions_over_liver:
        masks = sorted(masks, key=lambda mask: mask[0] > LIVER)
    for label, mask, path in masks:
        if label == 0:
            continue
        allowed = (0, label, LIVER) if lesions_over_liver and label > LIVER else (0, label)
        if not np.isin(labels[mask], allowed).all():
            expected = "segments that do not overlap"
            raise bad_input("seg-overlap", path, expected, "pixels that belong to several segments")
        labels[mask] = label


def labels_from_segments(
    segments: list[Segment],
    mapping: Mapping[int | str, int],
    path: Path,
    *,
    lesions_over_liver: bool = False,
) -> np.ndarray:
    """A label map from the segments of a file.

    Args:
      segments: From :func:`liver_tf.ct.dicom_seg.read_dicom_seg`, at least one.
      mapping: Label (0 to 255; 0 ignores the segment) by segment number, label or code; labels and
        codes in upper or lower case.
      path: Of the DICOM SEG, for refusals.
      lesions_over_liver: As of :func:`paint`.

    Returns:
      uint8 [slices, rows, columns].
    """
    labels = np.zeros(segments[0].mask.shape, np.uint8)
    masks = [(label_of(segment, mapping, path), segment.mask, path) for segment in segments]
    paint(labels, masks, lesions_over_liver=lesions_over_liver)
    return labels

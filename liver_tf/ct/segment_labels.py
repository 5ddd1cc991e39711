"""From segments of DICOM segmentations to one label map: which segment means what, and who wins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from liver_tf.ct.dicom_seg import Segment, SegmentName
from liver_tf.labels import LIVER
from liver_tf.refusals import Refusal


def label_of(segment: SegmentName, mapping: Mapping[int | str, int], path: Path) -> int:
    """Label of a segment; the mapping names it by number, or else by its label or its code.

    Args:
      mapping: as of :func:`labels_from_segments`.
      path: of the DICOM SEG, for refusals.

    Raises:
      Refusal: ``mask-unmapped`` for a segment that the mapping does not name, ``mask-ambiguous``
        where its label and its code mean different things.
    """
    if segment.number in mapping:
        return mapping[segment.number]
    folded = {key.casefold(): mapping[key] for key in mapping if isinstance(key, str)}
    names = (segment.label.casefold(), segment.code.casefold())
    found = {folded[name] for name in names if name in folded}
    if not found:
        raise Refusal(
            "mask-unmapped",
            path,
            expected="every segment to be named in the mapping, by number, label or code",
            found=f"segment {segment.number}, which is not",
            remedy="Add it to the mapping; map it to the background to leave it out.",
        )
    if len(found) > 1:
        raise Refusal(
            "mask-ambiguous",
            path,
            expected="the label and the code of a segment to mean the same",
            found=f"segment {segment.number}, whose label and code are mapped to two classes",
            remedy="Name it by its number in the mapping, or leave one of the two out.",
        )
    return found.pop()


def paint(
    labels: np.ndarray,
    drawn: Iterable[tuple[int, np.ndarray, Path]],
    *,
    lesions_over_liver: bool = False,
) -> None:
    """Write masks into a label map; overlap is refused, as nothing says which one is right.

    Args:
      labels: uint8 of any shape, all 0 (background); is changed.
      drawn: (label, bool mask of the same shape, file it is from); of label 0 nothing is drawn.
      lesions_over_liver: whether a lesion drawn inside the liver wins over it.

    Raises:
      Refusal: ``seg-overlap``.
    """
    if lesions_over_liver:
        drawn = sorted(drawn, key=lambda one: one[0] > LIVER)
    for label, mask, path in drawn:
        if label == 0:
            continue
        allowed = (0, label, LIVER) if lesions_over_liver and label > LIVER else (0, label)
        if not np.isin(labels[mask], allowed).all():
            raise Refusal(
                "seg-overlap",
                path,
                expected="segments that do not overlap",
                found="pixels that belong to several",
                remedy="Draw them apart, or let lesions win over the liver on purpose.",
            )
        labels[mask] = label


def labels_from_segments(
    segments: list[Segment],
    mapping: Mapping[int | str, int],
    path: Path,
    *,
    lesions_over_liver: bool = False,
) -> np.ndarray:
    """One label map from the segments of a file.

    Args:
      segments: of :func:`liver_tf.ct.dicom_seg.read_dicom_seg`, at least one.
      mapping: label (0 to 255; 0 leaves the segment out) by segment number, label or code. The
        label and the code in any case of letters.
      path: of the DICOM SEG, for refusals.
      lesions_over_liver: as of :func:`paint`.

    Returns:
      uint8 [slices, rows, columns].

    Raises:
      Refusal: as :func:`label_of` and :func:`paint`.
    """
    labels = np.zeros(segments[0].mask.shape, np.uint8)
    drawn = [(label_of(segment, mapping, path), segment.mask, path) for segment in segments]
    paint(labels, drawn, lesions_over_liver=lesions_over_liver)
    return labels

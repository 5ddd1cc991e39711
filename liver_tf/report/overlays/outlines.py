"""Where the outline of a class runs in a slice; whoever draws it decides how."""

from __future__ import annotations

import numpy as np
from skimage.measure import find_contours

from liver_tf.labels import LIVER, LabelSet


def outlines_of(labels: np.ndarray, label_set: LabelSet) -> dict[int, list[np.ndarray]]:
    """Closed outlines of each class that occurs, half-way between the pixels inside and outside.

    The liver's is the organ's edge, lesions included: the hole that a lesion leaves in it would
    double the lesion's own line. A liver that is all lesion still has it.

    Args:
      labels: integers [rows, columns].
      label_set: what they mean.

    Returns:
      By label, float [points, 2] of (row, column) for each outline; a pixel's centre has whole
      coordinates. Empty for a slice of background.
    """
    present = np.unique(labels)
    found = {}
    for label in range(LIVER, len(label_set)):
        if label in present or label == LIVER < present.max():
            region = labels >= LIVER if label == LIVER else labels == label
            # Padding closes outlines at the image's edge; the shift by one takes it back.
            contours = find_contours(np.pad(region, 1).astype(np.float32), 0.5)
            found[label] = [contour - 1 for contour in contours]
    return found

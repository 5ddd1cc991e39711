"""Outlines of the classes of a label map as point sequences, for any renderer."""

import numpy as np
from skimage.measure import find_contours

from liver_tf.labels import LIVER, LabelSet


def outlines_of(labels: np.ndarray, label_set: LabelSet) -> dict[int, list[np.ndarray]]:
    """Closed outlines of each class that occurs, half-way between inside and outside pixels.

    The outline of the liver includes its lesions: outlining liver without lesions would draw every
    lesion twice.

    Returns:
      label -> outlines, each float [points, 2] of (row, column) with pixel centres at integers.
      Empty for background only.
    """
    present = np.unique(labels)
    outlines = {}
    for label in range(LIVER, len(label_set)):
        if label in present or label == LIVER < present.max():
            region = labels >= LIVER if label == LIVER else labels == label
            # Padding closes outlines at the image border; subtracting 1 undoes its shift.
            contours = find_contours(np.pad(region, 1).astype(np.float32), 0.5)
            outlines[label] = [contour - 1 for contour in contours]
    return outlines

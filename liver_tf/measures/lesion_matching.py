"""One-to-one matching of true and predicted lesions by overlap.

A lesion is a connected component of lesion pixels of any type; pixels that touch at an edge or a
corner belong to one lesion (8 neighbours in a slice, 26 in a volume). True and predicted lesions
are paired so that the sum of their IoU (intersection over union) is greatest; a pair is a hit at a
threshold t if its IoU is at least t. A prediction that covers two true lesions therefore hits at
most one of them, and two fragments on one lesion are one hit and one false positive.

Source: Maier-Hein et al., "Metrics reloaded", Nature Methods 2024. At thresholds above 0.5 every
one-to-one matching gives the same pairs.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, optimize

#: IoU from which a lesion counts as found: detected, and well outlined.
IOU_THRESHOLDS = (0.1, 0.5)


@dataclass(frozen=True)
class MatchedLesion:
    """A connected lesion of truth or prediction, and its overlap with its match.

    Attributes:
      type: majority label; the lower label in a tie.
      pixels: 0 for a lesion known by diagnosis that has no outline.
      diameter_mm: diameter of the circle of the same area; None if the spacing is unknown.
      iou: IoU with its match; 0.0 without one.
      score: of a predicted lesion: the mean over its pixels of the probability of any lesion type;
        of a true lesion: the score of its match. None without a match or if unknown.
    """

    type: int
    pixels: int
    diameter_mm: float | None
    iou: float
    score: float | None = None


def match_components(
    truth: np.ndarray, predicted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Label the components of two masks, bool of the same 2-D or 3-D shape, and match them.

    Returns:
      Component numbers of truth and prediction (int32 of the masks' shape, 0 outside); float64
      [true lesions] and [predicted lesions]: IoU with the match, 0.0 without one; int64 [true
      lesions]: number of the match, 0 without one.
    """
    structure = np.ones((3,) * truth.ndim, bool)
    true_numbers, true_count = ndimage.label(truth, structure)
    found_numbers, found_count = ndimage.label(predicted, structure)
    both = np.bincount(
        true_numbers.ravel() * (found_count + 1) + found_numbers.ravel(),
        minlength=(true_count + 1) * (found_count + 1),
    ).reshape(true_count + 1, found_count + 1)
    true_pixels, found_pixels = both.sum(axis=1)[1:], both.sum(axis=0)[1:]
    inner = both[1:, 1:]
    iou = inner / (true_pixels[:, None] + found_pixels[None, :] - inner)
    rows, columns = optimize.linear_sum_assignment(iou, maximize=True)
    of_true, of_found = np.zeros(true_count), np.zeros(found_count)
    of_true[rows] = of_found[columns] = iou[rows, columns]
    matches = np.zeros(true_count, np.int64)
    matches[rows] = (columns + 1) * (of_true[rows] > 0)
    return true_numbers, found_numbers, of_true, of_found, matches

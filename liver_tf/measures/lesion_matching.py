"""Which true lesion was found by which predicted one.

A lesion is a connected component of lesion pixels of any type; pixels that touch by an edge or a
corner are one lesion (8 neighbours in a slice, 26 in a volume). True and predicted lesions are
paired one to one so that the sum of their IoU (intersection over union) is greatest; a pair counts
as a hit at a threshold t where its IoU is at least t. A prediction that covers two true lesions so
finds one of them at most, and two fragments on one lesion are one hit and one false alarm.

Source: one-to-one matching by IoU, Maier-Hein et al., "Metrics reloaded", Nature Methods 2024. At
thresholds above 0.5 any matching gives the same pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, optimize

#: Overlaps (IoU) from which a lesion counts as found: touched well enough to be seen, and outlined.
IOU_THRESHOLDS = (0.1, 0.5)


@dataclass(frozen=True)
class MatchedLesion:
    """A connected lesion, of the truth or of the prediction, and how well its partner fits.

    Attributes:
      type: label with most of its pixels (ties: the lower).
      pixels: its size. 0 stands for a lesion that is known by diagnosis but has no outline.
      diameter_mm: of the circle of the same area; None where the spacing is unknown.
      iou: with its partner on the other side; 0.0 without one.
    """

    type: int
    pixels: int
    diameter_mm: float | None
    iou: float


def match_components(
    truth: np.ndarray, predicted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Components of two masks, and the IoU of each with its partner.

    Args:
      truth, predicted: bool, same shape, 2-D or 3-D.

    Returns:
      Component numbers of truth and prediction (int32 of the masks' shape, 0 outside), then
      float64 [true lesions] and [predicted lesions]: IoU with the partner, 0.0 without one.
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
    return true_numbers, found_numbers, of_true, of_found

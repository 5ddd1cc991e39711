"""What is kept of a network's labels: lesions that lie on the annotated lesion, with its type."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from liver_tf.anatomical.augment_settings import DROP_SLICE, LabelRule
from liver_tf.labels import LIVER

KEPT = "kept"
NO_ROI, NO_LESION, NO_OVERLAP = "no-roi", "no-lesion", "no-overlap"
OTHER_LESION, HEALTHY_LEFT_OUT = "other-lesion", "healthy-left-out"

#: Outcomes in words.
OUTCOMES = {
    KEPT: "used for training",
    NO_ROI: "not used: no liver was found",
    NO_LESION: "not used: no lesion was predicted next to an annotated one",
    NO_OVERLAP: "not used: no predicted lesion lies on the annotated one",
    OTHER_LESION: "not used: another lesion was predicted (--other_lesions=drop)",
    HEALTHY_LEFT_OUT: "not used: next to a healthy slice (--nohealthy_neighbours)",
}


@dataclass(frozen=True)
class Decision:
    """What becomes of a neighbour.

    Attributes:
      outcome: One of ``OUTCOMES``.
      lesions: Predicted lesions that were kept.
      removed: Predicted lesions that became liver.
      retyped: Kept lesions of which the network predicted another type.
    """

    outcome: str
    lesions: int = 0
    removed: int = 0
    retyped: int = 0

    @property
    def used(self) -> bool:
        return self.outcome == KEPT


def make_labels(
    predicted: np.ndarray, annotated: np.ndarray, rule: LabelRule
) -> tuple[np.ndarray, Decision]:
    """Tie the predicted lesions of a neighbour to those of its annotated slice.

    Pixels that touch at an edge or a corner are one lesion, of any predicted type. A kept lesion
    gets the most frequent type of the annotated pixels under it, the lower label in a tie.

    Args:
      predicted: uint8 [rows, columns], labels of the neighbour.
      annotated: The same of the annotated slice, on the same grid.

    Returns:
      The labels, uint8 [rows, columns]: liver, and lesions that were kept; and the decision.
    """
    labels = predicted.copy()
    numbers, count = ndimage.label(predicted > LIVER, np.ones((3, 3), bool))
    kept = removed = retyped = 0
    for number in range(1, count + 1):
        lesion = numbers == number
        under = annotated[lesion]
        under = under[under > LIVER]
        if not under.size or under.size < rule.least_overlap * lesion.sum():
            labels[lesion] = LIVER
            removed += 1
            continue
        kind = int(np.bincount(under).argmax())
        retyped += int(np.bincount(predicted[lesion]).argmax() != kind)
        labels[lesion] = kind
        kept += 1
    healthy = not (annotated > LIVER).any()
    if not healthy and not count:
        outcome = NO_LESION
    elif not healthy and not kept:
        outcome = NO_OVERLAP
    elif removed and rule.other_lesions == DROP_SLICE:
        outcome = OTHER_LESION
    elif healthy and not rule.healthy_neighbours:
        outcome = HEALTHY_LEFT_OUT
    else:
        outcome = KEPT
    return labels, Decision(outcome, kept, removed, retyped)

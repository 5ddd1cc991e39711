"""Confusion matrix of lesion types over slices."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from liver_tf.labels import HEALTHY, LIVER
from liver_tf.measures.slice_result import SliceResult, class_names

#: Heading of the column of slices without a predicted lesion pixel.
NOTHING_FOUND = "nothing found"


@dataclass(frozen=True)
class Confusion:
    """Slices by true and predicted diagnosis.

    Attributes:
      true_names: lesion types, then ``healthy``.
      predicted_names: lesion types, then ``nothing found``.
      counts: int64 [true, predicted]; a slice counts once for every network that predicted it.
    """

    true_names: tuple[str, ...]
    predicted_names: tuple[str, ...]
    counts: np.ndarray


def confusion_matrix(results: Sequence[SliceResult]) -> Confusion:
    """Count slices by diagnosis; a healthy slice without a detection is the last diagonal entry.

    Raises:
      ValueError: no results, or results of different label sets.
    """
    if not results:
        raise ValueError("expected results of one label set; found none")
    lesions = class_names(results)[LIVER + 1 :]
    counts = np.zeros((len(lesions) + 1, len(lesions) + 1), dtype=np.int64)
    for result in results:
        diagnoses = result.true_diagnosis, result.predicted_diagnosis
        true, predicted = (len(lesions) if d is None else d - LIVER - 1 for d in diagnoses)
        counts[true, predicted] += 1
    return Confusion((*lesions, HEALTHY), (*lesions, NOTHING_FOUND), counts)

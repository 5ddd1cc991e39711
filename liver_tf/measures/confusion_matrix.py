"""Which type was taken for which: the confusion matrix over slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from liver_tf.labels import HEALTHY, LIVER
from liver_tf.measures.slice_result import SliceResult

#: Heading of the column of slices in which no lesion pixel was predicted.
NOTHING_FOUND = "nothing found"


@dataclass(frozen=True)
class Confusion:
    """Slices by true and predicted diagnosis.

    Attributes:
      true_names: lesion types, then ``healthy``.
      predicted_names: lesion types, then ``nothing found``.
      counts: int64 [true, predicted], slices, once for every network that predicted them.
    """

    true_names: tuple[str, ...]
    predicted_names: tuple[str, ...]
    counts: np.ndarray


def confusion_matrix(results: Sequence[SliceResult]) -> Confusion:
    """Counts slices by diagnosis; a healthy slice without a detection is the last diagonal entry.

    Raises:
      ValueError: no results, or results of different label sets.
    """
    kinds = {tuple(r.classes) for r in results}
    if len(kinds) != 1:
        raise ValueError(f"expected results of one label set; got {sorted(kinds) or 'none'}")
    lesions = kinds.pop()[LIVER + 1 :]
    counts = np.zeros((len(lesions) + 1, len(lesions) + 1), dtype=np.int64)
    for result in results:
        counts[
            _position(result.true_diagnosis, len(lesions)),
            _position(result.predicted_diagnosis, len(lesions)),
        ] += 1
    return Confusion((*lesions, HEALTHY), (*lesions, NOTHING_FOUND), counts)


def _position(label: int | None, lesions: int) -> int:
    return lesions if label is None else label - LIVER - 1

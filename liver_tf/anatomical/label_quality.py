"""Labels of neighbours compared with the true ones, which exist for phantoms."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from liver_tf.labels import LabelSet
from liver_tf.measures.compare_with_truth import compare_with_truth
from liver_tf.measures.measure_registry import summarise
from liver_tf.measures.slice_result import SliceResult
from liver_tf.records.manifest import load_manifest
from liver_tf.records.record_schema import SliceRecord
from liver_tf.records.shard_reader import read_case
from liver_tf.refusals import Refusal

#: Rows of the comparison: what is compared, and whether only neighbours that are used.
MADE, PREDICTED, PREDICTED_ALL = "labels made", "predicted, same slices", "predicted, all"
MEASURES = (
    *("dice1", "dice2", "success", "accuracy", "accuracy_detected"),
    *("healthy_false_positive_rate", "dice_liver"),
)


class TrueNeighbours:
    """The true labels of neighbours, found by their pixels."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._entries = {entry.case: entry for entry in load_manifest(folder).cases}

    def labels_of(self, neighbours: Sequence[SliceRecord]) -> list[np.ndarray]:
        """The labels of the neighbours of one case, uint8 [rows, columns] each.

        Raises:
          Refusal: ``neighbour-no-truth`` if a neighbour is not in the record set.
        """
        if not neighbours:
            return []
        entry = self._entries.get(neighbours[0].case)
        known = {} if entry is None else _by_pixels(read_case(self._folder, entry))
        missing = [n for n in neighbours if n.image.tobytes() not in known]
        if missing:
            raise Refusal(
                "neighbour-no-truth",
                self._folder,
                expected="a record set with the true labels of all neighbours",
                found=f"{len(missing)} neighbours of {neighbours[0].case} that are not in it",
                remedy="Convert sheba/true_neighbours.csv of the same phantom with the same site "
                "key, or leave out the true labels.",
            )
        return [known[neighbour.image.tobytes()] for neighbour in neighbours]


def _by_pixels(records: Iterable[SliceRecord]) -> dict[bytes, np.ndarray]:
    return {record.image.tobytes(): record.labels for record in records}


class LabelQuality:
    """Collects comparisons slice by slice; ``summary`` has the measures."""

    def __init__(self, label_set: LabelSet) -> None:
        self._label_set = label_set
        self._results: dict[str, list[SliceResult]] = {MADE: [], PREDICTED: [], PREDICTED_ALL: []}

    def add(
        self,
        neighbour: SliceRecord,
        truth: np.ndarray,
        predicted: np.ndarray,
        made: np.ndarray,
        *,
        used: bool,
    ) -> SliceResult:
        """Compare a neighbour, label maps uint8 [rows, columns]; returns the result of ``made``."""
        results = [
            compare_with_truth(
                truth,
                labels,
                self._label_set,
                patient=neighbour.patient,
                case=neighbour.case,
                slice_index=neighbour.slice_index,
            )
            for labels in (made, predicted)
        ]
        self._results[PREDICTED_ALL].append(results[1])
        if used:
            self._results[MADE].append(results[0])
            self._results[PREDICTED].append(results[1])
        return results[0]

    def summary(self) -> dict[str, dict[str, float | int | None]]:
        """By row: number of ``images`` and of ``lesion_images``, and ``MEASURES``."""
        names = ("images", "lesion_images", *MEASURES)
        return {
            row: {name: summarise(results).get(name) for name in names}
            for row, results in self._results.items()
            if results
        }

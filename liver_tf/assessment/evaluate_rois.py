"""Measure lesion networks on the ROIs of their test patients, on the network's grid.

Neither a liver network nor the way back to the slice takes part, so that thousands of networks can
be compared. Figures of complete slices come from ``evaluate``.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from liver_tf import __version__, run_files
from liver_tf.inference.decision_rules import ARGMAX, DECISIONS, PRIOR_CORRECTED
from liver_tf.inference.trained_network import TrainedNetwork
from liver_tf.measures.compare_with_truth import compare_with_truth
from liver_tf.model.weights_file import stored_hash
from liver_tf.pipeline.slices import Slices, stream
from liver_tf.pipeline.standardisation import standardise
from liver_tf.records.manifest import load_manifest
from liver_tf.results.run_results import RunResults
from liver_tf.results.stored_results import has_results, load_results, save_results

#: Slices predicted at a time.
_BATCH = 32


@dataclass(frozen=True)
class TestRois:
    """The ROIs of test patients in memory, read once for many networks.

    Attributes:
      hu: float32 [slices, s, s].
      labels: uint8 [slices, s, s].
      places: patient, case and diagnosis of each slice, and its index in the case's shard.
    """

    __test__ = False  # no test of pytest

    hu: np.ndarray
    labels: np.ndarray
    places: tuple[tuple[str, str, str, int], ...]
    fingerprint: str

    @classmethod
    def read(cls, records: Path, cases: tuple[str, ...], image_size: int) -> "TestRois":
        """Read the ROIs of ``cases`` on a grid of ``image_size`` pixels along a side."""
        manifest = load_manifest(records)
        same = tuple(range(len(manifest.label_set)))
        slices = Slices(records, manifest, cases, image_size, same)
        hu = np.zeros((slices.count, image_size, image_size), np.float32)
        labels = np.zeros(hu.shape, np.uint8)
        for one in stream(slices).as_numpy_iterator():
            hu[one["place"]], labels[one["place"]] = one["image"], one["labels"]
        places = tuple(
            (entry.patient, entry.case, entry.diagnosis, index)
            for entry in slices.entries
            for index in range(entry.records)
        )
        return cls(hu, labels, places, manifest.fingerprint)


def evaluate_on_rois(run: Path, rois: TestRois, decision: str) -> RunResults:
    """Predict and measure the test ROIs of a run, or load what was stored before.

    Sizes and distances are left out: a pixel of the grid has another size in every ROI.

    Args:
      decision: ``argmax`` or ``prior_corrected``.

    Raises:
      ValueError: another decision rule.
      Refusal: the run is not finished.
    """
    if decision not in (ARGMAX, PRIOR_CORRECTED):
        raise ValueError(f"decision: expected one of {', '.join(DECISIONS[:2])}, got {decision!r}")
    made_of = {
        "records": rois.fingerprint,
        "weights": stored_hash(run / run_files.WEIGHTS),
        "postprocessing": f"{decision} on the network's grid",
        "program": __version__,
    }
    if has_results(run, "test") and (stored := load_results(run)).made_of == made_of:
        return stored
    identity = run_files.require_identity(run, "test")
    network = TrainedNetwork.of_run(run, "lesion").with_correction(decision == PRIOR_CORRECTED)
    label_set, about = network.description.label_set, network.description
    results = []
    for first in range(0, len(rois.places), _BATCH):
        part = slice(first, first + _BATCH)
        standardised = standardise(tf.constant(rois.hu[part]), about.mean_hu, about.sd_hu)
        predicted = network.softmax(standardised).numpy().argmax(axis=-1).astype(np.uint8)
        for truth, labels, place in zip(
            rois.labels[part], predicted, rois.places[part], strict=True
        ):
            patient, case, diagnosis, index = place
            results.append(
                compare_with_truth(
                    *(truth, labels, label_set),
                    patient=patient,
                    case=case,
                    slice_index=index,
                    true_diagnosis=diagnosis or None,
                )
            )
    measured = RunResults(
        protocol=run.name,
        fold=str(identity["fold"]),
        seed=int(identity["seed"]),
        part="test",
        validation=run_files.INNER,
        label_set=label_set,
        made_of=made_of,
        results=tuple(results),
        temperature=None,
    )
    save_results(measured, run)
    return measured

"""A liver network on the test slices of its fold: what it found, measured on the source pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from liver_tf import __version__, run_files
from liver_tf.assessment.evaluate import map_name
from liver_tf.atomic_files import atomic_write
from liver_tf.inference.liver_finder import LiverFinder
from liver_tf.labels import LIVER, LIVER_ONLY
from liver_tf.measures.compare_with_truth import compare_with_truth
from liver_tf.model.weights_file import stored_hash
from liver_tf.records.manifest import Manifest
from liver_tf.records.shard_reader import check_shards, read_case
from liver_tf.results.stored_results import RunResults
from liver_tf.run_files import INNER


def evaluate_liver_run(run: Path, records: Path, manifest: Manifest) -> RunResults:
    """Measure a fine-tuned liver network on the test part of its fold, and keep it with the run."""
    identity = run_files.read_identity(run)
    return evaluate_liver(
        run,
        run,
        identity["split"]["test"],
        records,
        manifest,
        fold=str(identity["fold"]),
        seed=int(identity["seed"]),
        validation=identity["validation"],
    )


def evaluate_liver(
    network: Path,
    output: Path,
    cases: Sequence[str],
    records: Path,
    manifest: Manifest,
    *,
    fold: str,
    seed: int = 0,
    validation: str = INNER,
) -> RunResults:
    """Find the liver in the slices of some cases, as in one scan, and measure every slice.

    Args:
      network: run of the liver network. output: in which ``measures/`` is written; its name is
        that of the protocol.
      cases: pseudonyms in their order from feet to head; all their slices are of one shape.

    Raises:
      Refusal: no such network, or damaged records.
    """
    check_shards(records, manifest, cases)
    entries = {entry.case: entry for entry in manifest.cases}
    slices = [record for case in cases for record in read_case(records, entries[case])]
    found = LiverFinder.of_run(network).find(np.stack([record.image for record in slices]))
    predicted = found.astype(np.uint8)
    results = RunResults(
        protocol=output.resolve().name,
        fold=fold,
        seed=seed,
        part="test",
        validation=validation,
        label_set=LIVER_ONLY,
        made_of={
            "records": manifest.fingerprint,
            "weights": stored_hash(network / run_files.WEIGHTS),
            "program": __version__,
        },
        results=tuple(
            compare_with_truth(
                (record.labels >= LIVER).astype(np.uint8),
                labels,
                LIVER_ONLY,
                patient=record.patient,
                case=record.case,
                slice_index=record.slice_index,
                spacing_mm=record.spacing_mm,
            )
            for record, labels in zip(slices, predicted, strict=True)
        ),
    )
    maps = {
        map_name(record.case, record.slice_index): labels
        for record, labels in zip(slices, predicted, strict=True)
    }
    with (
        atomic_write(run_files.label_maps_file(output, "test")) as temporary,
        open(temporary, "wb") as file,
    ):
        np.savez_compressed(file, **maps)
    results.save(output)
    return results

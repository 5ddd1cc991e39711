"""Evaluate a liver network on the test slices of its fold, at source resolution."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from liver_tf import __version__, run_files
from liver_tf.assessment.label_maps import map_name, save_label_maps
from liver_tf.inference.liver_finder import LiverFinder
from liver_tf.labels import LIVER, LIVER_ONLY
from liver_tf.measures.compare_with_truth import compare_with_truth
from liver_tf.model.description import precision_for
from liver_tf.model.precision_settings import FLOAT32
from liver_tf.model.weights_file import stored_hash
from liver_tf.records.manifest import Manifest, implanted
from liver_tf.records.shard_reader import check_shards, read_case
from liver_tf.results.run_results import RunResults
from liver_tf.results.stored_results import save_results
from liver_tf.run_files import INNER


def evaluate_liver_run(run: Path, records: Path, manifest: Manifest) -> RunResults:
    """Evaluate a fine-tuned liver network on its test part; results are kept in its folder."""
    identity = run_files.require_identity(run, "test")
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
    precision: str = FLOAT32,
) -> RunResults:
    """Segment the liver in the slices of cases as in one scan, and evaluate every slice.

    Args:
      network: run of the liver network.
      output: run folder for the results; its name is that of the protocol.
      cases: pseudonyms from feet to head; all slices have the same shape.
      precision: of the network; see ``load_network``.
      fold: recorded in the results, as are ``seed`` and ``validation``.

    Raises:
      Refusal: no such network, or damaged records.
    """
    check_shards(records, manifest, cases)
    entries = {entry.case: entry for entry in manifest.cases}
    slices = [record for case in cases for record in read_case(records, entries[case])]
    precision = precision_for(network, precision).name
    finder = LiverFinder.of_run(network, precision=precision)
    liver = finder.find(np.stack([record.image for record in slices]))
    measured, maps = [], {}
    for record, labels in zip(slices, liver.astype(np.uint8), strict=True):
        maps[map_name(record.case, record.slice_index)] = labels
        measured.append(
            compare_with_truth(
                (record.labels >= LIVER).astype(np.uint8),
                labels,
                LIVER_ONLY,
                patient=record.patient,
                case=record.case,
                slice_index=record.slice_index,
                spacing_mm=record.spacing_mm,
            )
        )
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
            **finder.rule.stated(),
            "program": __version__,
            **({} if precision == FLOAT32 else {"precision": precision}),
            **implanted(manifest),
        },
        results=tuple(measured),
    )
    save_label_maps(output, "test", maps)
    save_results(results, output)
    return results

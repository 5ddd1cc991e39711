"""Keep the worst, median and best slice of a run with their pixels, for reports."""

from pathlib import Path

from liver_tf.assessment.label_maps import load_label_map
from liver_tf.records.manifest import Manifest
from liver_tf.records.shard_reader import read_case
from liver_tf.results.example_slices import crop_to_liver, pick_examples, save_examples
from liver_tf.results.run_results import RunResults


def save_example_slices(run: Path, results: RunResults, records: Path, manifest: Manifest) -> None:
    """Save the example slices of ``results`` from records and stored label maps."""
    entries = {entry.case: entry for entry in manifest.cases}
    examples = {}
    for rank, result in pick_examples(results.results).items():
        of_case = read_case(records, entries[result.case])
        record = next(r for r in of_case if r.slice_index == result.slice_index)
        predicted = load_label_map(run, results.part, result.case, result.slice_index)
        examples[rank] = crop_to_liver(
            record.image, record.labels, predicted, record.spacing_mm, result
        )
    save_examples(run, results, examples)

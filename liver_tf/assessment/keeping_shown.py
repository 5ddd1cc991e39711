"""The slices that a report shows, with their pixels: from records and stored label maps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from liver_tf.records.manifest import Manifest
from liver_tf.records.shard_reader import read_case
from liver_tf.results.example_slices import crop_to_liver, pick_examples, save_examples
from liver_tf.results.stored_results import RunResults


def keep_shown(
    run: Path,
    found: RunResults,
    records: Path,
    manifest: Manifest,
    label_map_of: Callable[[str, int], np.ndarray],
) -> None:
    """Keep the worst, median and best slice of what a run was measured on, in the run's folder.

    No network is asked: ``label_map_of`` gives the stored labels of a case's slice.
    """
    entries = {entry.case: entry for entry in manifest.cases}
    shown = {}
    for rank, result in pick_examples(found.results).items():
        of_case = read_case(records, entries[result.case])
        record = next(one for one in of_case if one.slice_index == result.slice_index)
        predicted = label_map_of(result.case, result.slice_index)
        shown[rank] = crop_to_liver(
            record.image, record.labels, predicted, record.spacing_mm, result
        )
    save_examples(run, found, shown)

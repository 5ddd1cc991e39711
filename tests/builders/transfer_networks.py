"""Results of a transfer study whose Dice can be calculated by hand."""

import numpy as np

from liver_tf.labels import LIVER_ONLY
from liver_tf.measures.compare_with_truth import compare_with_truth
from liver_tf.results.run_results import RunResults
from liver_tf.studies.transfer.transfer_results import TransferFold, TransferResults


def network(*found_rows, protocol="p", seed=0):
    """Results of a network: each slice has a liver of 10 x 10 pixels, some rows of it found."""
    results = []
    for index, rows in enumerate(found_rows):
        truth, predicted = np.zeros((2, 20, 20), np.uint8)
        truth[5:15, 5:15] = 1
        predicted[5 : 5 + rows, 5:15] = 1
        case = f"c-{index}"
        results.append(
            compare_with_truth(
                truth,
                predicted,
                LIVER_ONLY,
                patient=case,
                case=case,
                slice_index=0,
                spacing_mm=(1.0, 1.0),
            )
        )
    return RunResults(protocol, "0", seed, "test", "inner", LIVER_ONLY, {}, tuple(results))


def results_of(**seeds):
    """Results for one end, 4 training slices, 2 test slices; rows found per protocol and seed."""
    fold = TransferFold("head", 4, (0.0, 60.0), (72.0,), (96.0, 98.0), ("c-0", "c-1"), 12.0, 24.0)
    before = seeds.pop("before", None)
    runs = {
        ("head", 4, protocol): {
            seed: network(rows, rows, protocol=protocol, seed=seed)
            for seed, rows in enumerate(found_rows)
        }
        for protocol, found_rows in seeds.items()
    }
    return TransferResults(
        (fold,), runs, {} if before is None else {"head": network(before, before)}
    )


#: Rows found, for each seed of every protocol.
FULL = {
    "baseline": (1, 2, 2),
    "baseline_long": (4, 5, 6),
    "no_freezing": (6, 7, 8),
    "freeze_encoder": (4, 5, 5),
    "no_freezing_5_cycles": (7, 7, 7),
    "hier_freeze": (8, 8, 9),
    "no_freezing_6_cycles": (7, 8, 8),
    "hier_unfreeze": (7, 8, 9),
    "before": 3,
}

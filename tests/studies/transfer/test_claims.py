"""What the sentences of the transfer study claim."""

from dataclasses import replace

import numpy as np

from liver_tf.studies.transfer.claims import (
    CLAIMS,
    NOT_SHOWN,
    SeedComparison,
    comparisons,
    sort_claims,
)
from tests.builders.transfer_networks import FULL, results_of


def test_protocols_differ_only_if_all_seeds_are_apart():
    verdicts = {
        (claim.protocol, claim.reference): comparisons(results_of(**FULL), claim)[0].verdict
        for claim in CLAIMS
    }
    assert verdicts == {
        ("no_freezing", "baseline"): "higher",
        # 6 rows, the lowest of one, is the highest of the other.
        ("no_freezing", "baseline_long"): NOT_SHOWN,
        ("no_freezing", "phantoms only"): "higher",
        ("freeze_encoder", "no_freezing"): "lower",
        ("hier_freeze", "no_freezing_5_cycles"): "higher",
        ("hier_unfreeze", "no_freezing_6_cycles"): NOT_SHOWN,
    }
    shown, not_shown = sort_claims(results_of(**FULL))
    assert len(shown) == 3
    assert len(not_shown) == 3
    assert sum("No difference shown: the seeds overlap" in line for line in not_shown) == 2
    assert sum("The results show the opposite" in line for line in not_shown) == 1
    # Dice of 7 of 10 rows is 14 / 17, of 2 rows 4 / 12, of 1 row 2 / 11.
    expected = np.mean([12 / 16, 14 / 17, 16 / 18]) - np.mean([2 / 11, 4 / 12, 4 / 12])
    assert f"minus baseline: trained at the head, {expected:+.3f} with 4 slices." in shown[0]


def test_a_claim_must_hold_for_every_training_size():
    full = results_of(**FULL)
    more = replace(full.folds[0], count=8)
    runs = {**full.runs, **{(e, 8, p): runs for (e, _, p), runs in full.runs.items()}}
    runs["head", 8, "no_freezing"] = full.runs["head", 4, "baseline"]
    mixed = replace(full, folds=(*full.folds, more), runs=runs)
    shown, not_shown = sort_claims(mixed)
    assert not any(
        line.startswith("Pre-training on phantoms helps compared with training from scratch, one")
        for line in shown
    )
    (line,) = (line for line in not_shown if "scratch, one cycle each." in line)
    assert "Mixed results in 2 comparisons: higher in 1, no difference shown in 1." in line


def test_claims_without_results_are_listed_as_not_measured():
    shown, not_shown = sort_claims(results_of(baseline=(1, 1), no_freezing=(2, 3)))
    assert len(shown) == 1
    assert sum(line.endswith("Not measured.") for line in not_shown) == len(CLAIMS) - 1


def test_the_chance_that_equal_protocols_differ():
    # Of the 20 ways to place 3 of 6 trainings 2 have all of one above all of the other.
    assert SeedComparison("head", 4, (0.1, 0.2, 0.3), (0.1, 0.2, 0.3)).one_in == 10

"""Runs are pooled only if they belong to one study; warnings name the others."""

from dataclasses import replace

import pytest

from liver_tf.labels import LITS
from liver_tf.measures.measure_registry import summarise
from liver_tf.refusals import Refusal
from liver_tf.results.pool_runs import (
    cautions_of_runs,
    data_label_of,
    default_label,
    pool_argmax,
    pool_runs,
)
from liver_tf.results.run_results import LOOSE
from liver_tf.run_files import TEST_FOLD


def test_folds_and_seeds_are_pooled(stored):
    runs = [stored(fold=str(f), seed=s) for f in range(3) for s in range(2)] + [stored("yours")]
    pooled = pool_runs(runs)
    assert list(pooled) == ["mine", "yours"]
    summary = summarise(pooled["mine"])
    assert (summary["images"], summary["patients"], summary["networks"]) == (54, 18, 6)
    single = summarise(runs[0].results)
    assert summary["dice2"] == pytest.approx(single["dice2"])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, "found fold0/seed0/mine twice"),
        ({"fold": "1"}, "found a patient in two folds of mine"),
        ({"seed": 1, "label_set": LITS}, "runs on one label set; found 2"),
        ({"seed": 1, "made_of": {"records": "z"}}, "runs on one record set; found 2"),
    ],
)
def test_runs_of_different_studies_are_refused(stored, changes, problem):
    first = stored()
    with pytest.raises(Refusal, match=r"\[runs-not-one-study\]") as no:
        pool_runs([first, replace(first, **changes)])
    assert problem in str(no.value)


def test_runs_of_one_fold_are_tested_on_the_same_slices(stored):
    whole = stored()
    fewer = replace(stored("yours", seed=1), results=whole.results[1:])
    with pytest.raises(
        Refusal, match="with the same test slices; found different slices in fold0/seed1/yours"
    ):
        pool_runs([whole, fewer])


def test_runs_validated_on_the_test_fold_are_labelled(stored):
    clean, loose = stored(), stored(validation=TEST_FOLD)
    assert clean.clean
    assert not loose.clean
    # Beside clean runs it carries a name of its own; alone, everything is called so.
    assert list(pool_runs([clean, loose])) == ["mine", f"mine, {LOOSE}"]
    assert list(pool_runs([loose])) == ["mine"]
    assert data_label_of([loose], "my data") == f"my data, {LOOSE}"
    assert data_label_of([clean, loose], "my data") == "my data"
    assert cautions_of_runs([clean]) == ()
    (caution,) = cautions_of_runs([clean, stored(made_of={"data": "implanted"})])
    assert caution.startswith("COMPUTED LESIONS: fold0/seed0/mine were evaluated on lesions")
    (caution,) = cautions_of_runs([clean, loose])
    assert caution.startswith(
        f"{LOOSE}: early stopping, post-processing and temperature of "
        "fold0_validated_on_test/seed0/mine were chosen on the test patients"
    )


def test_argmax_is_pooled_where_all_runs_have_it(stored):
    decided = {"records": "a", "postprocessing": "holes filled"}
    own = stored(made_of=decided, quality=0.9)
    both = replace(own, argmax=stored(quality=0.1).results)
    plain = stored("plain", made_of={"records": "a", "postprocessing": "none"})
    old = stored("old", made_of=decided)
    pooled = pool_argmax([both, plain, old])
    assert list(pooled) == ["mine", "plain"]
    assert pooled["mine"] == both.argmax != own.results
    assert pooled["plain"] == plain.results
    # One run of a protocol without it: not half of the networks.
    assert list(pool_argmax([both, replace(own, seed=1), plain])) == ["plain"]


def test_a_second_test_evaluation_is_reported(stored):
    (caution,) = cautions_of_runs([stored(), stored(seed=1, looks=2)])
    assert caution.startswith("TEST FOLD EVALUATED MORE THAN ONCE: fold0/seed1/mine (2 times)")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("phantom", "PHANTOM data (not patients)"),
        ("implanted", "COMPUTED LESIONS in real scans"),
        ("real", "your data"),
        (None, "your data"),
    ],
)
def test_data_of_a_known_kind_are_named_by_it(record_set, data, expected):
    _, manifest = record_set
    assert default_label(replace(manifest, made_by={"data": data} if data else {})) == expected

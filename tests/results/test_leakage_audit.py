"""A report compares test data with training data again."""

import numpy as np
import pytest

from liver_tf.records.leakage import HashedCase, SplitPart
from liver_tf.records.training_data_file import save_training_data
from liver_tf.results.leakage_audit import audit_leakage
from liver_tf.results.study_inventory import read_study
from liver_tf.run_files import TEST_FOLD
from tests.builders.study_folder import KEY, training_cases, write_measured_run

#: 256 bits of two slices that are nothing like each other, and of one that differs in two from the
#: first; before them what is the same for equal pixels only.
BITS, OTHERS = (np.random.default_rng(seed).bytes(32).hex() for seed in (1, 2))
FIRST, OTHER = f"0:{'1' * 16}:{BITS}", f"0:{'2' * 16}:{OTHERS}"
NEAR = f"1:{'3' * 16}:{int(BITS, 16) ^ 3:064x}"


@pytest.fixture
def study(cohort, tmp_path):
    for fold in (0, 1):
        write_measured_run(tmp_path, cohort, "mine", 0.5, fold)
    return tmp_path


def seen(study, fold, *cases):
    run = study / "finetune" / f"fold{fold}" / "seed0" / "mine"
    before = SplitPart("volumes", KEY, cases)
    save_training_data(run / "seen.json", (SplitPart("fold", KEY, training_cases(fold)), before))


def test_clean_folds_have_no_leaks(study):
    check = audit_leakage(read_study(study))
    assert (check.shared, check.alike, check.cautions()) == ((), (), ())
    assert (check.test_cases, check.hashed_cases, check.seen_cases) == (40, 40, 40)
    assert check.text().startswith("40 test cases of 2 runs")
    assert check.text().endswith(
        "no pair of a training and a test case from the same patient, no pair with identical or "
        "nearly identical slices"
    )


def test_a_patient_in_training_and_test_is_a_leak(study):
    seen(study, 0, HashedCase("v1", "fold0-p03", "fold0-p03", (OTHER,)))
    check = audit_leakage(read_study(study))
    assert [(leak.left, leak.right) for leak in check.shared] == [("v1", "fold0-c03")]
    assert "1 pair of a training and a test case from the same patient" in check.cautions()[0]


def test_an_identical_slice_of_another_case_is_a_possible_leak(study):
    # What fold 0 tests fold 1 is trained on: its hash is known from there.
    cases = list(training_cases(1))
    cases[5] = HashedCase(cases[5].case, cases[5].patient, cases[5].group, (FIRST,))
    run = study / "finetune" / "fold1" / "seed0" / "mine"
    save_training_data(run / "seen.json", (SplitPart("fold", KEY, tuple(cases)),))
    seen(study, 0, HashedCase("v1", "v1", "v1", (OTHER,)))
    assert audit_leakage(read_study(study)).alike == ()
    seen(study, 0, HashedCase("v1", "v1", "v1", (OTHER, NEAR)))
    check = audit_leakage(read_study(study))
    assert [(leak.left, leak.right) for leak in check.alike] == [("v1", cases[5].case)]
    assert check.cautions()[0].startswith("POSSIBLE LEAKAGE: 1 pair")


def test_runs_without_training_data_are_listed(study):
    (study / "finetune" / "fold1" / "seed0" / "mine" / "seen.json").unlink()
    check = audit_leakage(read_study(study))
    assert check.unknown == ("fold1/seed0/mine",)
    assert "NOT COMPARED, training data unknown: fold1/seed0/mine" in check.text()
    # No list holds the hashes of fold 0's test cases now.
    assert "0 of 20 also by the hashes of their slices" in check.text()
    (study / "finetune" / "fold0" / "seed0" / "mine" / "seen.json").write_text("[")
    assert audit_leakage(read_study(study)).text().startswith("not done")


def test_validation_on_the_test_fold_is_reported_but_no_leak(cohort, tmp_path):
    run = write_measured_run(tmp_path, cohort, "mine", 0.5, validation=TEST_FOLD)
    fold = SplitPart("fold", KEY, (*training_cases(0), *training_cases(1)))
    save_training_data(run / "seen.json", (fold, SplitPart("volumes", KEY, ())))
    check = audit_leakage(read_study(tmp_path))
    assert (check.shared, check.loose) == ((), ("fold0_validated_on_test/seed0/mine",))
    assert "deliberate validation" in check.text()

"""Fine-tuning is refused if test cases are training data of the lesion or liver network."""

from dataclasses import replace

import pytest

from liver_tf.atomic_files import sha256_of
from liver_tf.records.folds import Split
from liver_tf.records.training_data_file import LIVER_TRAINING_DATA, load_training_data
from liver_tf.refusals import Refusal
from liver_tf.training.leak_check import check_fold, save_training_cases
from tests.builders import tiny_records

SPLIT = Split(("case0", "case1", "case2"), ("case3",), ("case4", "case5"))


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Record set of other patients with other images."""
    folder = tmp_path_factory.mktemp("others")
    return tiny_records.write_set(folder, patients=4, seed=7, prefix="other-")


def check(folder, manifest, pretrained, *, allow_pairs=None, accept_unknown=False):
    return check_fold(
        folder,
        manifest,
        SPLIT,
        pretrained,
        allow_pairs=allow_pairs,
        accept_unknown=accept_unknown,
    )


def all_for_training(manifest):
    return Split(tuple(case.case for case in manifest.cases), ())


def test_disjoint_patients_pass_and_are_recorded(record_set, others, tmp_path):
    save_training_cases(tmp_path / "lesion", "lesion", others, all_for_training(others))
    recorded = check(*record_set, tmp_path / "lesion")
    (part,) = recorded
    assert part.name == "training of a lesion network"
    assert [case.case for case in part.cases] == [case.case for case in others.cases]
    save_training_cases(tmp_path / "mine", "lesion", record_set[1], SPLIT, recorded)
    new_part, earlier_part = load_training_data(tmp_path / "mine" / "seen.json")
    assert [case.case for case in new_part.cases] == ["case0", "case1", "case2", "case3"]
    assert earlier_part == part
    # The recorded training data do not change when a run resumes.
    save_training_cases(tmp_path / "mine", "lesion", others, all_for_training(others))
    assert load_training_data(tmp_path / "mine" / "seen.json") == (new_part, earlier_part)


@pytest.mark.parametrize(
    ("case", "refused"),
    [("case0", False), ("case3", False), ("case5", True)],
    ids=["training", "validation", "test"],
)
def test_a_test_patient_in_the_pre_training_data_is_refused(
    record_set, others, tmp_path, case, refused, capsys
):
    folder, manifest = record_set
    entry = next(entry for entry in manifest.cases if entry.case == case)
    mixed = replace(others, cases=(*others.cases, entry))
    save_training_cases(tmp_path / "lesion", "lesion", mixed, all_for_training(mixed))
    if not refused:
        assert check(folder, manifest, tmp_path / "lesion")
        reported = "validation shares 1 pair of cases" in capsys.readouterr().out
        assert reported == (case == "case3")
        return
    with pytest.raises(Refusal, match=r"\[leak-shared-patient\].*Nothing was trained"):
        check(folder, manifest, tmp_path / "lesion")
    # Training from scratch does not use the pre-trained weights.
    assert check(folder, manifest, None) == ()


def test_test_slices_under_another_name_are_refused(record_set, others, tmp_path):
    folder, manifest = record_set
    entry = next(entry for entry in manifest.cases if entry.case == "case4")
    renamed = replace(entry, case="other-x", patient="other-p", group="other-p")
    mixed = replace(others, cases=(*others.cases, renamed))
    save_training_cases(tmp_path / "lesion", "lesion", mixed, all_for_training(mixed))
    with pytest.raises(Refusal, match=r"\[leak-identical-slice\].*other-x .*2 pairs of slices"):
        check(folder, manifest, tmp_path / "lesion")
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("case4,other-x\n")
    assert check(folder, manifest, tmp_path / "lesion", allow_pairs=pairs)
    pairs.write_text("case4,other-y\n")
    with pytest.raises(Refusal, match=r"\[allow-unknown-case\]"):
        check(folder, manifest, tmp_path / "lesion", allow_pairs=pairs)


def test_leaks_between_the_parts_of_a_fold_are_refused(record_set):
    folder, manifest = record_set
    cases = [
        replace(c, group="shared") if c.case in ("case0", "case5") else c for c in manifest.cases
    ]
    with pytest.raises(Refusal, match=r"\[leak-shared-patient\].*case0 .*fold training.* case5"):
        check(folder, replace(manifest, cases=tuple(cases)), None)


def test_different_pseudonym_keys_are_reported(record_set, others, tmp_path, capsys):
    folder, manifest = record_set
    foreign = replace(others, made_by={"site_key": "f" * 16})
    save_training_cases(tmp_path / "lesion", "lesion", foreign, all_for_training(foreign))
    check(folder, manifest, tmp_path / "lesion")
    assert "leakage guard: patients of training of a lesion network and fold test cannot be" in (
        capsys.readouterr().out
    )


def test_a_run_without_recorded_training_data_is_refused_unless_accepted(
    record_set, tmp_path, capsys
):
    folder, manifest = record_set
    with pytest.raises(Refusal, match=r"\[no-seen\].*Run its training again"):
        check(folder, manifest, tmp_path)
    assert check(folder, manifest, tmp_path, accept_unknown=True) == ()
    assert "the training data of a network are unknown" in capsys.readouterr().out


def test_the_training_data_of_the_liver_network_count_too(record_set, others, tmp_path):
    _, manifest = record_set
    records = tmp_path / "rois"
    save_training_cases(tmp_path / "liver", "liver", manifest, Split(("case5",), ("case0",)))
    records.mkdir()

    def roi_set(digest):
        return replace(manifest, roi={**manifest.roi, "liver": "network", "liver_seen": digest})

    with pytest.raises(Refusal, match=r"\[no-seen\]"):
        check(records, roi_set(None), None)
    copied = (tmp_path / "liver" / "seen.json").rename(records / LIVER_TRAINING_DATA)
    with pytest.raises(Refusal, match=r"\[leak-shared-patient\].*training of a liver network"):
        check(records, roi_set(sha256_of(copied)), None)
    with pytest.raises(Refusal, match=r"\[seen-damaged\].*Cut the ROIs again"):
        check(records, roi_set("0" * 64), None)
    copied.unlink()
    save_training_cases(tmp_path / "second", "liver", others, all_for_training(others))
    copied = (tmp_path / "second" / "seen.json").rename(records / LIVER_TRAINING_DATA)
    assert check(records, roi_set(sha256_of(copied)), None) == ()

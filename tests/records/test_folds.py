"""Folds: by patient, every case tested once, stratified by diagnosis, reproducible."""

import collections
import json
from dataclasses import replace

import pytest

from liver_tf.labels import LESION_TYPES
from liver_tf.records.case_statistics import CaseStatistics
from liver_tf.records.folds import (
    Split,
    cross_validation,
    fixed_test,
    hold_out,
    load_folds,
    missing_diagnoses,
    require_parts,
    save_folds,
)
from liver_tf.records.manifest import CaseEntry, Manifest
from liver_tf.refusals import Refusal
from tests.builders import tiny_records

KINDS = ("cyst", "hemangioma", "metastasis", "healthy")


def make_manifest(patients=36, cases_each=2, group_size=1):
    """Patients with all diagnoses in turn; ``group_size`` consecutive patients share a group."""
    cases = [
        CaseEntry(
            case=f"c{patient:03d}-{number}",
            patient=f"p{patient:03d}",
            group=f"g{patient // group_size:03d}",
            shard=f"c{patient:03d}-{number}.tfrecord",
            records=3,
            bytes=10,
            sha256="0" * 64,
            diagnosis=KINDS[patient // group_size % 4],
            statistics=CaseStatistics((1, 1, 0, 0, 0), 1.0, 1.0),
            hashes=("0:-:-", "1:-:-", "2:-:-"),
        )
        for patient in range(patients)
        for number in range(cases_each)
    ]
    return Manifest(LESION_TYPES, (-160, 240), tuple(cases))


def groups_of(manifest, cases):
    return {entry.group for entry in manifest.cases if entry.case in set(cases)}


@pytest.mark.parametrize("seed", [0, 1, 7])
@pytest.mark.parametrize("group_size", [1, 3])
def test_groups_are_in_one_part_and_every_case_is_tested_once(seed, group_size):
    manifest = make_manifest(group_size=group_size)
    splits = cross_validation(manifest, folds=3, validation_share=0.2, seed=seed)
    all_cases = sorted(entry.case for entry in manifest.cases)
    assert sorted(case for split in splits for case in split.test) == all_cases
    for split in splits:
        parts = (split.training, split.validation, split.test)
        assert sorted(case for part in parts for case in part) == all_cases
        groups = [groups_of(manifest, part) for part in parts]
        assert all(groups)
        assert sum(map(len, groups)) == len(set.union(*groups))


def test_folds_are_stratified_by_diagnosis():
    manifest = make_manifest(patients=36)
    by_case = {entry.case: entry.diagnosis for entry in manifest.cases}
    for split in cross_validation(manifest, folds=3, validation_share=0.25, seed=0):
        # 9 patients per diagnosis: 3 for testing, and a quarter of the other 6 for validation.
        tested = collections.Counter(by_case[case] for case in split.test)
        assert tested == dict.fromkeys(KINDS, 3 * 2)
        validating = collections.Counter(by_case[case] for case in split.validation)
        assert validating == dict.fromkeys(KINDS, 2 * 2)


def test_folds_depend_on_the_seed_but_not_on_the_order_of_cases():
    manifest = make_manifest()
    arguments = {"folds": 3, "validation_share": 0.2, "seed": 4}
    first = cross_validation(manifest, **arguments)
    shuffled = replace(manifest, cases=manifest.cases[::-1])
    assert cross_validation(shuffled, **arguments) == first
    assert cross_validation(manifest, **{**arguments, "seed": 5}) != first


def test_hold_out_has_the_share_of_the_paper():
    manifest = make_manifest(patients=130, cases_each=1)
    manifest = replace(
        manifest, cases=tuple(replace(entry, diagnosis="lesion") for entry in manifest.cases)
    )
    split = hold_out(manifest, validation_share=15 / 130, seed=0)
    assert (len(split.training), len(split.validation), split.test) == (115, 15, ())
    assert hold_out(manifest, validation_share=15 / 130, seed=0) == split
    assert hold_out(manifest, validation_share=15 / 130, seed=1) != split


@pytest.mark.parametrize("share", [0.0, 0.05, 0.9])
def test_training_and_validation_are_never_empty(share):
    for patients in (2, 3, 5, 8):
        split = hold_out(make_manifest(patients), validation_share=share, seed=0)
        assert split.training
        assert split.validation


def test_a_fixed_test_part_has_the_given_patients_and_their_groups():
    manifest = make_manifest(patients=12, group_size=2)
    (split,) = fixed_test(manifest, {"p000", "p003"}, validation_share=0.25, seed=0)
    assert groups_of(manifest, split.test) == {"g000", "g001"}
    # Patients 1 and 2 belong to these groups.
    assert len(split.test) == 4 * 2
    rest = groups_of(manifest, split.training) | groups_of(manifest, split.validation)
    assert rest == {"g002", "g003", "g004", "g005"}
    assert not groups_of(manifest, split.training) & groups_of(manifest, split.validation)
    with pytest.raises(Refusal, match="test-patient-unknown") as refused:
        fixed_test(manifest, {"p000", "p099"}, validation_share=0.25, seed=0)
    assert refused.value.found == "1 of 2 that are not"


def test_too_few_patients_are_refused():
    with pytest.raises(Refusal, match=r"\[too-few-patients\] expected at least 3 .*; found 2"):
        cross_validation(make_manifest(2), folds=3, validation_share=0.2, seed=0)
    with pytest.raises(Refusal, match=r"\[too-few-patients\] .*; found 1"):
        hold_out(make_manifest(1), validation_share=0.2, seed=0)


def test_stored_folds_apply_to_a_set_with_fewer_cases(tmp_path):
    manifest = make_manifest(patients=12)
    splits = cross_validation(manifest, folds=3, validation_share=0.2, seed=0)
    path = tmp_path / "folds.json"
    save_folds(path, manifest, splits, {"folds": 3})
    assert load_folds(path, manifest) == splits
    removed = splits[0].test[0]
    fewer = replace(
        manifest,
        cases=tuple(e for e in manifest.cases if e.case != removed),
        roi={"source_fingerprint": manifest.fingerprint},
    )
    loaded = load_folds(path, fewer)
    assert loaded[0].test == splits[0].test[1:]
    assert all(removed not in (*split.training, *split.validation) for split in loaded)
    assert loaded[0].training == splits[0].training


def test_missing_folds_and_folds_of_other_data_are_refused(tmp_path):
    manifest = make_manifest(patients=12)
    path = tmp_path / "folds.json"
    with pytest.raises(Refusal, match=r"\[no-folds\] .*; found no such file"):
        load_folds(path, manifest)
    splits = cross_validation(manifest, folds=3, validation_share=0.2, seed=0)
    save_folds(path, manifest, splits, {})
    more = make_manifest(patients=13)
    with pytest.raises(Refusal, match=r"\[folds-differ\] .*; found folds of other data"):
        load_folds(path, more)
    cut_from_these = replace(more, roi={"source_fingerprint": manifest.fingerprint})
    with pytest.raises(Refusal, match=r"\[folds-differ\] .*; found 2 of 26 cases in none"):
        load_folds(path, cut_from_these)
    for text in ("{", "[]", '{"folds": [{}]}'):
        path.write_text(text)
        with pytest.raises(Refusal, match=r"\[folds-damaged\]"):
            load_folds(path, manifest)


def test_changed_folds_are_refused(tmp_path):
    manifest = make_manifest(patients=12)
    splits = cross_validation(manifest, folds=3, validation_share=0.2, seed=0)
    path = tmp_path / "folds.json"
    save_folds(path, manifest, splits, {})
    text = path.read_text()
    moved = json.loads(text)
    moved["folds"][0]["training"].append(moved["folds"][0]["test"].pop())
    renamed = text.replace(f'"{splits[1].test[0]}"', '"c-renamed"', 1)
    for changed in (renamed, json.dumps(moved), text.replace('"checksum"', '"chdcksum"')):
        assert changed != text
        path.write_text(changed)
        with pytest.raises(Refusal, match=r"\[folds-damaged\] .*does not match its checksum"):
            load_folds(path, manifest)


def test_folds_of_earlier_versions_are_read_without_unknown_cases(tmp_path):
    manifest = make_manifest(patients=12)
    splits = cross_validation(manifest, folds=3, validation_share=0.2, seed=0)
    path = tmp_path / "folds.json"
    save_folds(path, manifest, splits, {})
    content = json.loads(path.read_text())
    del content["checksum"]
    path.write_text(json.dumps(content))
    assert load_folds(path, manifest) == splits
    # As a flipped bit would: the case is still in the other folds.
    content["folds"][1]["test"][0] = "c-renamed"
    path.write_text(json.dumps(content))
    with pytest.raises(Refusal, match=r"\[folds-differ\] expected the 24 cases .*; found 1 other"):
        load_folds(path, manifest)


def test_a_fold_without_validation_patients_is_refused(tmp_path):
    require_parts(Split(("a",), ("b",)), tmp_path)
    with pytest.raises(Refusal, match=r"\[fold-empty\].*; found 1 and 0"):
        require_parts(Split(("a",), ()), tmp_path)


def test_a_diagnosis_missing_in_a_part_is_reported(tmp_path):
    manifest = tiny_records.write_set(tmp_path, patients=8)  # two patients of each diagnosis
    names = {entry.case: entry.diagnosis for entry in manifest.cases}
    split = Split(
        tuple(case for case, name in names.items() if name != "cyst"),
        tuple(case for case, name in names.items() if name == "cyst"),
        tuple(names),
    )
    reported = missing_diagnoses(manifest, (split,))
    assert reported == [
        "fold 0 has no patient with cyst in its training part",
        *(
            f"fold 0 has no patient with {name} in its validation part"
            for name in ("healthy", "hemangioma", "metastasis")
        ),
    ]

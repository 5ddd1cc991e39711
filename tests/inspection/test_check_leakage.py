"""The guard in the commands on data: hashes that are stored, folds refused, sets compared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from data_prep import check_leakage
from liver_tf.conversion.roi_sets import cut_rois
from liver_tf.inference.roi_rule import RoiRule
from liver_tf.model.liver_rule import WHOLE_SLICE
from liver_tf.records.folds import Split, load_folds, save_folds
from liver_tf.records.manifest import load_manifest
from liver_tf.records.slice_hash import hash_slice
from liver_tf.records.training_data_file import LIVER_TRAINING_DATA
from tests.builders.phantom_sets import bytes_of, read_table, records_of, run_command, write_table
from tests.builders.tiny_records import resealed

RULE = RoiRule(margin_mm=15.0, least_side_mm=120.0)


@pytest.fixture
def check(command, capsys):
    """Runs the command: (exit status, what it printed)."""

    def call(*records, **flags):
        arguments = [f"--records={folder}" for folder in records]
        arguments += [f"--{name}={value}" for name, value in flags.items()]
        status = command(check_leakage, *arguments)
        return status, "".join(capsys.readouterr())

    return call


@pytest.mark.parametrize("name", ["lits_set", "slices_set"])
def test_hashes_agree_with_the_records(request, name):
    folder = request.getfixturevalue(name)
    records = records_of(folder)
    for entry in load_manifest(folder).cases:
        assert entry.hashes == tuple(
            hash_slice(record.image, index)
            for (case, index), record in sorted(records.items())
            if case == entry.case
        )
        assert json.loads((folder / ".cases" / f"{entry.case}.json").read_text())["entry"][
            "hashes"
        ] == list(entry.hashes)


def test_a_roi_has_the_hash_of_its_whole_slice(lits_set, tmp_path):
    cut_rois(lits_set, tmp_path / "rois", None, RULE)
    source = {entry.case: entry.hashes for entry in load_manifest(lits_set).cases}
    kept = {key for key, record in records_of(lits_set).items() if (record.labels >= 1).any()}
    dropped = 0
    for entry in load_manifest(tmp_path / "rois").cases:
        expected = [t for t in source[entry.case] if (entry.case, int(t.split(":")[0])) in kept]
        assert list(entry.hashes) == expected
        assert len(expected) == entry.records
        dropped += len(source[entry.case]) - len(expected)
    assert dropped


def test_rois_carry_the_training_data_of_the_liver_network(lits_set, tmp_path):
    class Finder:
        rule = WHOLE_SLICE

        class network:
            class description:
                data_fingerprint = "0" * 64

        @staticmethod
        def find(images):
            return images > 75

    training_data = tmp_path / "seen.json"
    training_data.write_text("[]\n")
    output = tmp_path / "rois"
    cut_rois(lits_set, output, Finder(), RULE, training_data)
    assert (output / LIVER_TRAINING_DATA).read_text() == "[]\n"
    # sha256sum of the three bytes.
    expected = "37517e5f3dc66819f61f5a7bb8ace1921282415f10551d2defa5c3eb0985b570"
    assert load_manifest(output).roi["liver_seen"] == expected
    cut_rois(lits_set, output, None, RULE)
    assert not (output / LIVER_TRAINING_DATA).exists()
    assert load_manifest(output).roi["liver_seen"] is None


def test_phantom_patients_do_not_look_alike(lits_set, slices_set, check):
    status, text = check(lits_set, slices_set)
    assert status == 0
    assert "shared-patient: 0 pairs of cases\nidentical-slice: 0 pairs" in text


def test_a_copy_of_a_set_is_a_leak(lits_set, slices_set, check):
    status, text = check(slices_set, slices_set)
    assert status == 1
    assert "shared-patient: 9 pairs of cases" in text


def test_folds_are_compared_by_parts(slices_set, lits_set, check, tmp_path):
    manifest = load_manifest(slices_set)
    cases = [entry.case for entry in manifest.cases]
    path = tmp_path / "folds.json"
    save_folds(path, manifest, (Split(tuple(cases[:5]), (cases[5],), tuple(cases[6:])),), {})
    assert check(slices_set, lits_set, folds_file=path)[0] == 0
    double = Split(tuple(cases[:5]), (cases[5],), (cases[5], *cases[6:]))
    save_folds(path, manifest, (double,), {})
    status, text = check(slices_set, lits_set, folds_file=path)
    assert status == 1
    assert f"  {cases[5]} (fold 0 validation) and {cases[5]} (fold 0 test)\n" in text
    assert check(slices_set, folds_file=tmp_path / "nowhere")[0] == 1


def test_a_patient_under_two_identifiers(tiny_phantom, tmp_path, check):
    """No folds are made of such a table, until the pair is allowed; the records stay."""
    source = shutil.copytree(tiny_phantom / "sheba", tmp_path / "sheba")
    rows = read_table(source / "slices.csv")
    again = [dict(row) for row in rows if row["patient_id"] == rows[0]["patient_id"]]
    for number, row in enumerate(again):
        row["patient_id"], row["slice_id"] = "somebody-else", f"again{number}"
        for kind in ("image", "mask"):
            copy = f"again{number}{Path(row[kind]).suffix}"
            shutil.copyfile(source / row[kind], source / copy)
            row[kind] = copy
    table = write_table(source / "slices.csv", [*rows, *again])
    output = tmp_path / "set"
    convert = ("build_tfrecords", "--source=slices", f"--input={table}", f"--output={output}")
    convert += ("--workers=1", "--ignore_patient_id")  # which the copies would bear too
    done = run_command(*convert)
    assert done.returncode == 1
    assert "[leak-identical-slice]" in done.stderr
    assert "If one patient has two identifiers, correct them" in done.stderr
    assert "somebody" not in done.stdout + done.stderr
    assert not (output / "folds.json").exists()
    assert len(load_manifest(output).cases) == 10
    status, text = check(output)
    assert status == 1
    (line,) = (line for line in text.splitlines() if line.startswith("  "))
    first, second = line.split()[0], line.split(" and ")[1].split()[0]
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(f"{first},{second}\n")
    assert check(output, allow_pairs=pairs)[0] == 0
    shards = bytes_of(output, "*.tfrecord")
    done = run_command(*convert, f"--allow_pairs={pairs}")
    assert done.returncode == 0, done.stderr
    assert len(load_folds(output / "folds.json", load_manifest(output))) == 3
    assert bytes_of(output, "*.tfrecord") == shards
    pairs.write_text(f"{first},c-0123456789abcdef\n")
    assert "[allow-unknown-case]" in check(output, allow_pairs=pairs)[1]


def test_sets_under_different_keys_are_compared_by_pixels(slices_set, tmp_path, check):
    folder = shutil.copytree(slices_set, tmp_path / "set")
    text = (folder / "manifest.json").read_text()
    key = json.loads(text)["made_by"]["site_key"]
    # As if of another site: other pseudonyms, another key.
    text = text.replace(key, "f" * 16).replace('"p-', '"p-0').replace('"case": "c-', '"case": "c-0')
    (folder / "manifest.json").write_text(resealed(text))
    status, printed = check(slices_set, folder)
    assert status == 1
    assert f"caution: patients of {slices_set} and {folder} cannot be compared" in printed
    assert "shared-patient: 0 pairs of cases\nidentical-slice: 9 pairs" in printed

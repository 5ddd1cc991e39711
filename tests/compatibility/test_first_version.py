"""Record sets, runs, results and SavedModels of the first version are still read."""

from __future__ import annotations

import csv
import json
import tarfile
from pathlib import Path

import nibabel
import numpy as np
import pytest

import liver_tf
from liver_tf.records.manifest import load_manifest
from liver_tf.records.shard_reader import check_shards, read_case

RUN = "fold0/seed0/two"

#: Kept by one machine, compared on another: last bits may differ there and grow while training.
WEIGHTS_TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("first_version")
    with tarfile.open(Path(__file__).with_name("first_version.tar.gz")) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize(
    ("name", "records", "cases"),
    [("lits", 24, 3), ("lits_roi", 18, 3), ("slices", 26, 12), ("slices_roi", 26, 12)],
)
def test_every_record_is_read(first, name, records, cases):
    manifest = load_manifest(first / name)
    stored = json.loads((first / name / "manifest.json").read_text())
    check_shards(first / name, manifest)
    assert manifest.fingerprint == stored["fingerprint"]
    assert len(manifest.cases) == cases
    assert manifest.records == records
    for entry in manifest.cases:
        slices = list(read_case(first / name, entry))
        assert len(slices) == entry.records
        labels = np.concatenate([record.labels.ravel() for record in slices])
        images = np.concatenate([record.image.ravel() for record in slices])
        pixels = np.bincount(labels, minlength=len(manifest.label_set))
        assert tuple(pixels) == tuple(entry.statistics.class_pixels)
        assert images[labels == 1].sum(dtype=np.float64) == entry.statistics.liver_sum
        assert all((record.box is not None) == name.endswith("_roi") for record in slices)


def test_a_run_predicts_the_same_label_map(first, command, tmp_path):
    from trainers import predict

    predicted = first / "predicted"
    status = command(
        predict,
        f"--model={first}/runs/{RUN}",
        f"--liver_run={first}/runs/liver",
        f"--input={predicted}/volume-0.nii.gz",
        f"--output={tmp_path}",
        "--pictures=0",
        "--precision=float32",
        "--label_map=voxels",
    )
    assert status == 0
    expected = nibabel.load(predicted / "labels.nii.gz")
    actual = nibabel.load(tmp_path / "scan-001/labels.nii.gz")
    assert np.unique(expected.dataobj).size == 3, "the archive's label map should not be trivial"
    np.testing.assert_array_equal(actual.affine, expected.affine)
    # On another processor a pixel on the threshold may fall on the other side.
    assert np.mean(np.asarray(actual.dataobj) != np.asarray(expected.dataobj)) < 1e-3
    stored = json.loads((predicted / "lesions.json").read_text())
    now = json.loads((tmp_path / "scan-001/lesions.json").read_text())
    assert now.keys() == {*stored, "trained_on", "headline", "layout", "scan_sha256", "overlays"}
    assert [lesion.keys() for lesion in now["lesions"]] == [
        lesion.keys() for lesion in stored["lesions"]
    ]
    assert now["made_by"] == stored["made_by"], "the hash of the weights"


@pytest.mark.long
def test_an_interrupted_run_resumes_to_the_weights_of_the_first_version(
    first, command, capsys, tmp_path, monkeypatch
):
    from trainers import finetune

    monkeypatch.chdir(first)
    status = command(
        finetune,
        "--protocol=two",
        "--cycle=none",
        "--cycle=enc1",
        "--epochs=6",
        "--learning_rate=5e-3",
        "--batch_size=2",
        "--records=slices_roi",
        "--folds_file=slices/folds.json",
        "--pretrained=runs/lesion",
        "--accept_unknown_training",
        "--runs=started",
    )
    assert status == 0
    trained = [line for line in capsys.readouterr().out.splitlines() if "epoch 1 of 6" in line]
    assert trained == [], "it should resume after epoch 3 of the second cycle"
    expected = np.load(first / "runs" / RUN / "weights.npz")
    actual = np.load(first / "started" / RUN / "weights.npz")
    assert set(actual) == set(expected)
    for name in set(expected) - {"sha256"}:
        np.testing.assert_allclose(
            actual[name], expected[name], atol=WEIGHTS_TOLERANCE, err_msg=name
        )
    old, new = (
        list(csv.DictReader((first / part / RUN / "cycle2/history.csv").open()))
        for part in ("runs", "started")
    )
    assert [row["epoch"] for row in new] == [row["epoch"] for row in old]
    # The first three rows were written by the first version, on the same machine.
    assert [row["loss"] for row in new[:3]] == [row["loss"] for row in old[:3]]


def test_stored_results_make_the_same_report(first, command, tmp_path):
    from trainers import evaluate

    results = first / "runs" / RUN / "measures/test.json"
    written = results.stat().st_mtime_ns
    status = command(
        evaluate,
        f"--run={first}/runs/{RUN}",
        f"--liver_run={first}/runs/liver",
        f"--records={first}/slices",
        f"--output={tmp_path}",
        "--samples=100",
    )
    assert status == 0
    # Results of another version of the program are measured again.
    assert results.stat().st_mtime_ns == written or liver_tf.__version__ != "0.1.0"
    expected, actual = (
        {
            (row["source"], row["protocol"], row["measure"], row["size"]): row["value"]
            for row in csv.DictReader((folder / "report.csv").open())
        }
        for folder in (first / "report", tmp_path)
    )
    # The first version did not report raw argmax beside the run's decision.
    added = {key for key in actual if key[0] == "measured, raw argmax"}
    assert {key: actual[key] for key in actual.keys() - added} == expected
    for _, protocol, measure, size in added:
        assert (
            actual["measured, raw argmax", protocol, measure, size]
            == (expected["measured", protocol, measure, size])
        )


@pytest.mark.parametrize("signature", ["serving_default", "volume"])
def test_a_saved_model_answers_as_before(first, signature):
    import tensorflow as tf

    stored = np.load(first / "saved_model/answers.npz")
    loaded = tf.saved_model.load(str(first / "saved_model/1"))
    hu, spacing = stored["hu"], stored["spacing_mm"]
    if signature == "serving_default":
        hu, spacing = hu.astype(np.float32), spacing[None, 1:]
    answer = loaded.signatures[signature](hu=tf.constant(hu), spacing_mm=tf.constant(spacing))
    names = {name for name in stored if name.startswith(f"{signature}.")}
    assert names == {f"{signature}.{name}" for name in answer}
    for name, value in answer.items():
        expected = stored[f"{signature}.{name}"]
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(value, expected, rtol=1e-3, atol=1e-4, err_msg=name)
        else:
            assert np.mean(value.numpy() != expected) < 1e-3, name

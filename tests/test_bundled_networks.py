"""The networks in the package: packed from runs, used by default, named ``bundled``."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from liver_tf import bundled_networks, checksums
from liver_tf.bundled_networks import available, bundled, run_named
from liver_tf.command_line.flags_of_options import parse
from liver_tf.conversion.roi_set_settings import RoiSetSettings
from liver_tf.export.export_model import ExportSettings
from liver_tf.export.pack_settings import PackSettings
from liver_tf.export.pack_weights import half_precision, pack_weights
from liver_tf.inference import postprocessing
from liver_tf.inference.postprocessing import PostProcessing
from liver_tf.model.description import load_description, load_network
from liver_tf.model.liver_rule import LiverRule
from liver_tf.model.weights_file import load_arrays
from liver_tf.node.node_settings import ListenSettings
from liver_tf.options import OptionError
from liver_tf.prediction.prediction_settings import PredictSettings
from liver_tf.records.training_data_file import load_training_data
from liver_tf.refusals import Refusal
from liver_tf.trained_on import TrainedOn
from liver_tf.training.training_settings import FinetuneSettings
from tests.builders.bundled_runs import PHANTOMS, save_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {name: save_run(folder / name, name) for name in PHANTOMS}


@pytest.fixture(scope="module")
def packed(runs, tmp_path_factory):
    output = tmp_path_factory.mktemp("package") / "weights"
    pack_weights(PackSettings(**runs, output=output, commit="abc", command="make weights"))
    return output


@pytest.fixture
def package(packed, monkeypatch):
    """The program with these networks in its package."""
    monkeypatch.setattr(bundled_networks, "FOLDER", packed)
    return packed


def digests(folder):
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


def test_the_same_runs_give_the_same_bytes(runs, packed, tmp_path):
    pack_weights(PackSettings(**runs, output=tmp_path, commit="abc", command="make weights"))
    assert digests(tmp_path) == digests(packed)
    files = {"weights.npz", "model.json", "seen.json", "SHA256SUMS", "model_card.md"}
    assert set(digests(packed)) == {f"{name}/{file}" for name in PHANTOMS for file in files}


def test_kernels_are_halved_and_nothing_else(runs, packed):
    before, after = (
        load_arrays(each / "weights.npz") for each in (runs["liver"], packed / "liver")
    )
    assert before.keys() == after.keys()
    for name, array in before.items():
        expected = np.float16 if array.ndim > 1 else np.float32
        assert after[name].dtype == expected
        np.testing.assert_array_equal(after[name], array.astype(expected))
    # Three networks of 16 base filters at 128 pixels, 2 bytes a weight.
    filters = 16 / 2
    sizes = [(packed / name / "weights.npz").stat().st_size for name in PHANTOMS]
    kernels = sum(array.size for array in after.values() if array.ndim > 1)
    assert 3 * 2 * kernels * filters**2 < 12e6
    assert sum(sizes) < 3 * 2.6 * sum(array.size for array in after.values()) + 3 * 30_000


def test_a_packed_network_answers_as_its_run(runs, packed):
    image = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype(np.float32)
    for name in PHANTOMS:
        before, _ = load_network(runs[name])
        after, description = load_network(packed / name)
        assert description == load_description(runs[name])
        answers = [keras.ops.softmax(model(image)).numpy() for model in (before, after)]
        np.testing.assert_allclose(*answers, atol=0.01)


def test_a_changed_network_is_refused(packed, tmp_path):
    for name in ("weights.npz", "model.json"):
        folder = tmp_path / name
        folder.mkdir()
        for path in (packed / "lesion").iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        (folder / name).write_bytes((packed / "typed" / name).read_bytes())
        with pytest.raises(Refusal, match="checksum-differs"):
            load_network(folder)


@pytest.mark.parametrize(
    ("name", "changes", "code"),
    [
        ("liver", {"trained_on": TrainedOn("mixed", 3, 12)}, "pack-not-phantom"),
        ("liver", {"trained_on": None}, "pack-not-phantom"),
        ("typed", {}, "pack-other-network"),
    ],
)
def test_other_runs_are_not_packed(name, changes, code, tmp_path):
    run = save_run(tmp_path / "run", name, **changes)
    with pytest.raises(Refusal, match=code):
        pack_weights(PackSettings(liver=run, output=tmp_path / "weights"))
    assert not (tmp_path / "weights").exists()


def test_a_run_of_an_earlier_version_is_packed_on_request(tmp_path):
    run = save_run(tmp_path / "run", "lesion", trained_on=None)
    settings = {"lesion": run, "output": tmp_path, "assume_phantom": True}
    (folder,) = pack_weights(PackSettings(**settings))
    assert load_description(folder).trained_on == TrainedOn("phantom", 0, 3)


def test_weights_that_float16_cannot_hold_are_refused():
    vector = {"enc1_norm/moving_variance": np.float32([1e6])}
    assert half_precision(vector, Path("run")) == vector
    with pytest.raises(Refusal, match=r"found 1e\+06 in enc1_conv1/kernel"):
        half_precision({"enc1_conv1/kernel": np.full((1, 1), 1e6, np.float32)}, Path("run"))


def test_post_processing_is_packed_and_one_that_is_gone_is_removed(tmp_path):
    run = save_run(tmp_path / "run", "lesion")
    how = PostProcessing(least_area_mm2=20.0)
    postprocessing.save(run, how, {})
    pack_weights(PackSettings(lesion=run, output=tmp_path))
    assert postprocessing.load(tmp_path / "lesion") == how
    assert "lesions below 20 mm2 dropped" in (tmp_path / "lesion/model_card.md").read_text()
    pack_weights(PackSettings(lesion=run, output=tmp_path, rim_pixels=0))
    assert postprocessing.load(tmp_path / "lesion") == replace(how, rim_pixels=0)
    pack_weights(PackSettings(lesion=save_run(tmp_path / "run2", "lesion"), output=tmp_path))
    assert postprocessing.load(tmp_path / "lesion") == postprocessing.NOTHING
    checksums.verify(tmp_path / "lesion")


def test_the_rule_of_the_liver_network_is_packed(tmp_path):
    run = save_run(tmp_path / "run", "liver")
    settings = {"liver": run, "output": tmp_path, "liver_probability": 0.25}
    pack_weights(PackSettings(**settings, liver_zooms=(0.85, 1.0)))
    assert load_description(tmp_path / "liver").liver_rule == LiverRule(0.25, (0.85, 1.0))
    card = (tmp_path / "liver/model_card.md").read_text()
    assert "liver where its probability exceeds 0.25, mean over views of 0.85, 1 times" in card
    checksums.verify(tmp_path / "liver")
    with pytest.raises(OptionError, match="one of them 1 or more"):
        PackSettings(**settings, liver_zooms=(0.85,))


def test_the_card_states_command_commit_data_and_limits(packed):
    card = (packed / "typed/model_card.md").read_text()
    for text in (
        *("`make weights`", "`abc`", "32 phantoms, 0 patients", "unvalidated on real lesions"),
        *("2 training and 1 validation cases", "not a medical device", '"seed": 7'),
    ):
        assert text in card
    assert "unvalidated" not in (packed / "lesion/model_card.md").read_text()


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("bundled", "weights/lesion"),
        ("bundled/typed", "weights/typed"),
        ("runs/bundled", None),
        ("/bundled", None),
    ],
)
def test_bundled_is_a_name_of_a_run(named, expected, package):
    expected = Path(named) if expected is None else package.parent / expected
    assert run_named(Path(named), "lesion") == expected


def test_without_a_run_the_package_is_used(package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = parse(PredictSettings, ["--input=scan.nii.gz"])
    assert (settings.liver_run, settings.model) == (package / "liver", (package / "lesion",))
    assert PredictSettings.of(settings, pictures=0).model == settings.model
    typed = parse(PredictSettings, ["--input=scan.nii.gz", "--types"])
    assert (typed.model, typed.outline_model) == ((package / "typed",), package / "lesion")
    assert settings.outline_model is None
    assert PredictSettings.of(typed, pictures=0).model == typed.model
    exported = parse(ExportSettings, ["--types"])
    assert (exported.run, exported.outline_model) == ((package / "typed",), package / "lesion")
    alone = parse(PredictSettings, ["--input=a", "--model=bundled/typed"])
    assert (alone.model, alone.outline_model) == (typed.model, None)
    node = parse(ListenSettings, ["--allow=SCANNER", "--types"])
    assert node.all_runs(node.model) == tuple(package / n for n in ("liver", "typed", "lesion"))
    mine = parse(PredictSettings, ["--input=a", "--model=mine", "--outline_model=bundled"])
    assert mine.outline_model == package / "lesion"
    # A run in the default folder is used as before; a named one must exist.
    (tmp_path / "runs/liver").mkdir(parents=True)
    assert parse(ExportSettings, []).liver_run == Path("runs/liver")
    named = parse(PredictSettings, ["--input=a", "--liver_run=bundled", "--model=mine"])
    assert (named.liver_run, named.model) == (package / "liver", (Path("mine"),))
    with pytest.raises(OptionError, match="types: is for the network in the package"):
        parse(PredictSettings, ["--input=a", "--model=mine", "--types"])


def test_other_commands_take_the_name_too(package):
    cycle = ["--cycle=none", "--pretrained=bundled"]
    assert parse(FinetuneSettings, cycle).pretrained == package / "lesion"
    rois = parse(RoiSetSettings, ["--input=a", "--output=b", "--liver_run=bundled"])
    assert rois.liver_run == package / "liver"
    assert load_network("bundled")[1].label_set.classes == ("background", "liver", "lesion")
    assert load_network("bundled/liver")[1].kind == "liver"


def test_the_leakage_guard_knows_that_no_patient_was_used(packed):
    for name in PHANTOMS:
        assert load_training_data(packed / name / "seen.json") == ()


@pytest.mark.parametrize("held", [(), ("liver",)])
def test_a_missing_network_is_refused_with_a_remedy(held, packed, tmp_path, monkeypatch):
    for name in held:
        os.symlink(packed / name, tmp_path / name)
    monkeypatch.setattr(bundled_networks, "FOLDER", tmp_path)
    with pytest.raises(Refusal) as refused:
        load_network("bundled/typed")
    assert refused.value.code == "no-bundled-network"
    assert refused.value.found == f"a package with {', '.join(held) or 'none of them'}"
    assert "liver-tf train_weights" in refused.value.remedy


@pytest.mark.skipif(not available(), reason="the package holds no network yet")
def test_the_networks_that_are_shipped_are_sound_and_small():
    folders = [bundled(name) for name in available()]
    for folder in folders:
        checksums.verify(folder)
        description = load_description(folder)
        assert description.trained_on.kind == "phantom"
        assert description.trained_on.patients == 0
        assert load_training_data(folder / "seen.json") == ()
        assert "learned from computed phantoms only" in (folder / "model_card.md").read_text()
        arrays = load_arrays(folder / "weights.npz", finite=True)
        assert sum(array.size for array in arrays.values()) > 1e5
    assert sum(path.stat().st_size for each in folders for path in each.iterdir()) < 12e6
    settings = parse(PackSettings, ["--flagfile=flags/weights/pack.flags", "--liver=run"])
    rule = load_description(bundled("liver")).liver_rule
    assert rule == settings.liver_rule()
    assert rule.text() in (bundled("liver") / "model_card.md").read_text()
    for name in ("lesion", "typed"):
        how = replace(postprocessing.NOTHING, **settings.postprocessing())
        assert postprocessing.load(bundled(name)) == how


def test_a_scan_is_predicted_in_an_empty_folder(
    package, tiny_phantom, command, tmp_path, monkeypatch, capsys
):
    from trainers import predict

    monkeypatch.chdir(tmp_path)
    volume = tiny_phantom / "lits/volume-0.nii.gz"
    assert command(predict, f"--input={volume}", "--pictures=0") == 0
    out = capsys.readouterr().out
    assert "networks of the package: liver, lesion. " in out
    assert "learned from computed phantoms only" in out
    contents = json.loads((tmp_path / "predictions/scan-001/lesions.json").read_text())
    assert contents["trained_on"]["kind"] == "phantom"
    assert contents["trained_on"]["types"] is None
    assert list(contents["labels"].values()) == ["background", "liver", "lesion"]
    assert command(predict, f"--input={volume}", "--pictures=0", "--types", "--output=typed") == 0
    out = capsys.readouterr().out
    assert "networks of the package: liver, typed, lesion. " in out
    assert "Lesion types: unvalidated on real lesions." in out
    contents = json.loads((tmp_path / "typed/scan-001/lesions.json").read_text())
    assert contents["trained_on"]["types"] == "unvalidated on real lesions"
    networks = [vars(PHANTOMS[name]) for name in ("typed", "lesion")]
    assert contents["trained_on"]["lesion_networks"] == networks
    assert contents["method"]["outline_networks"] == 1


@pytest.mark.long
def test_fine_tuning_starts_from_the_package(package, record_set, tmp_path, command):
    from trainers import finetune

    folder, manifest = record_set
    records = tmp_path / "records"
    records.mkdir()
    for path in folder.glob("*.tfrecord"):
        os.link(path, records / path.name)
    replace(manifest, made_by={"data": "real"}).save(records)
    arguments = [f"--records={records}", "--folds_file=", f"--runs={tmp_path}/runs", "--head=old"]
    schedule = ["--cycle=none", "--epochs=1", "--pictures=0", "--pretrained=bundled"]
    assert command(finetune, *arguments, *schedule) == 0
    run = tmp_path / "runs/hold_out/seed0/custom"
    assert load_description(run).trained_on == TrainedOn("mixed", 8, 12, "real")
    (part,) = load_training_data(run / "seen.json")
    assert len(part.cases) == 8

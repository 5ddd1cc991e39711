"""One checksum over the files that decide an answer."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest

from liver_tf import checksums
from liver_tf.inference import postprocessing
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.postprocessing import PostProcessing
from liver_tf.model.weights_file import load_arrays, save_arrays
from liver_tf.refusals import Refusal
from liver_tf.serving.model_clients import Loaded

DIFFERS = r"\[checksum-differs\]"


@pytest.fixture
def runs(save_runs, tmp_path):
    """Runs of a liver and of a lesion network, with checksums as training writes them."""
    save_runs(tmp_path)
    for name in ("liver", "one"):
        (tmp_path / name / "run.json").write_text('{"split": {"test": ["a"]}}')
        checksums.write_sums(tmp_path / name, ("weights.npz", "model.json", "run.json"))
    postprocessing.save(tmp_path / "one", PostProcessing(0.4), {})
    return tmp_path


def load(runs):
    return Cascade.of_runs(runs / "liver", runs / "one")


def test_sha256sum_accepts_the_list(runs):
    assert load(runs).how == PostProcessing(0.4)
    listed = (runs / "one" / "SHA256SUMS").read_text().splitlines()
    assert sorted(line.split("  ")[1] for line in listed) == [
        "model.json",
        "postprocessing.json",
        "run.json",
        "weights.npz",
    ]
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=runs / "one", check=True)


def shift_mean(run):
    """Within the bounds of ``model.json``."""
    value = json.loads((run / "model.json").read_text())
    (run / "model.json").write_text(json.dumps(value | {"mean_hu": value["mean_hu"] - 60}))


def swap_classes(run):
    """Of the liver network; the lesion network's post-processing holds the hash of its weights."""
    run = run.parent / "liver"
    arrays = load_arrays(run / "weights.npz")
    arrays["head_logits/kernel"] = arrays["head_logits/kernel"][..., ::-1]
    save_arrays(run / "weights.npz", arrays)


def raise_threshold(run):
    path = run / "postprocessing.json"
    path.write_text(path.read_text().replace("0.4", "0.9"))


def shorten_list(run):
    path = run / "SHA256SUMS"
    path.write_text("\n".join(path.read_text().splitlines()[1:]))


@pytest.mark.parametrize(
    "change",
    [
        shift_mean,
        swap_classes,
        raise_threshold,
        shorten_list,
        lambda run: (run / "postprocessing.json").unlink(),
        lambda run: (run / "run.json").write_text('{"split": {"test": ["b"]}}'),
        lambda run: (run / "SHA256SUMS").write_text(""),
        lambda run: (run / "SHA256SUMS").write_bytes(bytes(2**20 + 1)),
    ],
)
def test_a_changed_run_is_refused(runs, change):
    change(runs / "one")
    with pytest.raises(Refusal, match=DIFFERS):
        load(runs)


def test_damaged_post_processing_can_be_chosen_again(runs):
    raise_threshold(runs / "one")
    with pytest.raises(Refusal, match=r"Choose them again.*--nopostprocessing"):
        load(runs)
    assert Cascade.of_runs(runs / "liver", runs / "one", use_chosen=False)
    postprocessing.save(runs / "one", PostProcessing(0.3), {})
    assert load(runs).how == PostProcessing(0.3)


def test_a_run_of_an_earlier_version_is_loaded_with_a_note(runs, capfd, monkeypatch):
    monkeypatch.delenv("LIVER_TF_SAID", raising=False)
    for name in ("liver", "one"):
        (runs / name / "SHA256SUMS").unlink()
    postprocessing.save(runs / "one", PostProcessing(0.3), {})
    assert not (runs / "one" / "SHA256SUMS").exists()
    assert load(runs).how == PostProcessing(0.3)
    assert capfd.readouterr().err.count("note: a network without SHA256SUMS") == 1


@pytest.fixture
def model(exported, tmp_path):
    """A copy of an exported model."""
    return shutil.copytree(exported.folder, tmp_path / "1")


def test_flipped_bits_of_a_saved_model_are_refused(model):
    graph = np.fromfile(model / "saved_model.pb", np.uint8)
    # In the middle, where the weights are: the file can still be parsed.
    graph[len(graph) // 2 + np.arange(100)] ^= 1
    graph.tofile(model / "saved_model.pb")
    with pytest.raises(Refusal, match=DIFFERS) as caught:
        Loaded(model)
    assert caught.value.path == model / "saved_model.pb"


def test_exchanged_labels_of_a_saved_model_are_refused(model):
    path = model / "assets.extra" / "model.json"
    path.write_text(path.read_text().replace('"cyst"', '"metastasis"', 1))
    with pytest.raises(Refusal, match=DIFFERS):
        Loaded(model)


@pytest.mark.parametrize("name", ["saved_model.pb", "assets.extra/model.json"])
def test_a_list_that_lacks_a_file_is_refused(model, name):
    path = model / "SHA256SUMS"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.endswith(f" {name}\n")))
    with pytest.raises(Refusal, match=DIFFERS) as caught:
        Loaded(model)
    assert caught.value.path == model / name


def test_the_model_card_may_be_edited(model):
    with (model / "assets.extra" / "model_card.md").open("a") as card:
        card.write("Approved for the study of 2031.\n")
    assert Loaded(model)
    assert subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=model, check=False).returncode == 0

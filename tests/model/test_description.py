"""What travels with weights: written, read back, and refused where it is damaged or of no use."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liver_tf.inference.trained_network import TrainedNetwork
from liver_tf.model.description import liver_identity, load_description
from liver_tf.model.liver_rule import LiverRule
from liver_tf.model.weights_file import load_arrays, save_arrays, save_weights, stored_hash
from liver_tf.refusals import Refusal

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(make_network, tmp_path):
    """Folder of a finished run of a lesion network, and its description."""
    network = make_network("lesion")
    network.description.save(tmp_path)
    save_weights(tmp_path / "weights.npz", network.model)
    return tmp_path, network.description


def test_a_description_is_read_back(run):
    assert load_description(run[0]) == run[1]
    assert TrainedNetwork.of_run(run[0], "lesion").description == run[1]


def test_a_liver_network_is_identified_by_its_weights_and_its_rule(make_network, tmp_path):
    network = make_network("liver")
    network.description.save(tmp_path)
    save_weights(tmp_path / "weights.npz", network.model)
    assert "liver_rule" not in json.loads((tmp_path / "model.json").read_text())
    weights = {"liver_weights": stored_hash(tmp_path / "weights.npz")}
    assert liver_identity(tmp_path) == weights
    replace(network.description, liver_rule=LiverRule(0.25)).save(tmp_path)
    of_rule = {"liver_rule": "liver where its probability exceeds 0.25"}
    assert liver_identity(tmp_path) == {**weights, **of_rule}


WEIGHTS = (0.25, 0.5, 30.0, 0.0, 97.5)


def test_class_weights_travel_with_the_weights(make_network, tmp_path):
    network = make_network("lesion", class_weights=WEIGHTS)
    network.description.save(tmp_path)
    save_weights(tmp_path / "weights.npz", network.model)
    assert load_description(tmp_path).class_weights == WEIGHTS
    # Those of model.json count.
    (tmp_path / "run.json").write_text('{"task": {"class_weights": [1, 1, 1, 1, 1]}}')
    assert load_description(tmp_path).class_weights == WEIGHTS


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        ({"task": {"class_weights": list(WEIGHTS)}}, WEIGHTS),
        ({"task": {}}, None),
        ({}, None),
        (None, None),
    ],
)
def test_class_weights_of_earlier_versions_are_in_the_identity(run, identity, expected):
    path = run[0] / "model.json"
    value = json.loads(path.read_text())
    assert value.pop("class_weights") is None
    path.write_text(json.dumps(value))
    if identity is not None:
        (run[0] / "run.json").write_text(json.dumps(identity))
    assert load_description(run[0]).class_weights == expected


@pytest.mark.parametrize("weights", [[1.0] * 4, [0.0] * 5, [1, 1, 1, 1, -1], ["a"] * 5, 3])
def test_impossible_class_weights_are_refused(run, weights):
    path = run[0] / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"class_weights": weights}))
    with pytest.raises(Refusal, match=r"\[model-damaged\]"):
        load_description(run[0])


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace('"window"', '"windw"'),
        lambda text: text.replace('"base_filters"', '"filters"'),
        lambda text: text.replace('"background"', '"air"'),
    ],
)
def test_a_damaged_description_is_refused(run, damage):
    path = run[0] / "model.json"
    before = path.read_text()
    path.write_text(damage(before))
    assert path.read_text() != before
    with pytest.raises(Refusal, match=r"\[model-damaged\]") as caught:
        load_description(run[0])
    assert caught.value.path == path


def test_a_network_of_the_other_kind_is_refused(run):
    with pytest.raises(Refusal, match=r"\[network-kind\].*a liver network; found .* a lesion net"):
        TrainedNetwork.of_run(run[0], "liver")


def test_a_description_of_another_architecture_does_not_take_the_weights(run):
    value = json.loads((run[0] / "model.json").read_text())
    value["architecture"]["base_filters"] *= 2
    (run[0] / "model.json").write_text(json.dumps(value))
    with pytest.raises(Refusal, match=r"\[weights-architecture\].*differing: enc1 \("):
        TrainedNetwork.of_run(run[0], "lesion")


def unsafe(source: str) -> list[str]:
    """What in a module would run code out of a model file."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {name.name.split(".")[0] for name in node.names}
            names.add((getattr(node, "module", None) or "").split(".")[0])
            found += sorted(
                names & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve"}
            )
        elif isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            found += [called] if called in {"load_model", "model_from_json"} else []
            for keyword in node.keywords:
                allowed = {"allow_pickle": False, "safe_mode": True}
                if keyword.arg in allowed and (
                    not isinstance(keyword.value, ast.Constant)
                    or keyword.value.value is not allowed[keyword.arg]
                ):
                    found.append(keyword.arg)
    return found


def test_nothing_in_a_model_file_is_ever_executed():
    """Weights go into networks that our code builds: no pickle, no model from a file."""
    files = [
        path
        for room in ("liver_tf", "data_prep", "trainers")
        for path in (ROOT / room).rglob("*.py")
    ]
    assert len(files) > 50
    assert {str(path): bad for path in files if (bad := unsafe(path.read_text()))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=trusted)",
        "keras.saving.load_model(path)",
        "deserialize(config, safe_mode=False)",
    ],
)
def test_the_check_for_executed_code_detects_it(source):
    assert unsafe(source) != []


@pytest.mark.parametrize(
    "values",
    [
        {"mean_hu": float("nan")},
        {"mean_hu": 1e30},
        {"mean_hu": -300.0},
        {"sd_hu": 0.0},
        {"sd_hu": 1e-9},
        {"sd_hu": True},
        {"sd_hu": float("nan")},
        {"sd_hu": 1e30},
        {"window": [240, -160]},
        {"window": [float("-inf"), 240]},
    ],
    ids=str,
)
def test_values_that_no_training_writes_are_refused(run, values):
    path = run[0] / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    with pytest.raises(Refusal, match="model-damaged"):
        load_description(run[0])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_although_their_hash_matches(run, value):
    arrays = load_arrays(run[0] / "weights.npz")
    next(iter(arrays.values())).flat[0] = value
    save_arrays(run[0] / "weights.npz", arrays)
    with pytest.raises(Refusal, match=r"weights-damaged.*not finite"):
        TrainedNetwork.of_run(run[0], "lesion")

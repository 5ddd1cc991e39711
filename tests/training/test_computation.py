"""Half precision and XLA train like single precision without XLA."""

import json

import numpy as np
import pytest
import tensorflow as tf
from test_replicas import report_of, start

from liver_tf.model import unet
from liver_tf.model.architecture import Architecture
from liver_tf.model.block_weights import block_hashes
from liver_tf.model.precision import Precision
from liver_tf.model.weights_file import load_arrays
from liver_tf.options import OptionError
from liver_tf.training import computation
from liver_tf.training.computation import Computation, augment_on_host
from liver_tf.training.protocol import SCRATCH, Protocol
from liver_tf.training.run_identity import open_run
from liver_tf.training.training_settings import (
    ComputationSettings,
    FinetuneSettings,
    PretrainSettings,
)
from tests.builders import tiny_run
from tests.builders.replica_run import FIXED, losses


@pytest.mark.long
def test_xla_trains_like_the_plain_step():
    """In a separate process: deterministic operations, which XLA lacks, cannot be switched off."""
    report = report_of(start("xla"))
    np.testing.assert_allclose(report["compiled"], report["plain"], rtol=1e-4)
    assert report["compiled"] != report["plain"], "XLA was not used"
    assert report["weights"] < 1e-5
    assert report["frozen"]


@pytest.mark.parametrize("precision", [pytest.param("float16", marks=pytest.mark.long), "bfloat16"])
def test_half_precision_trains_like_the_plain_step(precision):
    plain, _ = losses(Computation())
    halved, other = losses(Computation(precision))
    np.testing.assert_allclose(halved, plain, rtol={"float16": 5e-3, "bfloat16": 5e-2}[precision])
    assert halved != plain
    assert {weight.dtype for weight in other.weights} == {"float32"}
    before = block_hashes(unet.build(Architecture(16, 2, 3), 1))
    same = {block for block, value in block_hashes(other).items() if value == before[block]}
    assert same == set(FIXED)


@pytest.mark.long
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_a_half_precision_run_resumes_bit_for_bit_and_saves_float32(
    record_set, tmp_path, precision
):
    """The loss scale of float16 is part of the saved state."""
    half = Computation(precision)
    protocol = Protocol("half", SCRATCH, (tiny_run.cycle(FIXED, epochs=2),))
    arguments = [record_set[0], protocol]
    tiny_run.train(tmp_path / "a" / "run", *arguments, computation=half)

    class PowerCut(Exception):
        pass

    def interrupt(line):
        if "epoch 1 of 2" in line:
            raise PowerCut

    folder = tmp_path / "b" / "run"
    with pytest.raises(PowerCut):
        tiny_run.train(folder, *arguments, computation=half, say=interrupt)
    state = load_arrays(folder / "cycle1" / "state.npz")
    assert json.loads(str(state["memo"]))["epoch"] == 1
    # Keras starts with a scale of 2^15 and halves it when a gradient overflows.
    scales = {float(array) for array in state.values() if array.shape == () and array.dtype == "f4"}
    assert any(2**8 <= scale <= 2**15 for scale in scales) == (precision == "float16")
    tiny_run.train(folder, *arguments, computation=half)
    ours, theirs = (
        load_arrays(parent / "run" / "weights.npz") for parent in map(tmp_path.joinpath, "ab")
    )
    assert {array.dtype for array in ours.values()} == {np.dtype("float32")}
    assert all(ours[name].tobytes() == theirs[name].tobytes() for name in ours)


def test_a_resumed_run_keeps_the_precision_that_auto_chose(monkeypatch, tmp_path, capsys):
    """On another machine ``auto`` would choose another one."""
    settings = ComputationSettings(precision="auto")
    monkeypatch.setattr(
        computation, "choose_precision", lambda name, filters: Precision("bfloat16", "faster")
    )
    first = computation.set_up_computation(settings, tmp_path, 16)
    assert first.precision == "bfloat16"
    assert "precision: bfloat16 (faster)" in capsys.readouterr().out
    open_run(tmp_path, {"computation": first.identity()})
    monkeypatch.setattr(
        computation,
        "choose_precision",
        lambda name, filters: Precision("float32", "no instructions"),
    )
    resumed = computation.set_up_computation(settings, tmp_path, 16)
    assert resumed.identity() == first.identity()
    assert "precision: bfloat16, with which this run was started" in capsys.readouterr().out
    assert computation.set_up_computation(settings, tmp_path / "new", 16).precision == "float32"


def test_training_is_float32_unless_asked():
    assert (
        PretrainSettings(network="liver", records="a", run="b").computation.precision == "float32"
    )
    assert FinetuneSettings().computation.precision == "float32"


@pytest.mark.parametrize(
    ("former", "precision"),
    [
        ({"mixed_precision": True}, "float16"),
        ({"mixed_precision": True, "half_type": "bfloat16"}, "bfloat16"),
        ({"mixed_precision": False, "half_type": "bfloat16"}, "float32"),
        ({"half_type": "float16"}, "float32"),
        ({"mixed_precision": False, "precision": "auto"}, "auto"),
    ],
)
def test_former_flags_are_read_with_a_notice(former, precision, capsys):
    settings = FinetuneSettings.of(**former)
    assert settings.computation == ComputationSettings(precision=precision)
    assert capsys.readouterr().err == (
        "note: --mixed_precision and --half_type will be removed; instead use "
        f"--precision={precision}\n"
    )
    # They do not override what is changed afterwards.
    assert FinetuneSettings.of(settings, precision="float32").computation.precision == "float32"
    assert capsys.readouterr().err == ""


def test_former_flags_that_contradict_the_precision_are_refused():
    with pytest.raises(OptionError, match="precision: leave out --mixed_precision"):
        ComputationSettings(mixed_precision=True, precision="bfloat16")


@pytest.mark.parametrize(("place", "on_host"), [("host", True), ("device", False)])
def test_augmentation_runs_on_the_requested_device(place, on_host):
    assert augment_on_host(ComputationSettings(augment_on=place)) is on_host


@pytest.mark.parametrize("gpus", [[], ["/GPU:0"]])
def test_by_default_augmentation_runs_on_an_accelerator_if_there_is_one(monkeypatch, gpus):
    monkeypatch.setattr(
        tf.config, "list_logical_devices", lambda kind: gpus if kind == "GPU" else ["/CPU:0"]
    )
    assert augment_on_host(ComputationSettings()) is not bool(gpus)

"""The average of weights: against numpy, in resumed runs, and in the weights that are kept."""

import numpy as np
import pytest

from liver_tf.model.block_weights import block_hashes
from liver_tf.model.weights_file import load_arrays
from liver_tf.training import cycle
from liver_tf.training.compiled_steps import CompiledSteps
from liver_tf.training.computation import Computation
from liver_tf.training.protocol import SCRATCH, Protocol
from tests.builders import tiny_run
from tests.builders.tiny_network import TASK, build, make_batch

DECAY = 0.5


def test_the_average_equals_numpy_and_frozen_weights_keep_every_bit():
    model = build()
    steps = CompiledSteps(model, TASK, Computation())
    step = steps.begin(tiny_run.cycle(("enc1", "enc2"), weight_average=DECAY))
    steps.optimiser.learning_rate.assign(1e-2)
    expected = [np.array(weight.numpy(), np.float64) for weight in model.weights]
    for number in range(1, 7):
        step(*make_batch(2, number), {})
        decay = min(DECAY, (1 + number) / (10 + number))
        for average, weight in zip(expected, model.weights, strict=True):
            average += (1 - decay) * (weight.numpy() - average)
    current = [weight.numpy().tobytes() for weight in model.weights]
    moved = 0
    with steps.averaged():
        for weight, value, average in zip(model.weights, current, expected, strict=True):
            np.testing.assert_allclose(weight, average, rtol=1e-4, atol=1e-6, err_msg=weight.path)
            frozen = weight.path.startswith(("enc1_", "enc2_"))
            moved += weight.numpy().tobytes() != value
            assert not frozen or weight.numpy().tobytes() == value, weight.path
    assert moved > 20
    assert [weight.numpy().tobytes() for weight in model.weights] == current
    # A cycle without an average has none, even after one that had.
    steps.begin(tiny_run.cycle())
    assert len(steps.variables) == len(steps.optimiser.variables)


AVERAGED = Protocol(
    "averaged", SCRATCH, (tiny_run.cycle(weight_average=0.9, monitor="epoch", keep_start=True),)
)


@pytest.fixture(scope="module")
def undisturbed(record_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("averaged") / "run"
    return folder, tiny_run.train(folder, record_set[0], AVERAGED)[0]


@pytest.mark.long
def test_an_interrupted_run_ends_with_the_same_average(
    undisturbed, record_set, tmp_path, monkeypatch
):
    original = cycle.train_epoch

    def crashing(*arguments):
        if arguments[4] == 2:
            raise KeyboardInterrupt
        return original(*arguments)

    folder = tmp_path / "parent" / "run"
    with monkeypatch.context() as patch:
        patch.setattr(cycle, "train_epoch", crashing)
        with pytest.raises(KeyboardInterrupt):
            tiny_run.train(folder, record_set[0], AVERAGED)
    # The state has the weights and their averages, the best weights are averages.
    state, best = (load_arrays(folder / "cycle1" / name) for name in ("state.npz", "best.npz"))
    name = "head_logits/kernel"
    assert not np.array_equal(state[f"model/{name}"], best[name])
    stored = [array for key, array in state.items() if key.startswith("optimiser/")]
    assert any(np.array_equal(array, best[name]) for array in stored)
    assert tiny_run.train(folder, record_set[0], AVERAGED)[0] == undisturbed[1]


def test_validation_and_the_weights_that_are_kept_are_averages(
    undisturbed, record_set, tmp_path, monkeypatch
):
    validated = []
    model = tiny_run.network(record_set[0], 0, Computation())[0]

    def recording(step, batches, classes):
        validated.append(block_hashes(model))
        return {"val_loss": 1.0, "val_dice": 0.5}

    monkeypatch.setattr(cycle, "validate", recording)
    hashes, _ = tiny_run.train(tmp_path / "parent" / "run", record_set[0], AVERAGED)
    assert hashes == undisturbed[1] == validated[-1]
    assert len(validated) == 1 + 3, "the start, and every epoch"

"""Steps of a run: traced once per set of frozen blocks, with no state carried between cycles."""

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.model import unet
from liver_tf.model.architecture import Architecture
from liver_tf.model.block_weights import block_hashes
from liver_tf.model.blocks import BLOCKS
from liver_tf.training import compiled_steps
from liver_tf.training.compiled_steps import CompiledSteps
from liver_tf.training.computation import Computation
from liver_tf.training.cycle_settings import CycleSettings
from liver_tf.training.task import Task

TASK = Task(100.0, 30.0, (0.5, 1.0, 4.0), (-160, 240))


def make_batch(count):
    generator = np.random.default_rng(count)
    images = generator.uniform(-160, 240, (count, 16, 16)).astype(np.float32)
    return tf.constant(images), tf.constant(generator.integers(0, 3, (count, 16, 16)), tf.uint8)


def settings(*fixed, norm="update"):
    return CycleSettings(fixed, 1e-2, 1, 2, 1, norm=norm)


def train(steps, cycle):
    """Train a cycle of five steps."""
    step = steps.begin(cycle)
    if steps.optimiser.name.startswith("loss_scale"):
        assert float(steps.optimiser.dynamic_scale) == 2.0**15
    steps.optimiser.learning_rate.assign(1e-2)
    for number in range(5):
        assert np.isfinite(float(step(*make_batch(1 + number % 2), {})))


#: Only the last blocks are trained, for short backward passes.
MOST = BLOCKS[:-2]
ALL_BUT_HEAD = BLOCKS[:-1]
CYCLES = (
    settings(*MOST),
    settings(*ALL_BUT_HEAD),
    settings(*MOST),
    settings(*MOST, norm="inference"),
    settings(*ALL_BUT_HEAD),
)


@pytest.mark.long
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_cycles_with_equal_frozen_blocks_share_a_trace_and_nothing_else(precision, monkeypatch):
    traced = []
    make = compiled_steps.training_step

    def counted(*arguments, **options):
        traced.append(make(*arguments, **options))
        return traced[-1]

    monkeypatch.setattr(compiled_steps, "training_step", counted)
    shared, fresh = (unet.build(Architecture(16, 1, 3), 1, precision=precision) for _ in range(2))
    steps = CompiledSteps(shared, TASK, Computation(precision))
    for cycle in CYCLES:
        before = block_hashes(shared)
        train(steps, cycle)
        changed = {b for b, value in block_hashes(shared).items() if value != before[b]}
        assert changed == set(BLOCKS) - set(cycle.fixed)
    assert len(traced) == 3
    assert [len(step.traced) for step in traced] == [1, 1, 1]
    assert [step.traced[0].experimental_get_tracing_count() for step in traced] == [1, 1, 1]
    # New steps and a new optimiser for every cycle give the same weights, bit for bit.
    for cycle in CYCLES:
        train(CompiledSteps(fresh, TASK, Computation(precision)), cycle)
    assert block_hashes(shared) == block_hashes(fresh)

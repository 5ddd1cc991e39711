"""The learning-rate schedule, with values calculated by hand."""

import dataclasses
import math

import pytest

from liver_tf.training.cycle_settings import CycleSettings
from liver_tf.training.learning_rate import changes_within_epochs, learning_rate

PAPER = CycleSettings((), learning_rate=5e-5, epochs=80, batch_size=1, patience=12)


def test_learning_rate_of_the_paper():
    """The rate is multiplied by 0.9 every 2 epochs."""
    rates = [learning_rate(PAPER, epoch) for epoch in range(6)]
    assert rates == pytest.approx([5e-5, 5e-5, 4.5e-5, 4.5e-5, 4.05e-5, 4.05e-5])
    assert learning_rate(PAPER, 79) == pytest.approx(5e-5 * 0.9**39)
    # 5e-5 x 0.9^k passes 1e-8 at k = ln(5000) / ln(1 / 0.9) = 80.8.
    assert learning_rate(PAPER, 2 * 80) > 1e-8
    assert learning_rate(PAPER, 2 * 81) == 1e-8
    assert learning_rate(PAPER, 10_000) == 1e-8
    # Within an epoch the rate does not change.
    assert learning_rate(PAPER, 3.9) == learning_rate(PAPER, 3)
    assert not changes_within_epochs(PAPER)


def test_cosine_after_a_warm_up():
    cosine = dataclasses.replace(
        PAPER, schedule="cosine", learning_rate=2.0, epochs=11, warmup_epochs=1.0, floor=0.5
    )
    rates = [learning_rate(cosine, epochs) for epochs in (0, 0.25, 1, 6, 11, 12)]
    # Halfway between the end of the warm-up and that of the cycle: halfway to the floor.
    assert rates == pytest.approx([0.0, 0.5, 2.0, 1.25, 0.5, 0.5])
    assert learning_rate(cosine, 3.5) == pytest.approx(1.25 + 0.75 * math.sqrt(0.5))
    assert changes_within_epochs(cosine)


def test_steps_after_a_warm_up_and_a_warm_up_that_never_ends():
    warmed = dataclasses.replace(PAPER, warmup_epochs=2.0)
    assert learning_rate(warmed, 0.5) == pytest.approx(5e-5 / 4)
    assert learning_rate(warmed, 2) == pytest.approx(4.5e-5)
    assert changes_within_epochs(warmed)
    endless = dataclasses.replace(PAPER, schedule="cosine", epochs=3, warmup_epochs=4)
    assert learning_rate(endless, 2) == pytest.approx(5e-5 / 2)

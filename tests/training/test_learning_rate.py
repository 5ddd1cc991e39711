"""The learning-rate schedule, with values calculated by hand."""

import pytest

from liver_tf.training.cycle_settings import CycleSettings
from liver_tf.training.learning_rate import learning_rate

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

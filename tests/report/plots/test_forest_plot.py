"""The forest plot needs a difference and is repeatable."""

import pytest

from liver_tf.report.plots.forest_plot import draw_forest
from liver_tf.statistics.bootstrap_intervals import Interval
from liver_tf.statistics.paired_difference import PairedDifference


def difference(protocol, low, high, *, reference="baseline", measure="dice2", p=0.01):
    interval = Interval((low + high) / 2, low, high, 100)
    return PairedDifference(measure, protocol, reference, interval, p, p, 10, 1)


def test_a_forest_needs_a_difference(tmp_path):
    undefined = PairedDifference("dice2", "a", "b", Interval(None, None, None, 0))
    with pytest.raises(ValueError, match="at least one difference"):
        draw_forest([undefined], tmp_path / "x.png")
    path = draw_forest([undefined, difference("c", 0.1, 0.2)], tmp_path / "y.png")
    assert (
        path.read_bytes()
        == draw_forest([undefined, difference("c", 0.1, 0.2)], tmp_path / "z.png").read_bytes()
    )

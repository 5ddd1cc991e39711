"""Free-response curves are drawn where their figures are."""

import numpy as np
import pytest

from liver_tf.report.plots.froc_plot import draw_froc
from liver_tf.statistics.bootstrap_intervals import Interval
from tests.builders.finished_cycles import colour_columns


def curve(low, high):
    """Three points that rise from ``low`` to ``high``."""
    values = (0.01, low), (0.1, (low + high) / 2), (0.5, high)
    return [(rate, Interval(v, v - 0.05, v + 0.05, 100, 40)) for rate, v in values]


def test_a_better_curve_is_higher_and_every_curve_rises(tmp_path):
    path = draw_froc({"mine": [curve(0.5, 0.9), curve(0.1, 0.4)]}, tmp_path / "froc.png")
    heights = []
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):
        shape, near = colour_columns(path, colour)
        near[: shape[0] // 8] = False  # the legend
        rows, columns = np.nonzero(near)
        left, right = columns < np.median(columns), columns > np.median(columns)
        assert rows[left].mean() > rows[right].mean() + 20
        heights.append(rows.mean())
    assert heights[0] < heights[1] - 50
    with pytest.raises(ValueError, match="at least one protocol"):
        draw_froc({}, tmp_path / "none.png")

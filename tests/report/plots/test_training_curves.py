"""Training curves are drawn cycle after cycle."""

import numpy as np
import pytest

from liver_tf.report.plots.training_curves import draw_curves
from tests.builders.finished_cycles import colour_columns, cycle, rows


def test_curves_stand_one_after_the_other(tmp_path):
    """A first cycle at 1, a second at 0: the line's left half is above its right."""
    cycles = [cycle(epochs=rows(1.0, 1.0, 1.0)), cycle(2, epochs=rows(0.01, 0.01, 0.01))]
    path = draw_curves({"mine": [cycles]}, tmp_path / "curves.png")
    shape, near = colour_columns(path, (0x00, 0x9E, 0x73))
    near[: shape[0] // 2] = False
    heights = [np.argwhere(half)[:, 0].mean() for half in np.array_split(near[:, 150:], 2, axis=1)]
    assert heights[0] < heights[1] - 100
    with pytest.raises(ValueError, match="at least one epoch"):
        draw_curves({"mine": [[cycle()]]}, tmp_path / "none.png")

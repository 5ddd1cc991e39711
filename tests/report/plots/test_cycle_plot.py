"""The cycle plot shows the epoch that each cycle kept."""

import numpy as np
import pytest

from liver_tf.report.plots.cycle_plot import draw_cycles
from tests.builders.finished_cycles import colour_columns, cycle, rows


def test_cycles_show_the_kept_epoch(tmp_path):
    """The kept epochs rise from 0.1 to 0.9, whatever stood in the others."""
    cycles = [
        cycle(epochs=rows(0.1, 0.9), best=1),
        cycle(2, ["enc1"], epochs=rows(0.0, 0.9), best=2),
    ]
    path = draw_cycles({"mine": [cycles]}, tmp_path / "cycles.png")
    shape, near = colour_columns(path, (0x00, 0x72, 0xB2))
    near[: shape[0] // 10] = False
    places = np.argwhere(near)
    left = places[places[:, 1] == places[:, 1].min()][:, 0].mean()
    right = places[places[:, 1] == places[:, 1].max()][:, 0].mean()
    assert right < left - 100
    with pytest.raises(ValueError, match="at least one finished cycle"):
        draw_cycles({"mine": [[]]}, tmp_path / "none.png")

"""Cycles are read as training left them, and plots of them are drawn where they belong."""

import numpy as np
import pytest
from PIL import Image

from liver_tf.report.plots.cycle_plot import draw_cycles
from liver_tf.report.plots.training_curves import draw_curves
from liver_tf.results.training_history import FinishedCycle, read_cycles, seconds_spent
from tests.builders.study_folder import add_cycle


def cycle(number=1, fixed=(), epochs=(), best=1, key="", seconds=10.0):
    return FinishedCycle(number, tuple(fixed), "val_loss", best, seconds, key, tuple(epochs))


def test_finished_cycles_are_read_and_no_more(tmp_path):
    for number, blocks in ((1, []), (2, ["enc1"]), (4, ["enc1"])):
        add_cycle(tmp_path, number, blocks, key=f"k{number}")
    (tmp_path / "cycle3").mkdir()
    first, second = read_cycles(tmp_path)
    assert (first.number, second.number) == (1, 2)
    assert (first.fixed_text, second.fixed_text) == ("none", "enc1")
    assert (second.key, second.best_epoch, second.seconds) == ("k2", 2, 20.0)
    # The kept epoch is the second: 1.5 / 2 / 2.
    assert second.kept("val_loss") == 0.375
    assert second.kept("missing") is None
    assert cycle(best=3).kept("val_loss") is None
    (tmp_path / "cycle1" / "cycle.json").write_text("{}")
    assert read_cycles(tmp_path) == ()


@pytest.mark.parametrize(
    ("fixed", "text"),
    [
        ((), "none"),
        (("enc1",), "enc1"),
        (("enc1", "enc2", "enc3"), "enc1-3"),
        (("enc1", "enc3"), "enc1,enc3"),
        (("enc4", "enc5", "dec4", "dec3", "head"), "enc4-5,dec4-3,head"),
    ],
)
def test_blocks_in_short(fixed, text):
    assert cycle(fixed=fixed).fixed_text == text


def test_a_shared_cycle_is_spent_once():
    one, two = cycle(key="a"), cycle(key="b", seconds=5.0)
    unknown = cycle(seconds=1.0)
    assert seconds_spent([[one, two], [one, unknown], [unknown]]) == 17.0


def rows(*values, key="val_dice"):
    return [{"epoch": k, key: value} for k, value in enumerate(values, 1)]


def colour_columns(path, colour):
    image = np.asarray(Image.open(path).convert("RGB")).astype(int)
    near = np.abs(image - np.array(colour)).sum(axis=-1) < 40
    return image.shape, near


def test_curves_stand_one_after_the_other(tmp_path):
    """A first cycle at 1, a second at 0: the line's left half is above its right."""
    own = [cycle(epochs=rows(1.0, 1.0, 1.0)), cycle(2, epochs=rows(0.01, 0.01, 0.01))]
    path = draw_curves({"mine": [own]}, tmp_path / "curves.png")
    shape, near = colour_columns(path, (0x00, 0x9E, 0x73))
    near[: shape[0] // 2] = False
    heights = [np.argwhere(half)[:, 0].mean() for half in np.array_split(near[:, 150:], 2, axis=1)]
    assert heights[0] < heights[1] - 100
    with pytest.raises(ValueError, match="at least one epoch"):
        draw_curves({"mine": [[cycle()]]}, tmp_path / "none.png")


def test_cycles_show_the_kept_epoch(tmp_path):
    """The kept epochs rise from 0.1 to 0.9, whatever stood in the others."""
    own = [
        cycle(epochs=rows(0.1, 0.9), best=1),
        cycle(2, ["enc1"], epochs=rows(0.0, 0.9), best=2),
    ]
    path = draw_cycles({"mine": [own]}, tmp_path / "cycles.png")
    shape, near = colour_columns(path, (0x00, 0x72, 0xB2))
    near[: shape[0] // 10] = False
    places = np.argwhere(near)
    left = places[places[:, 1] == places[:, 1].min()][:, 0].mean()
    right = places[places[:, 1] == places[:, 1].max()][:, 0].mean()
    assert right < left - 100
    with pytest.raises(ValueError, match="at least one finished cycle"):
        draw_cycles({"mine": [[]]}, tmp_path / "none.png")

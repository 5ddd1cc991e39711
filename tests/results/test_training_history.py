"""Finished cycles are read as training wrote them."""

import pytest

from liver_tf.results.training_history import read_cycles, trained_cycles
from tests.builders.finished_cycles import cycle
from tests.builders.study_folder import add_cycle


def test_only_finished_cycles_are_read(tmp_path):
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
def test_frozen_blocks_are_abbreviated(fixed, text):
    assert cycle(fixed=fixed).fixed_text == text


def test_a_shared_cycle_counts_once():
    shared, second = cycle(key="a"), cycle(key="b", seconds=5.0)
    unknown = cycle(seconds=1.0)
    cycles = trained_cycles([[shared, second], [shared, unknown], [unknown]])
    assert sum(cycle.seconds for cycle in cycles) == 17.0

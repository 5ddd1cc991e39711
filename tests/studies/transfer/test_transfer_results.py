"""Figures of a network in the transfer study."""

import pytest

from liver_tf.studies.transfer.transfer_results import surface_mm, volume_dice
from tests.builders.transfer_networks import network


def test_dice_and_surface_distance_agree_with_hand_worked_values():
    # 10 x 10 against 5 x 10: 2 * 50 / 150; against nothing: 0.
    run = network(5, 0)
    assert [result.liver.dice for result in run.results] == pytest.approx([2 / 3, 0.0])
    # Together: 2 * 50 / (100 + 50 + 100 + 0).
    assert volume_dice(run) == pytest.approx(0.4)
    distance, without = surface_mm(run)
    assert without == 1
    assert 0 < distance < 5
    assert surface_mm(network(0, 0)) == (None, 2)

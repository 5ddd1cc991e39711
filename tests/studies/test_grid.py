"""The grid of a study: names of its runs and their order."""

from itertools import pairwise

import pytest

from liver_tf.studies.grid import PROTOCOLS, StudyCell, grid


def test_a_run_is_named_with_protocol_and_seed_in_either_order():
    cell = StudyCell(1, "hier_freeze", 0)
    assert cell.name == "fold1/hier_freeze/seed0"
    assert StudyCell.parse(cell.name) == StudyCell.parse("fold1/seed0/hier_freeze") == cell
    assert StudyCell.parse("fold10/no_freezing_5_cycles/seed42").seed == 42


@pytest.mark.parametrize(
    "name",
    [
        "",
        "fold1",
        "fold1/seed0",
        "fold1/fold2/seed0",
        "fold1/a/b",
        "fold1/a/seed0/b",
        "fold/a/seed0/",
    ],
)
def test_a_malformed_name_is_refused(name):
    with pytest.raises(ValueError, match="expected a run like fold1/hier_freeze/seed0"):
        StudyCell.parse(name)


def test_the_grid_has_every_cell_once_and_neighbours_differ_in_fold_or_seed():
    cells = grid(range(3), PROTOCOLS, [0, 1])
    assert len(set(cells)) == len(cells) == 3 * 7 * 2
    assert all((a.fold, a.seed) != (b.fold, b.seed) for a, b in pairwise(cells))

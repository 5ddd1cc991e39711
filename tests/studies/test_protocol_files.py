"""The grid of a study: names of cells, their order, what they copy, and what flag files may say."""

from itertools import pairwise
from pathlib import Path

import pytest
from absl import app

from liver_tf.studies.study import (
    PROTOCOLS,
    Cell,
    Protocol,
    epochs_by_cycle,
    grid,
    new_epochs,
    read_protocol,
    read_protocols,
    read_settings,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_a_cell_is_named_in_either_order():
    cell = Cell(1, "hier_freeze", 0)
    assert cell.name == "fold1/hier_freeze/seed0"
    assert Cell.parse(cell.name) == Cell.parse("fold1/seed0/hier_freeze") == cell
    assert Cell.parse("fold10/no_freezing_5_cycles/seed42").seed == 42


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
def test_what_names_no_cell_is_refused(name):
    with pytest.raises(ValueError, match="expected a cell like fold1/hier_freeze/seed0"):
        Cell.parse(name)


def test_the_grid_holds_every_cell_once_and_neighbours_share_no_cycle():
    cells = grid(range(3), PROTOCOLS, [0, 1])
    assert len(set(cells)) == len(cells) == 3 * 7 * 2
    assert all((a.fold, a.seed) != (b.fold, b.seed) for a, b in pairwise(cells))


def test_common_cycles_are_counted_once():
    protocols = [read_protocol(name) for name in PROTOCOLS]
    assert [one.name for one in protocols] == list(PROTOCOLS)
    found = new_epochs(protocols, ["--epochs=10"])
    assert {name: [count > 0 for count in cycles] for name, cycles in found.items()} == {
        "baseline": [True],
        "no_freezing": [True],
        "freeze_encoder": [True],
        "hier_freeze": [False, True, True, True, True],
        "hier_unfreeze": [False, True, True, True, True, True],
        "no_freezing_5_cycles": [False, True, True, True, True],
        "no_freezing_6_cycles": [False, False, False, False, False, True],
    }
    # Another learning rate in the protocol's own file makes other cycles.
    slow = Protocol("slow", (*protocols[1].arguments, "--learning_rate=1e-6"))
    assert new_epochs([protocols[1], slow], [])["slow"] == [80]


def test_epochs_are_those_of_the_cycle_else_of_the_last_flag():
    mine = Protocol("mine", ("--cycle=none epochs=3 batch_size=2", "--epochs=7", "--cycle=enc1"))
    assert epochs_by_cycle(mine, []) == [3, 7]
    assert epochs_by_cycle(mine, ["--epochs=9"]) == [3, 9]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--fold=1", "--fold cannot stand here"),
        ("--runs=elsewhere", "--runs cannot stand here"),
        ("--nodry_run", "--nodry_run cannot stand here"),
        ("--cycle=none", "--cycle cannot stand here"),
    ],
)
def test_settings_that_would_be_overruled_in_silence_are_refused(tmp_path, line, message):
    path = tmp_path / "settings.flags"
    path.write_text(f"# a comment\n--epochs=3\n{line}\n")
    with pytest.raises(app.UsageError, match=message):
        read_settings([str(path)])
    path.write_text("# a comment\n--epochs=3\n")
    assert read_settings([str(path)]) == {str(path): ("--epochs=3",)}


def test_a_protocol_is_a_flag_file_with_a_name_and_cycles(tmp_path):
    with pytest.raises(app.UsageError, match=r"no flag file nothing\.flags"):
        read_protocol("nothing")
    path = tmp_path / "mine.flags"
    path.write_text("--protocol=mine\n")
    with pytest.raises(app.UsageError, match="at least one --cycle="):
        read_protocol(str(path))
    path.write_text("--protocol=../mine\n--cycle=none\n")
    with pytest.raises(app.UsageError, match="letters, digits, '_' and '-' alone"):
        read_protocol(str(path))
    path.write_text("--flagfile=hier_freeze.flags\n--protocol=mine\n")
    with pytest.raises(app.UsageError, match="--protocols: mine is there twice"):
        read_protocols(["baseline", str(path), str(path)])
    assert read_protocol(str(path)).name == "mine"
    assert len(read_protocol(str(path)).cycles) == 5

"""Flag files of a study: what they may set, and which cycles protocols share."""

from pathlib import Path

import pytest

from liver_tf.options import OptionError
from liver_tf.studies.grid import PROTOCOLS
from liver_tf.studies.protocol_files import (
    ProtocolFile,
    epochs_by_cycle,
    new_epochs,
    read_protocol,
    read_protocols,
    read_settings,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_cycles_shared_with_an_earlier_protocol_are_counted_once():
    protocols = [read_protocol(name) for name in PROTOCOLS]
    assert [protocol.name for protocol in protocols] == list(PROTOCOLS)
    epochs = epochs_by_cycle(protocols, {"some.flags": ["--epochs=10"]})
    assert set(epochs["hier_freeze"]) == {10}
    planned = new_epochs(protocols, epochs)
    assert {name: [count > 0 for count in cycles] for name, cycles in planned.items()} == {
        "baseline": [True],
        "no_freezing": [True],
        "freeze_encoder": [True],
        "hier_freeze": [False, True, True, True, True],
        "hier_unfreeze": [False, True, True, True, True, True],
        "no_freezing_5_cycles": [False, True, True, True, True],
        "no_freezing_6_cycles": [False, False, False, False, False, True],
    }
    # Another learning rate in the protocol's own file makes other cycles.
    slow = ProtocolFile("slow", (*protocols[1].arguments, "--learning_rate=1e-6"))
    assert new_epochs([protocols[1], slow], {"no_freezing": (80,), "slow": (80,)})["slow"] == (80,)


def test_the_epochs_of_a_cycle_override_the_last_epochs_flag():
    mine = ProtocolFile(
        "mine", ("--cycle=none epochs=3 batch_size=2", "--epochs=7", "--cycle=enc1")
    )
    assert epochs_by_cycle([mine], {}) == {"mine": (3, 7)}
    assert epochs_by_cycle([mine], {"some.flags": ["--epochs=9"]}) == {"mine": (3, 9)}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--fold=1", "--fold is not allowed in this file"),
        ("--runs=elsewhere", "--runs is not allowed in this file"),
        ("--nodry_run", "--nodry_run is not allowed in this file"),
        ("--cycle=none", "--cycle is not allowed in this file"),
    ],
)
def test_settings_that_the_study_would_override_are_refused(tmp_path, line, message):
    path = tmp_path / "settings.flags"
    path.write_text(f"# a comment\n--epochs=3\n{line}\n")
    with pytest.raises(OptionError, match=message):
        read_settings([str(path)])
    path.write_text("# a comment\n--epochs=3\n")
    assert read_settings([str(path)]) == {str(path): ("--epochs=3",)}


def test_a_protocol_file_needs_a_unique_name_and_cycles(tmp_path):
    with pytest.raises(OptionError, match=r"no flag file nothing\.flags"):
        read_protocol("nothing")
    path = tmp_path / "mine.flags"
    path.write_text("--protocol=mine\n")
    with pytest.raises(OptionError, match="at least one --cycle="):
        read_protocol(str(path))
    path.write_text("--protocol=../mine\n--cycle=none\n")
    with pytest.raises(OptionError, match="only letters, digits, '_' and '-'"):
        read_protocol(str(path))
    path.write_text("--flagfile=hier_freeze.flags\n--protocol=mine\n")
    with pytest.raises(OptionError, match="protocols: mine occurs twice"):
        read_protocols(["baseline", str(path), str(path)])
    assert read_protocol(str(path)).name == "mine"
    assert len(read_protocol(str(path)).cycles) == 5

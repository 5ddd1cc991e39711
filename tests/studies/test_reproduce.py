"""A small study from records to its report: killed, split, spread by Ray, a cell that fails."""

import os
import shutil
import signal
import time

import pytest
from absl import app

from liver_tf import folder_lock
from liver_tf.folder_lock import locked_folder
from liver_tf.refusals import Refusal
from liver_tf.run_files import finished_epochs
from tests.builders import tiny_study
from trainers import reproduce

CELL = "fold0/mine/seed0"


@pytest.fixture(scope="module")
def work(tmp_path_factory, make_network):
    folder = tiny_study.write(tmp_path_factory.mktemp("work"), make_network)
    tiny_study.protocol(folder, "mine", "enc1")
    # Its flags can be read; that there is no such file is found where it is needed.
    tiny_study.protocol(folder, "wrong", "enc1", allow_pairs=folder / "nowhere.txt")
    return folder


@pytest.fixture(scope="module")
def undisturbed(work):
    """A study of one cell that can be trained and one that cannot, and what was printed."""
    study = work / "undisturbed"
    protocols = [work / "wrong.flags", work / "mine.flags"]
    process = tiny_study.start(tiny_study.arguments(work, study, protocols, workers=2))
    out, err = process.communicate(timeout=300)
    return study, process.returncode, out, err


def run_of(study):
    return study / "finetune" / "fold0" / "seed0" / "mine"


def test_a_cell_that_fails_stops_no_other(undisturbed):
    study, status, out, err = undisturbed
    assert status == 1, err
    assert f"{CELL}: done in " in out
    assert "fold0/wrong/seed0: FAILED, ended with status 1" in out
    assert "nowhere.txt" in out
    assert "1 run(s) FAILED: fold0/wrong/seed0. The same command retries them." in out
    # The report tells what is missing.
    report = (study / "report" / "report.md").read_text()
    assert "fold0/seed0/wrong" in report
    assert (run_of(study) / "postprocessing.json").is_file()
    assert finished_epochs(run_of(study)) == (1, 0)


def test_killed_and_started_again_the_result_is_the_same(work, undisturbed, monkeypatch):
    monkeypatch.setattr(folder_lock, "_PATIENCE_SECONDS", 0.1)
    study = work / "killed"
    arguments = tiny_study.arguments(work, study, [work / "mine.flags"], seeds="0,1")
    process = tiny_study.start(arguments)
    ends = time.monotonic() + 200
    files = [run_of(study) / "cycle1" / name for name in ("state.npz", "cycle.json")]
    while not any(path.exists() for path in files) and time.monotonic() < ends:
        time.sleep(0.01)
    process.kill()
    process.wait()
    # The process of the cell goes on alone, and nobody else may touch the cell until it has ended.
    with pytest.raises(Refusal, match="output-busy"), locked_folder(study / "cells" / CELL):
        pass
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (run_of(study) / "measures" / "test.json").exists()
    process = tiny_study.start([*arguments, f"--only={CELL}"])
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert (study / "cells" / CELL / "log.txt").read_text().count("$ python -m trainers.cell") == 2
    assert tiny_study.result_of(run_of(study)) == tiny_study.result_of(run_of(undisturbed[0]))
    # Another cell of the study is to go.
    assert not (study / "report").exists()
    assert not (study / "cells" / "fold0" / "mine" / "seed1").exists()


def test_what_is_done_is_neither_trained_nor_measured_again(work, undisturbed, command, capsys):
    study = undisturbed[0]
    protocols = [work / "mine.flags", work / "wrong.flags"]
    arguments = tiny_study.arguments(work, study, protocols, seeds="0,1")
    before = {path: path.stat().st_mtime_ns for path in run_of(study).rglob("*")}
    log = (study / "cells" / CELL / "log.txt").read_text()
    assert command(reproduce, *arguments, "--list") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{CELL}\tdone",
        "fold0/mine/seed1\t-",
        "fold0/wrong/seed0\tfailed",
        "fold0/wrong/seed1\t-",
    ]
    assert command(reproduce, *arguments, f"--only={CELL}") == 0
    assert "no report yet: 3 of 4 runs are not done" in capsys.readouterr().out
    alone = tiny_study.arguments(work, study, [work / "mine.flags"], only=CELL)
    assert command(reproduce, *alone) == 0  # the last of its study
    assert "report.html" in capsys.readouterr().out
    assert command(reproduce, *arguments, "--report_only") == 0
    assert "report.html" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in run_of(study).rglob("*")} == before
    assert (study / "cells" / CELL / "log.txt").read_text() == log


def test_other_settings_are_not_mixed_into_a_study(work, undisturbed, command, capsys):
    settings = tiny_study.settings(work, "others", epochs=3)
    protocols = [work / "mine.flags"]
    arguments = tiny_study.arguments(work, undisturbed[0], protocols, settings=settings, seeds=1)
    assert command(reproduce, *arguments) == 1
    assert "settings: --epochs=2 before, --epochs=3 now" in capsys.readouterr().err
    assert not (undisturbed[0] / "cells" / "fold0" / "mine" / "seed1").exists()


def test_a_changed_study_is_refused_by_its_list_too(work, undisturbed, command, capsys):
    settings = tiny_study.settings(work, "others", epochs=3)
    arguments = tiny_study.arguments(work, undisturbed[0], [work / "mine.flags"], settings=settings)
    assert command(reproduce, *arguments, "--list") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "settings: --epochs=2 before, --epochs=3 now" in err


def test_a_cell_whose_measures_are_gone_is_not_listed_as_done(work, undisturbed, command, capsys):
    study = work / "without_measures"
    shutil.copytree(undisturbed[0], study)
    (run_of(study) / "measures" / "test.json").unlink()
    arguments = tiny_study.arguments(work, study, [work / "mine.flags"])
    assert command(reproduce, *arguments, "--list") == 0
    assert capsys.readouterr().out == f"{CELL}\tstale\n"


def test_a_report_tells_of_the_cells_that_nobody_began(work, undisturbed, command):
    study = work / "one_of_four"
    shutil.copytree(run_of(undisturbed[0]), run_of(study))
    arguments = tiny_study.arguments(
        work, study, [work / "mine.flags"], folds="0,1", seeds="0,1", samples=100
    )
    assert command(reproduce, *arguments, "--report_only") == 0
    report = (study / "report" / "report.md").read_text()
    assert "STUDY NOT COMPLETE: 1 of 4 runs are measured" in report
    for name in ("fold0/seed1/mine", "fold1/seed0/mine", "fold1/seed1/mine"):
        assert name in report
    # Of the cells to go nothing is made.
    assert [path.name for path in (study / "finetune").iterdir()] == ["fold0"]
    assert not (study / "cells").exists()


@pytest.mark.parametrize(
    ("settings", "cycle", "message"),
    [
        ({"nonsense": 3}, "none", r"slip\.flags: Unknown command line flag 'nonsense'"),
        ({"epochs": "many"}, "none", r"slip\.flags: flag --epochs=many"),
        ({}, "enc9", r"slipped\.flags: --cycle=enc9: .*no block is called 'enc9'"),
        ({"jit_compile": True}, "none", r"slipped\.flags: --jit_compile: also give"),
    ],
)
def test_flags_that_no_cell_could_read_are_refused_once(
    work, command, tmp_path, settings, cycle, message
):
    tiny_study.protocol(tmp_path, "slipped", cycle)
    settings = tiny_study.settings(tmp_path, "slip", **settings)
    protocols = [tmp_path / "slipped.flags"]
    arguments = tiny_study.arguments(work, tmp_path / "never", protocols, settings=settings)
    with pytest.raises(app.UsageError, match=message):
        command(reproduce, *arguments, "--list")
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"only": "fold0/mine"}, "--only: expected a run like fold1/hier_freeze/seed0"),
        ({"only": "fold1/mine/seed0"}, "--only: this study has no run fold1/mine/seed0"),
        ({"folds": "0,2"}, "--folds: expected 0 to 1, got 2"),
        ({"seeds": "-1"}, "--seeds: expected whole numbers like 0,1,2"),
    ],
)
def test_cells_that_are_not_there_are_refused(work, command, changes, message):
    arguments = tiny_study.arguments(work, work / "never", [work / "mine.flags"], **changes)
    with pytest.raises(app.UsageError, match=message):
        command(reproduce, *arguments)
    assert not (work / "never").exists()


def test_ray_gives_the_same(work, undisturbed, tmp_path):
    pytest.importorskip("ray", reason="the extra ray is not installed")
    protocols, seeds = [work / "mine.flags"], "0,1"
    arguments = tiny_study.arguments(work, tmp_path, protocols, seeds=seeds, engine="ray")
    process = tiny_study.start([*arguments, f"--only={CELL}", "--num_cpus=0.5"])
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert tiny_study.result_of(run_of(tmp_path)) == tiny_study.result_of(run_of(undisturbed[0]))

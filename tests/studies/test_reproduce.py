"""A small study from records to its report, its runs trained in this process."""

import shutil
from types import SimpleNamespace

import pytest

from liver_tf.options import OptionError
from liver_tf.refusals import Refusal
from liver_tf.run_files import finished_epochs
from liver_tf.studies import run_process
from tests.builders import tiny_study
from tests.builders.tiny_study import CELL, run_of
from trainers import cell, reproduce


@pytest.fixture(scope="module")
def work(tmp_path_factory, make_network):
    folder = tiny_study.write(tmp_path_factory.mktemp("work"), make_network)
    tiny_study.protocol(folder, "mine", "enc1")
    # Its flags can be read; the missing file is noticed only when the run starts.
    tiny_study.protocol(folder, "wrong", "enc1", allow_pairs=folder / "nowhere.txt")
    return folder


@pytest.fixture(scope="module")
def finished(work, command):
    """The folder of a study with one run that succeeds and one that fails."""

    def run_here(arguments, *, stdout, **options):
        try:
            status = command(cell, *arguments[3:])
        except Refusal as refusal:
            print(refusal.text_with_path(), file=stdout)
            status = 1
        return SimpleNamespace(returncode=status)

    study = work / "finished"
    protocols = [work / "wrong.flags", work / "mine.flags"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_process, "subprocess", SimpleNamespace(run=run_here, DEVNULL=0, STDOUT=0))
        status = command(reproduce, *tiny_study.arguments(work, study, protocols))
    assert status == 1
    return study


def test_after_a_failed_run_the_others_are_executed_and_reported(finished):
    report = (finished / "report" / "report.md").read_text()
    assert "fold0/seed0/wrong" in report
    assert (run_of(finished) / "postprocessing.json").is_file()
    assert finished_epochs(run_of(finished)) == (1, 0)


def test_a_finished_run_is_neither_trained_nor_evaluated_again(work, finished, command, capsys):
    protocols = [work / "mine.flags", work / "wrong.flags"]
    arguments = tiny_study.arguments(work, finished, protocols, seeds="0,1")
    before = {path: path.stat().st_mtime_ns for path in run_of(finished).rglob("*")}
    log = (finished / "cells" / CELL / "log.txt").read_text()
    assert command(reproduce, *arguments, "--list") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{CELL}\tdone",
        "fold0/mine/seed1\t-",
        "fold0/wrong/seed0\tfailed",
        "fold0/wrong/seed1\t-",
    ]
    assert command(reproduce, *arguments, f"--only={CELL}") == 0
    assert "no report yet: 3 of 4 runs are not done" in capsys.readouterr().out
    alone = tiny_study.arguments(work, finished, [work / "mine.flags"], only=CELL)
    assert command(reproduce, *alone) == 0  # the last run of its study
    assert "report.html" in capsys.readouterr().out
    assert command(reproduce, *arguments, "--report_only") == 0
    assert "report.html" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in run_of(finished).rglob("*")} == before
    assert (finished / "cells" / CELL / "log.txt").read_text() == log


def test_runs_with_other_settings_are_refused(work, finished, command, capsys):
    settings = tiny_study.settings(work, "others", epochs=3)
    protocols = [work / "mine.flags"]
    arguments = tiny_study.arguments(work, finished, protocols, settings=settings, seeds=1)
    for option in ("--list", "--nolist"):
        assert command(reproduce, *arguments, option) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert "settings: --epochs=2 before, --epochs=3 now" in err
    assert not (finished / "cells" / "fold0" / "mine" / "seed1").exists()


def test_a_run_without_its_measures_is_listed_as_stale(work, finished, command, capsys):
    study = work / "without_measures"
    shutil.copytree(finished, study)
    (run_of(study) / "measures" / "test.json").unlink()
    arguments = tiny_study.arguments(work, study, [work / "mine.flags"])
    assert command(reproduce, *arguments, "--list") == 0
    assert capsys.readouterr().out == f"{CELL}\tstale\n"


def test_the_report_names_the_runs_that_were_never_started(work, finished, command):
    study = work / "one_of_four"
    shutil.copytree(run_of(finished), run_of(study))
    arguments = tiny_study.arguments(
        work, study, [work / "mine.flags"], folds="0,1", seeds="0,1", samples=100
    )
    assert command(reproduce, *arguments, "--report_only") == 0
    report = (study / "report" / "report.md").read_text()
    assert "STUDY INCOMPLETE: 1 of 4 runs" in report
    for name in ("fold0/seed1/mine", "fold1/seed0/mine", "fold1/seed1/mine"):
        assert name in report
    # Nothing is written for the missing runs.
    assert [path.name for path in (study / "finetune").iterdir()] == ["fold0"]
    assert not (study / "cells").exists()


@pytest.mark.parametrize(
    ("settings", "cycle", "message"),
    [
        ({"nonsense": 3}, "none", r"slip\.flags: Unknown command line flag 'nonsense'"),
        ({"epochs": "many"}, "none", r"slip\.flags: flag --epochs=many"),
        ({}, "enc9", r"slipped\.flags: --cycle=enc9"),
        ({"jit_compile": True}, "none", r"slipped\.flags: --jit_compile: requires"),
    ],
)
def test_flags_that_no_run_could_read_are_refused_before_the_first_run(
    work, command, tmp_path, settings, cycle, message
):
    tiny_study.protocol(tmp_path, "slipped", cycle)
    settings = tiny_study.settings(tmp_path, "slip", **settings)
    protocols = [tmp_path / "slipped.flags"]
    arguments = tiny_study.arguments(work, tmp_path / "never", protocols, settings=settings)
    with pytest.raises(OptionError, match=message):
        command(reproduce, *arguments, "--list")
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"only": "fold0/mine"}, "only: expected a run like fold1/hier_freeze/seed0"),
        ({"only": "fold1/mine/seed0"}, "only: this study has no run fold1/mine/seed0"),
        ({"folds": "0,2"}, "folds: expected 0 to 1, got 2"),
        ({"seeds": "-1"}, "seeds: expected a whole number, got '-1'"),
    ],
)
def test_runs_that_the_study_does_not_have_are_refused(work, finished, command, changes, message):
    # The folder of a started study: its flag files were read then.
    arguments = tiny_study.arguments(work, finished, [work / "mine.flags"], **changes)
    with pytest.raises(OptionError, match=message):
        command(reproduce, *arguments)

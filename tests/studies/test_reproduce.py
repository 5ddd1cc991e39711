"""Reproduce a study whose runs are done, failed or missing; nothing is trained."""

import json
import shutil
from dataclasses import replace

import pytest

from liver_tf.assessment.assessment_settings import SearchSettings
from liver_tf.command_line.flags_of_options import parse
from liver_tf.options import OptionError
from liver_tf.records.folds import load_folds
from liver_tf.records.manifest import load_manifest
from liver_tf.studies.finetune_and_evaluate import LesionRunSettings
from liver_tf.studies.reproduce import plan_reproduction
from liver_tf.studies.study_settings import ReproduceSettings
from tests.builders import study_folder, tiny_study
from tests.builders.tiny_study import CELL, run_of
from trainers import reproduce


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tiny_study.write(tmp_path_factory.mktemp("work"))
    tiny_study.protocol(folder, "mine", "enc1")
    tiny_study.protocol(folder, "wrong", "enc1")
    return folder


@pytest.fixture(scope="module")
def finished(work, cohort):
    """The folder of a study with one run that is done and one that has failed."""
    study = work / "finished"
    study_folder.write_measured_run(study, cohort, "mine", 0.8)
    study_folder.write_run(study, "wrong", cycles=0)
    protocols = [work / "wrong.flags", work / "mine.flags"]
    settings = parse(ReproduceSettings, tiny_study.arguments(work, study, protocols))
    failed, done = plan_reproduction(settings).jobs
    for job, state in ((failed, "failed"), (done, "done")):
        job.folder.mkdir(parents=True)
        status = {"state": state, "made_of": job.made_of, "seconds": {}}
        (job.folder / "cell.json").write_text(json.dumps(status))
        job.log.write_text("$ python -m trainers.cell\n")
    return study


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
    ("flags", "label"),
    [({}, "PHANTOM data (not patients)"), ({"data_label": "our study"}, "our study")],
)
def test_the_report_names_phantoms_unless_a_name_is_given(
    work, finished, command, tmp_path, flags, label
):
    shutil.copytree(work / "whole", tmp_path / "whole")
    replace(load_manifest(work / "whole"), made_by={"data": "phantom"}).save(tmp_path / "whole")
    shutil.copytree(run_of(finished), run_of(tmp_path))
    arguments = tiny_study.arguments(
        work, tmp_path, [work / "mine.flags"], records=tmp_path / "whole", samples=100, **flags
    )
    assert command(reproduce, *arguments, "--report_only") == 0
    assert f"measured on {label}" in (tmp_path / "report" / "report.md").read_text()


@pytest.mark.parametrize(
    ("settings", "cycle", "message"),
    [
        ({"nonsense": 3}, "none", r"slip\.flags: --nonsense: there is no such flag"),
        ({"decision": "guess"}, "none", r"slip\.flags: --decision: expected one of"),
        (
            {"epochs": "many"},
            "none",
            r"slip\.flags: --epochs: expected a whole number",
        ),
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


def test_a_dry_run_counts_runs_cycles_and_steps(work, command, tmp_path, capsys):
    tiny_study.protocol(tmp_path, "long", "none", "enc1 epochs=5 batch_size=3")
    tiny_study.protocol(tmp_path, "longer", "none", "enc1-enc2 batch_size=100")
    arguments = tiny_study.arguments(
        work,
        tmp_path / "study",
        [tmp_path / "long.flags", tmp_path / "longer.flags"],
        folds="0,1",
        seeds="0,1,2",
    )
    folds = load_folds(work / "folds.json", load_manifest(work / "rois"))
    assert [len(fold.training) for fold in folds] == [4, 4]  # of one slice each
    assert command(reproduce, *arguments, "--dry_run") == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == f"2 folds x 2 protocols x 3 seeds: 12 runs, in {tmp_path / 'study'}"
    # Six runs each: 2 epochs of 1 batch and 5 of 2; the other copies its first cycle, 2 of 1.
    assert [line.split() for line in lines[2:5]] == [
        ["long", "none;", "enc1", "12", "42", "72"],
        ["longer", "(none);", "enc1-enc2", "6", "12", "12"],
        ["total", "18", "54", "84"],
    ]
    assert "cycles in brackets are copied" in out
    # The networks of this folder have no description.
    assert f"make the missing inputs (--pretrained={work / 'lesion'}, --liver_run=" in err
    assert not (tmp_path / "study").exists()
    outside = [each for each in arguments if not each.startswith("--folds=")]
    with pytest.raises(OptionError, match="folds: expected 0 to 1, found 2"):
        command(reproduce, *outside, "--folds=2", "--dry_run")


def test_a_dry_run_needs_no_records(tmp_path, monkeypatch, command, capsys):
    monkeypatch.chdir(tmp_path)
    assert command(reproduce, "--dry_run", "--seeds=0,1") == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "3 folds x 7 protocols x 2 seeds: 42 runs, in runs/study"
    assert lines[1].startswith("assumed: 3 folds (the default")
    assert "steps" not in lines[2]
    # Of the 25 cycles of the protocols 17 are trained, for up to 80 epochs.
    assert lines[-2].split() == ["total", "102", "8,160"]
    assert "--records=tfrecords/sheba" in err
    assert list(tmp_path.iterdir()) == []


def test_all_runs_share_the_decision_rule(work, command, tmp_path, capsys):
    flags = {"decision": "prior_corrected", "max_false_positive_rate": 0.05}
    settings = tiny_study.settings(tmp_path, "rule", **flags)
    arguments = tiny_study.arguments(work, tmp_path, [work / "mine.flags"], settings=settings)
    assert command(reproduce, *arguments, "--list") == 0
    plan = plan_reproduction(parse(ReproduceSettings, arguments))
    run = parse(LesionRunSettings, plan.jobs[0].arguments)
    assert run.search == SearchSettings(decision="prior_corrected", max_false_positive_rate=0.05)
    assert run.postprocessing


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"only": "fold0/mine"}, "only: expected a run like fold1/hier_freeze/seed0"),
        ({"only": "fold1/mine/seed0"}, "only: this study has no run fold1/mine/seed0"),
        ({"folds": "0,2"}, "folds: expected 0 to 1, found 2"),
        ({"seeds": "-1"}, "seeds: expected a whole number"),
    ],
)
def test_runs_that_the_study_does_not_have_are_refused(work, command, changes, message):
    arguments = tiny_study.arguments(work, work / "never", [work / "mine.flags"], **changes)
    with pytest.raises(OptionError, match=message):
        command(reproduce, *arguments)
    assert not (work / "never").exists()

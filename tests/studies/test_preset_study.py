"""The preset study: its steps, an ablation that leads from one preset to the other, its report."""

import csv
import importlib
import re
from dataclasses import replace
from itertools import pairwise

import pytest

from liver_tf.command_line.flag_files import read_flag_file
from liver_tf.command_line.flags_of_options import parse
from liver_tf.command_line.run_command import settings_class
from liver_tf.measures.measure_registry import summarise
from liver_tf.refusals import Refusal
from liver_tf.results.run_results import hash_of_ensemble
from liver_tf.results.stored_results import load_results, save_results
from liver_tf.run_files import ensemble_folder
from liver_tf.studies.finetune_and_evaluate import LesionRunSettings
from liver_tf.studies.preset_report import write_preset_report
from liver_tf.studies.preset_study import (
    PAPER,
    RECOMMENDED,
    STEPS,
    PresetStudySettings,
    ablation_arms,
    finetuning_flags,
    preset_study_steps,
)
from tests.builders.study_folder import add_cycle, write_measured_run

CYCLE = ("--start=pretrained", "--cycle=none")


@pytest.fixture
def study(tmp_path):
    return PresetStudySettings(
        folder=tmp_path, protocols=("no_freezing",), seeds=(0, 1), samples=200
    )


def settings_of(flags):
    """What decides a run, without the name of its protocol."""
    cycle = () if "--cycle=none" in flags else CYCLE
    return replace(parse(LesionRunSettings, [*cycle, *flags]), protocol="custom")


def test_every_step_is_a_command_with_flags_that_it_has(study):
    steps = preset_study_steps(study)
    assert len({step.name for step in steps}) == len(steps)
    for step in steps:
        module, *arguments = step.command
        settings = parse(settings_class(importlib.import_module(module).main), arguments)
        if module == "trainers.pretrain":
            assert (settings.architecture.image_size, settings.architecture.base_filters) == (
                128,
                16,
            )
    trial = preset_study_steps(replace(study, most_epochs=3))
    pretrain = next(step for step in trial if step.module == "trainers.pretrain")
    assert "--epochs=3" in pretrain.command


def test_the_ablation_leads_from_one_preset_to_the_other_step_by_step(study):
    preset_study_steps(study)
    first, *between, last = ablation_arms(study)
    assert [arm.name for arm in between] == [f"{k}_{name}" for k, name in enumerate(STEPS, 1)]
    files = [study.folder / "ablation" / f"{arm.name}.flags" for arm in between]
    settings = [settings_of(read_flag_file(file)) for file in files]
    assert settings[0] == settings_of(finetuning_flags(study, PAPER))
    assert first.pretrained == study.folder / PAPER
    assert {arm.pretrained for arm in (*between, last)} == {None}
    assert not settings[0].postprocessing
    assert settings[1].postprocessing
    assert all(earlier != later for earlier, later in pairwise(settings))
    changed = {flag.split("=")[0] for flag in last.changed}
    recommended = dict(flag.split("=") for flag in finetuning_flags(study, RECOMMENDED))
    final = [flag for flag in read_flag_file(files[-1]) if flag.split("=")[0] not in changed]
    final += [f"{name}={recommended[name]}" for name in changed if name in recommended]
    assert settings_of(final) == settings_of(finetuning_flags(study, RECOMMENDED))


def test_the_report_has_both_presets_their_ensembles_and_every_step(study, cohort):
    for number, arm in enumerate(ablation_arms(study)):
        for seed in study.seeds:
            write_measured_run(arm.study, cohort, arm.name, 0.3 + number / 15, 0, seed)
        runs = arm.runs(study.seeds)
        results = [load_results(run) for run in runs]
        weights = hash_of_ensemble([result.made_of["weights"] for result in results])
        averaged = replace(
            results[0],
            protocol=f"{arm.name}, ensemble of 2 seeds",
            made_of={**results[0].made_of, "weights": weights, "postprocessing": "none"},
        )
        save_results(averaged, ensemble_folder(runs[0]))
    for network in ("liver", "lesion"):
        run = study.folder / PAPER / "runs" / network
        run.mkdir(parents=True)
        add_cycle(run, 1)
        history = run / "cycle1" / "history.csv"
        history.write_text("epoch,loss,core_seconds\n1,0.5,60\n2,0.4,90\n")
    foreign = study.folder / "report" / "report.md"
    foreign.parent.mkdir()
    foreign.write_text("# Notes of somebody\n")
    with pytest.raises(Refusal, match="output-foreign"):
        write_preset_report(study, study.folder / "report")
    foreign.unlink()
    page = write_preset_report(study, study.folder / "report")
    text = page.with_suffix(".md").read_text()
    for name in (*(arm.name for arm in ablation_arms(study)[1:-1]), "paper's preset"):
        assert name.replace("_", r"\_") in text or name in text
    # Both networks of the paper's preset: 2 * 150 s.
    assert re.search(r"^\| paper: no_freezing \| run's .*\| 5.0 \| 0.0 \|$", text, flags=re.M)
    assert re.search(r"^\| recommended: no_freezing \| run's .*\| – \| 0.0 \|$", text, flags=re.M)
    rows = list(csv.DictReader((study.folder / "report" / "report.csv").open()))
    found = {(row["row"], row["decision"], row["measure"]): row["value"] for row in rows}
    last = ablation_arms(study)[-1]
    pooled = [r for run in last.runs(study.seeds) for r in load_results(run).results]
    expected = summarise(pooled)["dice2"]
    assert float(found["recommended: no_freezing", "run", "dice2"]) == pytest.approx(expected)
    averaged = ("recommended: no_freezing, ensemble of 2 seeds", "argmax", "dice2")
    assert float(found[averaged]) == pytest.approx(expected)
    assert ("recommended: no_freezing", "argmax", "dice2") not in found


def test_recommended_protocols_share_the_epochs_those_of_the_paper_do_not(study):
    study = replace(study, protocols=("no_freezing", "hier_unfreeze"))
    steps = {step.name: step for step in preset_study_steps(study)}
    assert "--protocols=no_freezing,hier_unfreeze" in steps["paper_reproduce"].command
    (flag,) = [f for f in steps["recommended_reproduce"].command if f.startswith("--protocols=")]
    files = flag.removeprefix("--protocols=").split(",")
    shared = finetuning_flags(study, RECOMMENDED)
    one, six = [parse(LesionRunSettings, [*read_flag_file(f), *shared]) for f in files]
    assert [cycle.epochs for cycle in one.parsed_protocol().cycles] == [60]
    assert [cycle.epochs for cycle in six.parsed_protocol().cycles] == [10] * 6
    assert six.protocol == "hier_unfreeze"

"""The protocol of anatomical data augmentation: label by another run, train on both, evaluate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from liver_tf.command_line.flags_of_options import parse
from liver_tf.options import OptionError
from liver_tf.records.folds import load_folds
from liver_tf.records.manifest import load_manifest
from liver_tf.report.write_report import write_study_report
from liver_tf.results.stored_results import load_results
from liver_tf.studies.finetune_and_evaluate import (
    LesionRunSettings,
    finetune_and_evaluate_lesions,
)
from liver_tf.studies.phantom_study import PhantomStudySettings, phantom_study_steps
from liver_tf.studies.protocol_files import read_protocol
from tests.builders import tiny_study
from tests.builders.neighbours import add_neighbours
from tests.builders.phantom_sets import records_of

ROOT = Path(__file__).parents[2]


def flags_of(name):
    return list(read_protocol(str(ROOT / name)).arguments)


@pytest.fixture(scope="module")
def study(tmp_path_factory, make_network):
    """A study with the runs baseline and anatomical of fold 0."""
    work = tiny_study.write(tmp_path_factory.mktemp("work"), make_network)
    add_neighbours(work / "whole", work / "truth")
    for name in ("baseline", "flags/anatomical"):
        values = {
            "records": work / "rois",
            "whole_records": work / "whole",
            "folds_file": work / "folds.json",
            "pretrained": work / "lesion",
            "liver_run": work / "liver",
            "runs": work / "study/finetune",
            "neighbour_truth": work / "truth",
            **{"epochs": 1, "batch_size": 4, "pictures": 0},
        }
        flags = [f"--{key}={value}" for key, value in values.items()]
        flags += ["--accept_unknown_training", "--nopostprocessing"]
        finetune_and_evaluate_lesions(parse(LesionRunSettings, [*flags_of(name), *flags]))
    return work


def run_of(study, protocol):
    return study / "study/finetune/fold0/seed0" / protocol


@pytest.mark.long
def test_the_run_learns_from_labelled_neighbours_of_its_training_cases(study):
    identity = json.loads((run_of(study, "anatomical") / "run.json").read_text())
    extended = run_of(study, "anatomical") / "extended_records"
    manifest = load_manifest(extended)
    assert identity["data_fingerprint"] == manifest.fingerprint
    assert identity["protocol"]["start"] == "scratch"
    (split, *_) = load_folds(study / "folds.json", load_manifest(study / "whole"))
    added = {case for (case, _), r in records_of(extended).items() if r.neighbour_of is not None}
    assert added
    assert added <= set(split.training)


@pytest.mark.long
def test_only_annotated_slices_are_tested_and_validated(study):
    annotated = set(records_of(study / "whole"))
    for part in ("test", "validation"):
        results = load_results(run_of(study, "anatomical"), part).results
        assert {(r.case, r.slice_index) for r in results} <= annotated
        baseline = load_results(run_of(study, "baseline"), part).results
        assert {r.image for r in baseline} == {r.image for r in results}


@pytest.mark.long
def test_the_report_has_table_ii_and_the_labels_made(study, tmp_path):
    write_study_report(study / "study", tmp_path, data_label="PHANTOM data", samples=100)
    text = (tmp_path / "report.md").read_text("utf-8")
    table = text.partition("Table II")[2].partition("Generated labels")
    assert "| hierarchical unfreezing | 0.94 | 0.73 | – | – |" in table[0]
    assert "| anatomical data augmentation | 0.80 | 0.61 |" in table[0]
    assert "| anatomical |" in table[2]
    assert "predicted, all neighbours" in table[2]


def test_both_flag_files_name_the_protocol_that_labels():
    for name, labels in (
        ("flags/anatomical", "baseline"),
        ("flags/hier_unfreeze_anatomical", "hier_unfreeze"),
    ):
        own = parse(LesionRunSettings, flags_of(name))
        other = parse(LesionRunSettings, flags_of(labels))
        assert own.neighbour_labels == labels == other.protocol
        assert own.protocol == Path(name).name
        assert (own.cycle, own.start) == (other.cycle, other.start)
        assert other.neighbour_labels is None


def test_a_protocol_cannot_label_for_itself():
    with pytest.raises(OptionError, match="neighbour_labels"):
        LesionRunSettings.of(protocol="mine", cycle=("none",), neighbour_labels="mine")


def test_the_phantom_study_writes_neighbours_only_if_asked(tmp_path):
    plain = phantom_study_steps(PhantomStudySettings(folder=tmp_path))
    assert not any("neighbour" in part for step in plain for part in step.command)
    steps = phantom_study_steps(PhantomStudySettings(folder=tmp_path, neighbours=2))
    by_name = {step.name: step for step in steps}
    assert "--neighbours=2" in by_name["phantom"].command
    truth = by_name["build_true_neighbours"].options["output"]
    assert f"--neighbour_truth={truth}" in by_name["reproduce"].command

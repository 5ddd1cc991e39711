"""Cautions about runs at the head of a report."""

import json
from dataclasses import asdict, replace

import pytest

from liver_tf.report.provenance import cautions_of, learned_from
from liver_tf.results.study_inventory import read_run
from liver_tf.trained_on import TrainedOn
from tests.builders.study_folder import write_measured_run

TEXT = "lesion where its corrected probability is 0.999 or more"
WARNING = "The threshold 0.999 is at the limit of the search."


@pytest.fixture
def run_of(cohort, tmp_path):
    """Writes an evaluated run and its ``postprocessing.json``, and reads them."""

    def write(choice, protocol="mine", used=TEXT):
        made_of = {"records": "a" * 64, "weights": protocol, "postprocessing": used}
        folder = write_measured_run(tmp_path, cohort, protocol, 0.8, made_of=made_of)
        (folder / "postprocessing.json").write_text(json.dumps(choice))
        return read_run(folder)

    return write


def test_a_choice_with_a_warning_is_reported(run_of):
    runs = [
        run_of({"text": TEXT, "warnings": [WARNING]}),
        run_of({"text": TEXT, "warnings": []}, "other"),
    ]
    (caution,) = cautions_of(runs)
    assert caution == (
        f"POST-PROCESSING: chosen with a warning in 1 of 2 runs. fold0/seed0/mine: {WARNING}"
    )
    assert cautions_of(runs[1:]) == ()


def test_a_choice_that_was_not_used_is_not_reported(run_of):
    run = run_of({"text": TEXT, "warnings": [WARNING]}, used="none")
    assert cautions_of([run]) == ()


@pytest.mark.parametrize("choice", [{"text": TEXT}, {"text": TEXT, "warnings": 3}, [], 3])
def test_files_of_earlier_versions_and_damaged_ones_give_no_warning(run_of, choice):
    assert cautions_of([run_of(choice)]) == ()


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["phantom", "phantom"], "learned from computed phantoms only"),
        (["phantom", "real"], "learned from computed images and from patients"),
        (["real"], "learned from patients (3 patients"),
        ([None], "not known what these networks learned from"),
        (["phantom", None], "not known what these networks learned from"),
    ],
)
def test_a_report_states_what_its_networks_learned_from(run_of, kinds, expected):
    runs = []
    for number, kind in enumerate(kinds):
        stored = asdict(TrainedOn(kind, 3, 4)) if kind else None
        runs.append(replace(run_of({}, f"run{number}"), model={"trained_on": stored}))
    assert expected in learned_from(runs)
    assert learned_from([replace(runs[0], model={"trained_on": {"kind": 3}})]) == ""

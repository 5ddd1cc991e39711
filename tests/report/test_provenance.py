"""Cautions about runs at the head of a report."""

import json

import pytest

from liver_tf.report.provenance import cautions_of
from liver_tf.results.study_inventory import read_run
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

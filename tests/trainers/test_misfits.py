"""Records, runs and models that do not belong together are refused before anything is computed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from liver_tf.assessment.split_cases import cases_of_part
from liver_tf.labels import LITS
from liver_tf.model.weights_file import save_weights
from liver_tf.records.case_statistics import CaseStatistics
from liver_tf.records.manifest import load_manifest
from liver_tf.refusals import Refusal
from liver_tf.serving.served_answer import ask
from liver_tf.training.finetuning import check_transfer
from liver_tf.training.task import task_of
from tests.builders import tiny_records


def test_another_window_than_the_pre_trainings(record_set, make_network, tmp_path):
    manifest = record_set[1]
    before = make_network("lesion").description
    check_transfer(before, manifest, tmp_path)
    with pytest.raises(
        Refusal, match=r"\[window-differs\].*\[-160, 240\] HU.*found \[-100, 300\] HU"
    ):
        check_transfer(before, replace(manifest, window=(-100, 300)), tmp_path)


def test_whole_slices_where_regions_are_needed(record_set, make_network, tmp_path):
    before = make_network("lesion").description
    with pytest.raises(Refusal, match=r"\[other-task\].*an ROI set .*found a set of whole slices"):
        check_transfer(before, replace(record_set[1], roi=None), tmp_path)


def test_training_cases_without_liver(record_set):
    manifest = record_set[1]
    bare = CaseStatistics((1000, 0, 0, 0, 0), 0.0, 0.0)
    cases = tuple(
        replace(entry, statistics=bare) if entry.case == "case0" else entry
        for entry in manifest.cases
    )
    manifest = replace(manifest, cases=cases)
    with pytest.raises(Refusal, match=r"\[no-liver\].*no pixel is labelled liver"):
        task_of(manifest, ("case0",), (0, 1, 2, 3, 4))
    assert task_of(manifest, ("case0", "case1"), (0, 1, 2, 3, 4)).sd_hu > 0


def test_a_run_whose_regions_were_cut_from_other_records(make_network, tmp_path):
    tiny_records.write_set(tmp_path, patients=2, roi=False)
    network = make_network("lesion")
    network.description.save(tmp_path / "run")
    save_weights(tmp_path / "run" / "weights.npz", network.model)
    with pytest.raises(
        Refusal, match=r"\[other-records\].*records from which the run's ROIs"
    ) as no:
        cases_of_part(tmp_path / "run", load_manifest(tmp_path), "test")
    assert no.value.path == tmp_path / "run"


def test_records_that_mean_something_else_than_those_of_the_run(make_network, tmp_path):
    network = make_network("lesion")
    network.description.save(tmp_path)
    save_weights(tmp_path / "weights.npz", network.model)
    manifest = tiny_records.write_set(tmp_path, patients=2, label_set=LITS)
    with pytest.raises(
        Refusal,
        match=r"\[label-set-differs\].* cyst, hemangioma, metastasis; found records with "
        "background, liver, lesion",
    ):
        cases_of_part(tmp_path, manifest, "test")
    other = replace(tiny_records.write_set(tmp_path, patients=2), window=(-100, 300))
    with pytest.raises(
        Refusal, match=r"\[window-differs\].*\[-160, 240\] HU; found \[-100, 300\] HU"
    ):
        cases_of_part(tmp_path, other, "test")


@pytest.mark.parametrize(
    ("name", "found"), [("", "without saved_model.pb"), ("x", "no such folder")]
)
def test_a_folder_without_an_exported_model(tmp_path, name, found):
    with pytest.raises(Refusal, match=rf"\[no-saved-model\].*{found}"):
        list(ask(None, tmp_path / name, tmp_path / "slice.dcm", None))

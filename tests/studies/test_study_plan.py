"""The plan of a study: its jobs, their work and everything that decides their results."""

import pytest

from liver_tf.labels import LITS
from liver_tf.records.folds import Split, save_folds
from liver_tf.records.manifest import load_manifest
from liver_tf.studies.protocol_files import ProtocolFile
from liver_tf.studies.run_process import StudyJob
from liver_tf.studies.study_plan import StudyDesign, StudyInputs, plan_study
from tests.builders import tiny_records


@pytest.fixture
def inputs(tmp_path):
    """Six cases in two folds; a file stands for the pre-trained network."""
    (tmp_path / "records").mkdir()
    manifest = tiny_records.write_set(
        tmp_path / "records", patients=6, slices=1, roi=False, label_set=LITS
    )
    cases = [entry.case for entry in manifest.cases]
    folds = (
        Split(tuple(cases[:2]), tuple(cases[2:3]), tuple(cases[3:])),
        Split(tuple(cases[3:]), tuple(cases[:1]), tuple(cases[1:3])),
    )
    save_folds(tmp_path / "folds.json", manifest, folds, {})
    (tmp_path / "liver").mkdir()
    (tmp_path / "liver" / "weights.npz").write_bytes(b"weights")
    return StudyInputs(tmp_path / "records", tmp_path / "folds.json", tmp_path / "liver")


def test_a_plan_has_a_job_for_every_fold_and_seed(inputs, tmp_path):
    flags = ("--protocol=mine", "--start=pretrained", "--cycle=none")
    plan = plan_study(
        tmp_path / "study",
        inputs,
        StudyDesign(
            [ProtocolFile("mine", flags)], [0, 1], settings={"mine.flags": ("--epochs=5",)}
        ),
    )
    assert [job.name for job in plan.jobs] == [
        f"fold{fold}/mine/seed{seed}" for seed in (0, 1) for fold in (0, 1)
    ]
    assert {job.command for job in plan.jobs} == {"trainers.liver_cell"}
    assert StudyJob.command == "trainers.cell"
    # Two training slices and one validation slice, five times.
    assert plan.work["fold0/mine/seed0"].total == 15
    made_of = plan.jobs[0].made_of
    assert made_of["records"] == load_manifest(inputs.records).fingerprint
    assert set(made_of) == {"settings", "records", "folds", "pretrained weights", "protocol"}
    assert not (tmp_path / "study").exists()

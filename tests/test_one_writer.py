"""Commands that write refuse folders that another process writes to.

Those not listed here have a test beside their code: conversion, training, ``predict``, ``export``,
chains of commands and studies.
"""

from __future__ import annotations

import pytest

from liver_tf.assessment.assessment_settings import ChooseSettings, EvaluateSettings
from liver_tf.assessment.choose_postprocessing import choose_and_save
from liver_tf.assessment.evaluate import evaluate
from liver_tf.conversion.output_folder import rewritten_folder
from liver_tf.export.pack_settings import PackSettings
from liver_tf.export.pack_weights import pack_weights
from liver_tf.folder_lock import locked_folder
from liver_tf.phantom.phantom_folder import write_phantom
from liver_tf.phantom.phantom_plan import PhantomPlan
from liver_tf.refusals import Refusal
from tests.builders.bundled_runs import save_run


def evaluate_run(work):
    evaluate(
        EvaluateSettings(
            run=(work / "run",),
            liver_run=work / "liver",
            records=work / "records",
            output=work / "report",
        )
    )


def choose(work):
    settings = ChooseSettings(
        run=(work / "run",), liver_run=work / "liver", records=work / "records"
    )
    list(choose_and_save(settings))


def make_phantom(work):
    write_phantom(work / "phantom", PhantomPlan(seed=1, lits_volumes=0, patients=3, matrix=64))


def rewrite_records(work):
    with rewritten_folder(work / "records"):
        raise AssertionError("not reached")


def pack(work):
    pack_weights(PackSettings(typed=work / "run", output=work))


@pytest.mark.parametrize(
    ("command", "folder"),
    [
        (pack, "typed"),
        (evaluate_run, "run"),
        pytest.param(evaluate_run, "report", marks=pytest.mark.long),
        pytest.param(choose, "run", marks=pytest.mark.long),
        pytest.param(make_phantom, "phantom", marks=pytest.mark.long),
        (rewrite_records, "records"),
    ],
)
def test_a_folder_in_use_is_refused_before_anything_is_written(tmp_path, command, folder):
    save_run(tmp_path / "run", "typed")
    (tmp_path / folder).mkdir(exist_ok=True)
    before = sorted((tmp_path / folder).rglob("*"))
    with locked_folder(tmp_path / folder), pytest.raises(Refusal, match=r"\[output-busy\]"):
        command(tmp_path)
    assert sorted((tmp_path / folder).rglob("*")) == before

"""The short form of the fuzz campaign, and tests that the campaign detects faulty readers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liver_tf.refusals import Refusal
from tests.campaigns import fuzz, fuzz_judge
from tests.campaigns.fuzz_kinds import CANARY, Reading, make_kinds


@pytest.mark.parametrize("count", [150, pytest.param(600, marks=pytest.mark.long)])
def test_damaged_files_are_refused_or_read_correctly(tmp_path, count):
    tally = fuzz.campaign(range(count), seed=1, workers=1, keep=tmp_path / "trouble")
    assert tally.troubles == []
    assert not (tmp_path / "trouble").exists()
    kinds = {kind for kind, _ in tally.outcomes}
    assert kinds >= {"nifti", "nifti.gz", "dicom plain", "dicom rle", "dicom series", "seg", "csv"}
    assert sum(tally.outcomes.values()) == count
    for kind in kinds:  # the damage must be severe enough for readers to notice
        assert tally.outcomes[kind, "refused"] >= count // 60


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    return fuzz_judge.Judge(tmp_path_factory.mktemp("judge"), seed=0)


def crash(*files, **more):
    raise ValueError(files)


def misspelt(path):
    raise Refusal("nifti-trunkated", path, expected="a", found="b", remedy="c")


def quoting_in_refusal(path):
    raise Refusal("nifti-size", path, expected="a", found=f"{CANARY}!", remedy="c")


def accepting(path):
    return Reading(np.zeros((5, 24, 32), np.int16), "")


def quoting_in_text(path):
    return Reading(np.zeros((5, 24, 32), np.int16), f"Caution({CANARY})")


@pytest.mark.parametrize(
    ("kind", "read", "message"),
    [
        ("nifti", crash, "ValueError at test_fuzz.py"),
        ("nifti", misspelt, "the reason code nifti-trunkated is not in the source"),
        ("nifti", quoting_in_refusal, "the output repeats"),
        ("nifti", quoting_in_text, "the output repeats"),
        ("nifti.gz", accepting, "changed pixels were accepted"),
        ("nifti", accepting, ""),
    ],
)
def test_faulty_readers_are_detected(judge, monkeypatch, kind, read, message):
    numbers = (
        number
        for number in range(2000)
        for mutant in [fuzz_judge.make_mutant(judge.kinds, 0, number)]
        if mutant.kind == kind and mutant.route == "read" and not mutant.inner
    )
    monkeypatch.setitem(judge.kinds, kind, replace(judge.kinds[kind], read=read))
    verdict = judge.judge(next(numbers))
    assert message in verdict.trouble
    assert bool(message) == bool(verdict.trouble)


def test_an_error_that_the_conversion_turns_into_a_refusal_is_detected(judge, monkeypatch):
    monkeypatch.setattr("liver_tf.conversion.case_reader.open_nifti_with_labels", crash)
    number = next(
        number
        for number in range(2000)
        for mutant in [fuzz_judge.make_mutant(judge.kinds, 0, number)]
        if mutant.kind == "nifti" and mutant.route.startswith("convert")
    )
    assert "an unforeseen error: an unexpected ValueError" in judge.judge(number).trouble


def test_a_mutant_depends_on_seed_and_number_only(judge, tmp_path):
    kinds = make_kinds(tmp_path)
    for number in range(60):
        mutant = fuzz_judge.make_mutant(judge.kinds, 0, number)
        assert mutant == fuzz_judge.make_mutant(kinds, 0, number)
        assert mutant != fuzz_judge.make_mutant(kinds, 1, number)

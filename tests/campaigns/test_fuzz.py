"""The short form of the fuzz campaign, and that the campaign sees what it is there to see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liver_tf.refusals import Refusal
from tests.campaigns import fuzz, fuzz_judge
from tests.campaigns.fuzz_kinds import CANARY, Reading


def test_damaged_files_are_refused_by_name_or_read_rightly(tmp_path):
    tally = fuzz.campaign(range(300), seed=1, workers=1, keep=tmp_path / "trouble")
    assert tally.troubles == []
    assert not (tmp_path / "trouble").exists()
    kinds = {kind for kind, _ in tally.outcomes}
    assert kinds >= {"nifti", "nifti.gz", "dicom plain", "dicom rle", "dicom series", "seg", "csv"}
    assert sum(tally.outcomes.values()) == 300
    for kind in kinds:  # damage that nobody notices would prove nothing
        assert tally.outcomes[kind, "refused"] >= 5


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    return fuzz_judge.Judge(tmp_path_factory.mktemp("judge"), seed=0)


def crash(*files, **more):
    raise ValueError(files)


def misspelt(path):
    raise Refusal("nifti-trunkated", path, expected="a", found="b", remedy="c")


def talkative(path):
    raise Refusal("nifti-size", path, expected="a", found=f"{CANARY}!", remedy="c")


def credulous(path):
    return Reading(np.zeros((5, 24, 32), np.int16), "")


def telling(path):
    return Reading(np.zeros((5, 24, 32), np.int16), f"Caution({CANARY})")


@pytest.mark.parametrize(
    ("kind", "read", "words"),
    [
        ("nifti", crash, "ValueError at test_fuzz.py"),
        ("nifti", misspelt, "the reason code nifti-trunkated is not in the source"),
        ("nifti", talkative, "something of the file"),
        ("nifti", telling, "something of the file"),
        ("nifti.gz", credulous, "changed pixels came through"),
        ("nifti", credulous, ""),
    ],
)
def test_wrong_readers_are_seen(judge, monkeypatch, kind, read, words):
    numbers = (
        number
        for number in range(2000)
        for mutant in [fuzz_judge.make_mutant(judge.kinds, 0, number)]
        if mutant.kind == kind and mutant.road == "read" and not mutant.inner
    )
    monkeypatch.setitem(judge.kinds, kind, replace(judge.kinds[kind], read=read))
    verdict = judge.judge(next(numbers))
    assert words in verdict.trouble
    assert bool(words) == bool(verdict.trouble)


def test_an_error_that_a_case_hides_is_seen(judge, monkeypatch):
    """One case must not end the others' conversion; the campaign wants to know all the same."""
    monkeypatch.setattr("liver_tf.conversion.case_reader.open_nifti_with_labels", crash)
    number = next(
        number
        for number in range(2000)
        for mutant in [fuzz_judge.make_mutant(judge.kinds, 0, number)]
        if mutant.kind == "nifti" and mutant.road.startswith("convert")
    )
    assert "an error of kind ValueError" in judge.judge(number).trouble


def test_a_mutant_is_the_same_for_everyone(judge, tmp_path):
    (tmp_path / "b").mkdir()
    other = fuzz_judge.Judge(tmp_path / "b", seed=0)
    for number in range(60):
        one, two = (fuzz_judge.make_mutant(each.kinds, 0, number) for each in (judge, other))
        assert one == two
        assert one != fuzz_judge.make_mutant(judge.kinds, 1, number)

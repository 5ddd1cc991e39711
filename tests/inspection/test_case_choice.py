"""The choice of cases for the page."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from liver_tf.inspection.case_choice import CaseChoice
from liver_tf.inspection.case_pictures import picture_of
from liver_tf.inspection.fingerprint import CaseRow
from liver_tf.labels import LESION_TYPES
from tests.builders.verify_pages import body_slice


def choice_of(limit, cases):
    choice = CaseChoice(limit)
    picture = picture_of(body_slice(), "", LESION_TYPES)
    for name, diagnosis, cautions in cases:
        row = CaseRow(name, slices=1, cautions=Counter(cautions))
        choice.add(row, (replace(picture, diagnosis=diagnosis),))
    return [case.row.case for case in choice.pictured]


def test_cases_with_cautions_come_first_and_every_diagnosis_is_shown():
    cases = [(f"cyst{n}", "cyst", ()) for n in range(9)]
    cases += [("odd", "cyst", ("dicom-lossy",)), ("bad", "cyst", ("liver-hu",))]
    cases += [("meta", "metastasis", ()), ("healthy", "healthy", ())]
    assert choice_of(3, cases) == ["bad", "meta", "healthy"]
    assert choice_of(5, cases) == ["bad", "odd", "cyst0", "meta", "healthy"]
    assert choice_of(1, cases) == ["bad"]
    assert len(choice_of(50, cases)) == len(cases)


def test_memory_for_the_choice_is_bounded():
    choice = CaseChoice(4)
    picture = picture_of(body_slice(), "", LESION_TYPES)
    for number in range(500):
        choice.add(CaseRow(str(number), slices=1), (picture,))
    choice.add(CaseRow("refused"), ())
    assert len(choice._kept) == 4
    assert [case.row.case for case in choice.pictured] == ["0", "1", "2", "3"]

"""Spellings of one patient's identifier."""

from __future__ import annotations

import pytest

from liver_tf.ct.patient_identity import (
    patient_key,
    similar_key,
    similar_patients,
    spelling_cautions,
)


@pytest.mark.parametrize(
    "spelling", ["PAT-0012", "pat-0012", "PAT-0012^^^HOSP", " PAT-0012  ", "Pat-0012^^^&1.2&ISO"]
)
def test_spellings_of_one_identifier_agree(spelling):
    assert patient_key(spelling) == "PAT-0012"


def test_words_and_accents_are_compared_in_one_form():
    assert patient_key("A  b") == patient_key("a B")
    assert patient_key("Mu\u0308ller") == patient_key("M\u00fcller")
    assert patient_key("Stra\u00dfe") == patient_key("STRASSE")


def test_other_identifiers_differ():
    assert len({patient_key(each) for each in ("PAT-0012", "PAT-0013", "PAT0012", "")}) == 4


def test_similar_identifiers():
    assert {similar_key(each) for each in ("PAT-0012", "pat 12", "PAT_12")} == {"PAT12"}
    assert similar_key("PAT-0012") != similar_key("PAT-0021")
    assert similar_key("000") == "0"


def test_near_misses_are_named_and_spellings_counted():
    similar = similar_patients(["PAT-0012", "PAT 12", "PAT-0013", ""])
    assert [caution.code for caution in similar["PAT-0012"]] == ["patient-similar"]
    assert [caution.code for caution in similar["PAT 12"]] == ["patient-similar"]
    assert similar["PAT-0013"] == similar[""] == ()
    assert "PAT" not in similar["PAT 12"][0].text
    assert spelling_cautions({"a"}) == ()
    assert [each.code for each in spelling_cautions({"a", "A"})] == ["patient-spelling"]

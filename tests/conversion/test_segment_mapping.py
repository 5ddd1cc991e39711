"""The syntax of --segments, and which of its values may be stored."""

from __future__ import annotations

import pytest
from pydicom.sr._snomed_dict import mapping as snomed_and_srt
from pydicom.sr.codedict import codes

from liver_tf.conversion.segment_mapping import DEFAULT_SEGMENTS, parse_segments, segments_text
from liver_tf.ct.pseudonyms import pseudonym
from liver_tf.labels import LESION_TYPES, LITS
from tests.builders.phantom_sets import KEY


def test_default_codes_agree_with_the_standard():
    label_set, segments = parse_segments(DEFAULT_SEGMENTS, LESION_TYPES)
    assert label_set == LITS
    expected = {"liver": "liver", "lesion": "lesion", "tumor": "lesion", "tumour": "lesion"}
    for concept, meaning in (
        (codes.SCT.Liver, "liver"),
        (codes.SCT.Mass, "lesion"),
        (codes.SCT.Neoplasm, "lesion"),
        (codes.SCT.Lesion, "lesion"),
    ):
        older = snomed_and_srt["SCT"][concept.value]
        expected[f"sct:{concept.value}"] = expected[f"srt:{older}".lower()] = meaning
    assert dict(segments) == expected


def test_segments_are_names_numbers_or_codes():
    label_set, segments = parse_segments(
        ["1:liver", "SCT:4147007 : cyst", "Portal vein:background", "a:b:c:metastasis"],
        LESION_TYPES,
    )
    assert label_set == LESION_TYPES
    assert dict(segments) == {
        1: "liver",
        "sct:4147007": "cyst",
        "portal vein": "background",
        "a:b:c": "metastasis",
    }
    assert parse_segments(["x:liver"], LESION_TYPES)[0] == LITS


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["liver"], "got 'liver'"),
        ([":liver"], "got ':liver'"),
        (["liver:spleen"], "background, liver, lesion, cyst, hemangioma, metastasis"),
        (["a:liver", "A:lesion"], "each segment once"),
        (["1:liver", "01:lesion"], "each segment once"),
        (["a:lesion", "b:cyst"], "not both"),
    ],
)
def test_invalid_mappings_raise(pairs, words):
    with pytest.raises(ValueError, match="expected") as caught:
        parse_segments(pairs, LESION_TYPES)
    assert words in str(caught.value)


def test_names_outside_the_defaults_become_pseudonyms():
    _, segments = parse_segments(
        ["Smith:liver", "Tumour:lesion", "3:background", "SCT:10200004:liver"], LESION_TYPES
    )
    text = segments_text(segments, KEY)
    assert "smith" not in text.lower()
    assert sorted(text.split(",")) == sorted(
        [
            f"{pseudonym(KEY, 'segment', 'smith')}:liver",
            "tumour:lesion",
            "3:background",
            "sct:10200004:liver",
        ]
    )

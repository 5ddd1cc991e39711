"""DICOM SEG codes against the dictionaries of DICOM Part 16 in pydicom."""

import pytest
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts

from liver_tf.export.dicom_seg_codes import (
    ABNORMAL_STRUCTURE,
    ANATOMICAL_STRUCTURE,
    LESIONS,
    LIVER_STRUCTURE,
    PRIVATE_SCHEME,
    codes_of,
)
from liver_tf.labels import LESION_TYPES, LITS


def contexts_of(code):
    """Context groups of Part 16 in which a code stands with this very meaning."""
    return {
        cid
        for by_value in concepts[code.scheme].values()
        for value, (meaning, cids) in by_value.items()
        if (value, meaning) == (code.value, code.meaning)
        for cid in cids
    }


def test_codes_are_in_the_cited_context_groups():
    assert 7150 in cid_concepts
    assert 7150 in contexts_of(ANATOMICAL_STRUCTURE) & contexts_of(ABNORMAL_STRUCTURE)
    assert 7154 in contexts_of(LIVER_STRUCTURE)
    for name, code in LESIONS.items():
        cited = {6030, 6031} if name == "hemangioma" else {7159}
        assert cited <= contexts_of(code), name


@pytest.mark.parametrize(
    "name", [*LITS.classes[1:], *LESION_TYPES.with_indeterminate().classes[1:]]
)
def test_built_in_classes_have_standard_codes(name):
    assert codes_of(name).type.scheme == "SCT"


def test_unknown_names_get_stable_private_codes():
    names = [
        "hcc",
        "HCC",
        "fnh",
        "Fokal-noduläre Hyperplasie",
        "Fokal-nodulare Hyperplasie",
        "肝",
        "囊",
    ]
    codes = [codes_of(name) for name in names]
    values = [code.type.value for code in codes]
    assert values[0] == "hcc"
    assert len(set(values)) == len(names)
    assert [codes_of(name).type.value for name in names] == values
    for code in codes:
        assert code.type.scheme == PRIVATE_SCHEME
        assert code.category == ABNORMAL_STRUCTURE
        assert code.region == LIVER_STRUCTURE
        assert 1 <= len(code.type.value) <= 16
        assert (code.label + code.type.value).isascii()
        assert code.label
        assert len(code.label) <= 64


def test_names_of_any_length_fit():
    code = codes_of("lesion of a kind " * 20)
    assert len(code.label) <= 64
    assert len(code.type.value) <= 16

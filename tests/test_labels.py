"""Label sets keep their order and reject invalid classes."""

import itertools

import pytest

from liver_tf.labels import LESION_TYPES, LITS, LIVER_ONLY, LabelSet


def test_label_sets_of_the_paper():
    assert LITS.classes == ("background", "liver", "lesion")
    assert LESION_TYPES.classes == ("background", "liver", "cyst", "hemangioma", "metastasis")
    assert LIVER_ONLY.lesions == ()
    assert LESION_TYPES.lesions == ("cyst", "hemangioma", "metastasis")
    assert LESION_TYPES.lesion_labels == (2, 3, 4)
    assert LESION_TYPES.index("hemangioma") == 3
    assert len(LESION_TYPES) == 5


def test_a_set_must_begin_with_background_and_liver():
    with pytest.raises(ValueError, match=r"'odd': expected 'background', 'liver' as first classes"):
        LabelSet("odd", ("liver", "background"))


def test_a_class_listed_twice_is_rejected():
    with pytest.raises(ValueError, match="a class is listed twice"):
        LabelSet("odd", ("background", "liver", "cyst", "cyst"))


def test_32_classes_are_accepted_and_33_refused():
    kinds = tuple(f"kind{number}" for number in range(31))
    assert len(LabelSet("many", ("background", "liver", *kinds[:30]))) == 32
    with pytest.raises(ValueError, match="expected at most 32 classes, found 33"):
        LabelSet("many", ("background", "liver", *kinds))


def test_an_unknown_class_raises_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'lits' has no class 'cyst'; it has background, liver"):
        LITS.index("cyst")


def test_every_class_but_background_has_a_colour_and_neighbours_differ():
    many = LabelSet("many", ("background", "liver", *(f"kind{n}" for n in range(30))))
    colours = [many.colour(label) for label in range(1, 32)]
    assert all(first != second for first, second in itertools.pairwise(colours))
    assert len({LESION_TYPES.colour(label) for label in range(1, 5)}) == 4
    for label in (0, 5, -1):
        with pytest.raises(ValueError, match=f"no colour for label {label} in label set"):
            LESION_TYPES.colour(label)

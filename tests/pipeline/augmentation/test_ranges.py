"""Augmentation options are converted to ranges; impossible values are refused."""

import pytest

from liver_tf.command_line.flags_of_options import parse
from liver_tf.labels import LESION_TYPES, LITS, LIVER_ONLY
from liver_tf.options import OptionError
from liver_tf.pipeline.augmentation.ranges import Augmentation, Ranges


def test_by_default_only_the_kinds_of_the_paper_are_on():
    ranges = parse(Augmentation, []).for_labels(LESION_TYPES)
    assert ranges == Ranges()
    assert (ranges.elastic, ranges.gamma, ranges.blur_pixels, ranges.kept_from) == (0, 0, 0, 0)


@pytest.mark.parametrize("label_set", [LITS, LESION_TYPES])
def test_every_range_has_its_flag(label_set):
    values = {
        **{"rotation_degrees": 1.0, "zoom": 0.2, "shift": 0.3, "flip": 0.4, "noise_hu": 5.0},
        **{"gain": 0.6, "offset_hu": 7.0, "elastic": 0.08, "elastic_intervals": 6},
        **{"gamma": 0.9, "blur_pixels": 1.1},
    }
    arguments = [f"--{name}={value}" for name, value in values.items()]
    ranges = parse(Augmentation, [*arguments, "--lesion_safe"]).for_labels(label_set)
    assert ranges == Ranges(**values, kept_from=2)


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("--elastic=0.07", "elastic: expected at most 0.060 .* the image would fold"),
        ("--gain=nan", "gain: expected a finite number, found nan"),
        ("--zoom=1", "zoom: expected 0 to 0.9, found 1.0"),
        ("--flip=1.1", "flip: expected 0 to 1, found 1.1"),
        ("--noise_hu=-1", "noise_hu: expected 0 to 1000, found -1.0"),
        ("--blur_pixels=9", "blur_pixels: expected 0 to 5, found 9.0"),
    ],
)
def test_impossible_ranges_are_refused(argument, text):
    with pytest.raises(OptionError, match=text):
        parse(Augmentation, [argument])


def test_lesion_safe_needs_a_lesion_class():
    with pytest.raises(OptionError, match="lesion_safe: the records have no class of lesions"):
        Augmentation(lesion_safe=True).for_labels(LIVER_ONLY)

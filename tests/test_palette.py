"""The colours of classes: distinguishable by colour-blind readers and against a dark halo."""

import itertools

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from liver_tf import palette
from liver_tf.labels import LESION_TYPES, LabelSet

#: Machado, Oliveira, Fernandes, "A physiologically-based model for simulation of color vision
#: deficiency", IEEE TVCG 15 (2009), severity 1.0; for linear RGB.
SIGHT = {
    "normal": np.eye(3),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
}
#: CIEDE2000; 2.3 is a just noticeable difference.
LEAST_DISTANCE = 18
RESULTS = LESION_TYPES.with_indeterminate()
COLOURS = [RESULTS.colour(label) for label in range(1, len(RESULTS))]


def linear(colour):
    parts = np.array(list(bytes.fromhex(colour[1:]))) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab_as_seen(colour, sight):
    seen = np.clip(SIGHT[sight] @ linear(colour), 0, 1)
    return rgb2lab(np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055))


def contrast(first, second, sight="normal"):
    """Of WCAG 2.2, from 1 to 21."""
    seen = [np.clip(SIGHT[sight] @ linear(each), 0, 1) for each in (first, second)]
    low, high = sorted(float(each @ [0.2126, 0.7152, 0.0722]) for each in seen)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("sight", SIGHT)
def test_classes_of_results_differ_as_seen(sight):
    for first, second in itertools.combinations(COLOURS, 2):
        distance = deltaE_ciede2000(lab_as_seen(first, sight), lab_as_seen(second, sight))
        assert distance > LEAST_DISTANCE, (first, second)


def test_the_former_colours_fail_this_test():
    """Green and red of ColorBrewer Set1, as a reader with protanopia sees them."""
    seen = [lab_as_seen(colour, "protanopia") for colour in ("#4daf4a", "#ff7f00")]
    assert deltaE_ciede2000(*seen) < LEAST_DISTANCE


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("colour", COLOURS)
def test_lines_stand_out_from_their_halo_and_the_halo_from_liver(colour, sight):
    assert contrast(colour, palette.HALO, sight) > 3
    for hu in (40, 110, 200):  # without contrast agent, portal venous, bright vessels
        grey = "#" + f"{round((hu + 160) / 400 * 255):02x}" * 3
        assert contrast(palette.HALO, grey, sight) > 3


def test_no_palette_has_a_contrast_of_three_between_all_classes():
    """Contrasts multiply along colours in order of luminance, and white to black has 21."""
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert 21 ** (1 / (len(COLOURS) - 1)) < 2.2
    # Three colours could have it, but liver and its lesions are four of them and more.
    assert 21 ** (1 / 2) > 3 > 21 ** (1 / 3)


def test_classes_differ_without_colour():
    dashes = [RESULTS.dashes(label) for label in range(1, len(RESULTS))]
    assert len(set(dashes)) == len(dashes)


def test_every_class_has_a_line_of_its_own():
    many = LabelSet("many", ("background", "liver", *(f"kind{n}" for n in range(30))))
    lines = {(many.colour(label), many.dashes(label)) for label in range(1, 32)}
    assert len(lines) == 31


def test_results_have_a_class_for_indeterminate_lesions():
    assert RESULTS.classes == (*LESION_TYPES.classes, "indeterminate")
    assert RESULTS.with_indeterminate() == RESULTS
    plain = LabelSet("plain", ("background", "liver", "lesion"))
    assert plain.with_indeterminate() == plain
    most = LabelSet("most", ("background", "liver", *(f"kind{n}" for n in range(30))))
    assert len(most.with_indeterminate()) == 33

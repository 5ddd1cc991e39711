"""A finding in fat, calcium or metal gets a caution."""

from dataclasses import replace

import pytest

from liver_tf.inference.lesion_plausibility import lesion_cautions
from liver_tf.inference.lesion_properties import DetectedLesion

LESION = DetectedLesion(
    **{"number": 1, "type": "cyst", "most_likely_type": "cyst", "type_probabilities": {}},
    **{"lesion_probability": 0.9, "slices": (0, 1), "voxels": 20, "volume_ml": 1.0},
    **{"area_mm2": 50.0, "longest_diameter_mm": 8.0, "diameter_slice": 0, "mean_hu": 5.0},
)


def lesions(*means):
    return [
        replace(LESION, number=number, mean_hu=mean) for number, mean in enumerate(means, start=1)
    ]


@pytest.mark.parametrize("means", [(), (-10.0,), (0.0, 60.0, 250.0)])
def test_usual_lesions_get_no_caution(means):
    assert lesion_cautions(lesions(*means)) == ()


@pytest.mark.parametrize(
    ("means", "text"),
    [
        (
            (60.0, -29.3),
            "finding 2 (mean -29 HU) is as dark as fat or gas: check whether it is a liver lesion.",
        ),
        (
            (-29.3, 60.0, 400.0, -11.0, -40.0),
            "findings 1 (mean -29 HU), 4 (mean -11 HU) and 5 (mean -40 HU) are as dark as fat or "
            "gas; finding 3 (mean 400 HU) is as bright as calcium, metal or a contrast agent: "
            "check whether they are liver lesions.",
        ),
    ],
)
def test_fat_and_metal_are_named_with_their_findings(means, text):
    (caution,) = lesion_cautions(lesions(*means))
    assert (caution.code, caution.text) == ("lesion-hu", text)

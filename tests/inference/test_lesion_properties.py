"""Lesions of a small scan, worked by hand."""

import dataclasses

import numpy as np
import pytest

from liver_tf.inference.lesion_properties import DetectedLesion, diagnosis, find_lesions
from liver_tf.labels import LESION_TYPES, LITS, LabelSet
from tests.builders.lesions import lesions_of


@pytest.fixture
def scan():
    """Labels and HU [3, 8, 8]: a lesion of 7 voxels in two slices, one of 2 voxels elsewhere."""
    labels = np.zeros((3, 8, 8), np.uint8)
    labels[:, :, :] = 1
    labels[0, 1:3, 1:3] = 2  # 4 voxels of cyst
    labels[1, 3, 3] = labels[1, 3, 4] = labels[1, 4, 4] = 4  # touches at a corner: 3 of metastasis
    labels[2, 7, 0:2] = 3
    hu = np.full(labels.shape, 110, np.int16)
    hu[0, 1:3, 1:3] = [[5, 6], [7, 8]]
    hu[1, 3, 3], hu[1, 3, 4], hu[1, 4, 4] = 60, 61, 62
    hu[2, 7, 0:2] = [150, 171]
    return labels, hu


def test_lesions_worked_by_hand(scan):
    lesions = lesions_of(*scan, (5.0, 0.5, 0.8), LESION_TYPES)
    # A voxel has 5 x 0.5 x 0.8 = 2 mm3, a pixel 0.4 mm2. The longest lines go from corner to corner
    # of 2 x 2 pixels, 1 x 1.6 mm, in slices 0 and 1, and of 1 x 2 pixels, 0.5 x 1.6 mm.
    assert lesions == [
        DetectedLesion(
            number=1,
            type="cyst",
            most_likely_type="cyst",
            type_probabilities={"cyst": 0.5714, "hemangioma": 0.0, "metastasis": 0.4286},
            lesion_probability=1.0,
            slices=(0, 1),
            voxels=7,
            volume_ml=0.014,
            area_mm2=1.6,
            longest_diameter_mm=round(np.hypot(1.0, 1.6), 3),
            diameter_slice=0,
            mean_hu=round((26 + 183) / 7, 1),
        ),
        DetectedLesion(
            number=2,
            type="hemangioma",
            most_likely_type="hemangioma",
            type_probabilities={"cyst": 0.0, "hemangioma": 1.0, "metastasis": 0.0},
            lesion_probability=1.0,
            slices=(2, 2),
            voxels=2,
            volume_ml=0.004,
            area_mm2=0.8,
            longest_diameter_mm=round(np.hypot(0.5, 1.6), 3),
            diameter_slice=2,
            mean_hu=160.5,
        ),
    ]


def test_types_come_from_the_mean_probabilities(scan):
    """Most voxels are labelled cyst, but where it is metastasis the network is sure."""
    labels, hu = scan
    probabilities = np.zeros((9, 1, 3), np.float16)
    probabilities[:4, 0] = [0.5, 0.0, 0.25]
    probabilities[4:7, 0] = [0.0, 0.0, 1.0]
    probabilities[7:, 0] = [0.125, 0.375, 0.25]
    first, second = find_lesions(
        labels, hu, None, LESION_TYPES, probabilities=probabilities, type_threshold=0.5
    )
    # Means over 7 voxels: 2 / 7, 0, 4 / 7; their sum is 6 / 7.
    assert first.type_probabilities == {"cyst": 0.3333, "hemangioma": 0.0, "metastasis": 0.6667}
    assert first.lesion_probability == round(6 / 7, 4)
    assert first.type == first.most_likely_type == "metastasis"
    # 0.125, 0.375, 0.25 of 0.75: exactly half.
    assert second.type_probabilities == {"cyst": 0.1667, "hemangioma": 0.5, "metastasis": 0.3333}
    assert (second.type, second.most_likely_type) == ("hemangioma", "hemangioma")
    assert first.disagreeing_models is first.type_probability_sd is None
    reported = find_lesions(
        labels, hu, None, LESION_TYPES, probabilities=probabilities, type_threshold=0.51
    )
    assert [(lesion.type, lesion.most_likely_type) for lesion in reported] == [
        ("metastasis", "metastasis"),
        ("indeterminate", "hemangioma"),
    ]


def test_disagreeing_networks_are_reported(scan):
    labels, hu = scan
    labels[labels == 2] = 1
    labels[labels == 4] = 1  # the lesion of two voxels is left
    probabilities = np.float16(
        [
            [[0.75, 0.0, 0.25], [0.25, 0.5, 0.25], [0.5, 0.25, 0.0]],
            [[0.75, 0.25, 0.0], [0.25, 0.5, 0.25], [0.5, 0.0, 0.0]],
        ]
    )
    (lesion,) = find_lesions(labels, hu, None, LESION_TYPES, probabilities=probabilities)
    # Over the voxels: .75 .125 .125; .25 .5 .25; .5 .125 0, of .625: .8 .2 0.
    # Over the models: .5 .25 .125, of .875.
    assert lesion.type_probabilities == {"cyst": 0.5714, "hemangioma": 0.2857, "metastasis": 0.1429}
    assert lesion.disagreeing_models == 0.3333  # the second reports a hemangioma
    cyst, hemangioma, metastasis = (0.75, 0.25, 0.8), (0.125, 0.5, 0.2), (0.125, 0.25, 0.0)
    expected = [np.std(values, ddof=1) for values in (cyst, hemangioma, metastasis)]
    assert list(lesion.type_probability_sd) == ["cyst", "hemangioma", "metastasis"]
    np.testing.assert_allclose(list(lesion.type_probability_sd.values()), expected, atol=5e-5)


def test_a_custom_label_set():
    labels = np.zeros((1, 4, 4), np.uint8)
    labels[0, 1, 1] = 2
    hu = np.zeros(labels.shape, np.int16)
    (lesion,) = lesions_of(labels, hu, None, LITS, type_threshold=1.0)
    assert (lesion.type, lesion.type_probabilities) == ("lesion", {"lesion": 1.0})
    many = LabelSet("mine", ("background", "liver", *(f"kind{n}" for n in range(30))))
    labels[0, 1, 1] = 31
    (lesion,) = lesions_of(labels, hu, None, many)
    assert lesion.type == "kind29"
    assert len(lesion.type_probabilities) == 30


def test_unknown_spacing_gives_no_size(scan):
    def sizes(spacing_mm):
        lesions = lesions_of(*scan, spacing_mm, LESION_TYPES)
        names = ("volume_ml", "area_mm2", "longest_diameter_mm", "diameter_slice")
        return [tuple(dataclasses.asdict(lesion)[name] for name in names) for lesion in lesions]

    assert sizes(None) == [(None,) * 4] * 2
    assert sizes((float("nan"), 0.5, 0.8)) == [(None, 1.6, 1.887, 0), (None, 0.8, 1.676, 2)]


def test_a_single_slice_has_no_volume(scan):
    labels, hu = scan
    (lesion,) = lesions_of(labels[:1], hu[:1], (5.0, 0.5, 0.8), LESION_TYPES)
    assert (lesion.volume_ml, lesion.area_mm2) == (None, 1.6)


def test_a_tie_goes_to_the_lower_label(scan):
    labels, hu = scan
    labels[0, 1, 1] = 1
    assert lesions_of(labels, hu, None, LESION_TYPES)[0].type == "cyst"
    labels[0, 2, 1] = 1
    assert lesions_of(labels, hu, None, LESION_TYPES)[0].type == "metastasis"


def test_probabilities_of_other_voxels_are_refused(scan):
    with pytest.raises(ValueError, match="expected those of 9 lesion voxels, found 8"):
        find_lesions(*scan, None, LESION_TYPES, probabilities=np.zeros((8, 1, 3)))


def test_diagnosis_is_the_majority_of_voxels_and_healthy_without_any(scan):
    labels, hu = scan
    assert diagnosis(labels, LESION_TYPES) == "cyst"
    labels[labels == 2] = 1
    assert diagnosis(labels, LESION_TYPES) == "metastasis"
    labels[labels > 1] = 1
    assert diagnosis(labels, LESION_TYPES) == "healthy"
    assert lesions_of(labels, hu, (1.0, 1.0, 1.0), LESION_TYPES) == []


@pytest.mark.parametrize("seed", range(5))
def test_counts_equal_a_slow_obvious_version(seed):
    from scipy import ndimage

    generator = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(generator.normal(size=(6, 20, 24)), 1)
    labels = np.where(smooth > np.quantile(smooth, 0.8), generator.integers(2, 5, smooth.shape), 1)
    labels = labels.astype(np.uint8)
    hu = generator.integers(-100, 200, labels.shape).astype(np.int16)
    numbered, count = ndimage.label(labels > 1, np.ones((3, 3, 3)))
    lesions = lesions_of(labels, hu, (2.0, 0.5, 0.5), LESION_TYPES)
    assert len(lesions) == count > 3
    for lesion in lesions:
        inside = numbered == lesion.number
        assert lesion.voxels == inside.sum()
        places = np.flatnonzero(inside.any(axis=(1, 2)))
        assert lesion.slices == (places[0], places[-1])
        assert lesion.mean_hu == round(float(hu[inside].mean()), 1)
        assert lesion.area_mm2 == inside.sum(axis=(1, 2)).max() * 0.25
        assert lesion.volume_ml == pytest.approx(inside.sum() * 0.5 / 1000, abs=5.1e-4)
        shares = [round(float((labels[inside] == label).mean()), 4) for label in (2, 3, 4)]
        assert list(lesion.type_probabilities.values()) == shares

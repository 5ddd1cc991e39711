"""The visibility of a lesion, and the table of what was found."""

import numpy as np
import pytest

from benchmarks.phantom_visibility import Lesion, table, visibility


@pytest.fixture
def slice_with_lesion():
    """HU with white noise of 20 HU, a liver, and a disc of 81 pixels that is 20 HU darker."""
    y, x = np.mgrid[:160, :160]
    lesion = (y - 80) ** 2 + (x - 60) ** 2 <= 26
    liver = ((y - 80) ** 2 + (x - 80) ** 2 <= 70**2) & ~lesion
    hu = np.random.default_rng(0).normal(100.0, 20.0, liver.shape) - 20.0 * lesion
    return hu, liver, lesion


def test_in_white_noise_visibility_grows_with_the_root_of_the_area(slice_with_lesion):
    hu, liver, lesion = slice_with_lesion
    # The SD of the mean of n pixels is 20 / sqrt(n).
    assert visibility(hu, liver, lesion) == pytest.approx(np.sqrt(lesion.sum()), rel=0.2)


def test_correlated_noise_hides_a_lesion(slice_with_lesion):
    hu, liver, lesion = slice_with_lesion
    vessels = 40.0 * (np.indices(hu.shape).sum(axis=0) // 16 % 2)
    assert visibility(hu + vessels, liver, lesion) < 0.5 * visibility(hu, liver, lesion)


def test_without_room_for_discs_it_is_unknown(slice_with_lesion):
    hu, _, lesion = slice_with_lesion
    assert visibility(hu, np.zeros_like(lesion), lesion) is None


def test_the_table_counts_by_diameter_and_visibility():
    lesions = [Lesion(12.0, 1.0, False), Lesion(12.0, 2.9, True), Lesion(19.9, 3.0, True)]
    assert table(lesions) == [
        "| lesions | below 3 SD | 3 SD or more | all |",
        "| --- | ---: | ---: | ---: |",
        "| under 10 mm | - | - | - |",
        "| 10 to 20 mm | 1 of 2 (0.50) | 1 of 1 (1.00) | 2 of 3 (0.67) |",
        "| 20 to 50 mm | - | - | - |",
        "| 50 mm and more | - | - | - |",
    ]

"""Case statistics equal those of numpy over all pixels."""

import numpy as np
import pytest

from liver_tf.records import case_statistics
from liver_tf.records.case_statistics import CaseStatistics, liver_mean_sd


def draw_slices(dtype):
    generator = np.random.default_rng(5)
    for rows in (9, 14, 30):
        image = generator.normal(100, 30, (rows, 20)).astype(dtype)
        yield image, generator.integers(0, 4, (rows, 20)).astype(np.uint8)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_sums_over_slices_equal_numpy_on_all_pixels(dtype):
    slices = list(draw_slices(dtype))
    total = case_statistics.total(case_statistics.of_slice(*pair, classes=5) for pair in slices)
    pixels = np.concatenate([image.reshape(-1) for image, _ in slices]).astype(np.float64)
    labels = np.concatenate([labels.reshape(-1) for _, labels in slices])
    assert total.class_pixels == tuple((labels == label).sum() for label in range(5))
    mean, sd = liver_mean_sd(total)
    assert mean == pytest.approx(pixels[labels == 1].mean(), rel=1e-12)
    assert sd == pytest.approx(pixels[labels == 1].std(), rel=1e-9)


def test_statistics_round_trip_through_json():
    statistics = CaseStatistics((5, 4, 0), 400.25, 40_100.5)
    assert CaseStatistics.from_json(statistics.to_json()) == statistics


def test_statistics_without_usable_liver_are_rejected():
    with pytest.raises(ValueError, match="no pixel is labelled liver"):
        liver_mean_sd(CaseStatistics((100, 0, 3), 0.0, 0.0))
    with pytest.raises(ValueError, match=r"liver HU do not vary \(SD 0 HU\)"):
        liver_mean_sd(CaseStatistics((0, 10, 0), 1000.0, 100_000.0))
    with pytest.raises(ValueError, match="at least one case"):
        case_statistics.total([])

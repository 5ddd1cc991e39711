"""HU statistics by hand, and additive over parts."""

from __future__ import annotations

import numpy as np
import pytest

from liver_tf.inspection.hu_statistics import Histogram, Moments


def test_histogram_by_hand():
    values = np.array([-201, -200, -191, -190, 0, 9, 10, 399, 400, 32767, -32768], np.int16)
    histogram = Histogram.of(values)
    counts = {number: count for number, count in enumerate(histogram.counts) if count}
    # Bins 0 and 1 begin at -200 and -190 HU, 20 and 21 at 0 and 10 HU, the last at 390 HU.
    assert counts == {0: 2, 1: 1, 20: 2, 21: 1, 59: 1}
    assert (histogram.below, histogram.above, histogram.total) == (2, 2, 11)
    assert Histogram.of(values[:4]) + Histogram.of(values[4:]) == histogram
    assert Histogram.of(np.array([-0.5, 399.99], np.float32)).counts[19] == 1
    assert Histogram.of(values[:0]) == Histogram()


def test_moments_of_parts_add_up():
    values = np.array([3, -1000, 77, 40], np.int16)
    parts = Moments.of(values[:1]) + Moments.of(values[1:]) + Moments.of(values[:0])
    assert (parts.count, parts.mean) == (4, pytest.approx(values.mean()))
    assert parts.sd == pytest.approx(values.std())
    assert np.isnan(Moments().mean)
    assert np.isnan(Moments().sd)

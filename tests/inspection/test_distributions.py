"""Charts of the verify page: heights, positions and reproducible bytes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from liver_tf.inspection.distributions import diameter_counts, distributions, distributions_svg
from liver_tf.inspection.fingerprint import CaseRow, Facts
from liver_tf.inspection.hu_statistics import Histogram, Moments
from liver_tf.labels import LITS


@pytest.fixture
def facts():
    means = (-900.0, 100.0, 101.0)
    cautions = (Counter(["liver-hu"]), Counter(), Counter(["mask-mirrored"]))
    rows = [
        CaseRow(str(mean), 1, liver_hu=Moments.of(np.array([mean])), cautions=codes)
        for mean, codes in zip(means, cautions, strict=True)
    ]
    return Facts(
        slices=3,
        rows=rows,
        hu_histograms={
            1: Histogram.of(np.array([100, 110, 110, 110])),
            2: Histogram.of(np.array([50, 60])),
        },
        diameters_mm={2: [3.0, 12.0, 13.0]},
        pixel_mm=Counter({(0.7, 0.7): 2, (0.8, 0.8): 1}),
        slice_mm=Counter({None: 3}),
    )


def chart(facts, title):
    axes = distributions(facts, LITS).axes
    return next(axis for axis in axes if axis.get_title(loc="left").startswith(title))


def test_bars_are_as_high_as_their_shares(facts):
    bars, reference = (
        patch.get_data()
        for patch in chart(facts, "lesion: HU").patches
        if hasattr(patch, "get_data")
    )
    heights = dict(zip(bars.edges[:-1].round(), bars.values, strict=True))
    assert {edge: height for edge, height in heights.items() if height} == {50: 0.5, 60: 0.5}
    liver = dict(zip(reference.edges[:-1].round(), reference.values, strict=True))
    assert {edge: height for edge, height in liver.items() if height} == {100: 0.25, 110: 0.75}


def test_spacings_count_slices(facts):
    (bars,) = (patch.get_data() for patch in chart(facts, "slices by row").patches)
    assert sorted(height for height in bars.values if height) == [1, 2]
    assert bars.edges[0] < 0.7 < 0.8 < bars.edges[-1]


def test_case_dots_are_stacked_and_clipped_to_the_axis(facts):
    good, flagged = chart(facts, "mean liver HU").collections
    assert good.get_offsets().tolist() == [[100, 1]]
    assert flagged.get_offsets().tolist() == [[-200, 1], [100, 2]]
    assert tuple(flagged.get_facecolor()[0]) == to_rgba("#d00000")


def test_same_facts_give_the_same_bytes(facts):
    assert distributions_svg(facts, LITS) == distributions_svg(facts, LITS)
    assert distributions_svg(Facts(), LITS) is None


def test_diameter_counts_by_hand():
    counts = diameter_counts([0.0, 4.9, 5.0, 94.9, 95.0, 400.0])
    assert (counts[0], counts[1], counts[18], counts[19]) == (2, 1, 1, 2)
    assert len(counts) == 20

"""Pictures of slices: outlines follow the mask, sizes are bounded."""

from __future__ import annotations

import numpy as np
import pytest

from liver_tf.conversion.cases import LabelledSlice
from liver_tf.conversion.process_engine import in_processes
from liver_tf.conversion.sources import find_slices
from liver_tf.inspection.case_pictures import SIDE, picture_case, picture_of
from liver_tf.labels import LESION_TYPES, LITS
from tests.builders.phantom_sets import KEY, MASK_VALUES
from tests.builders.verify_pages import body_slice, decode, pixels_inside


@pytest.mark.parametrize("spacing_mm", [(0.8, 0.8), (1.0, 0.5), None])
def test_outlines_follow_the_mask(spacing_mm):
    labelled = body_slice(spacing_mm=spacing_mm)
    picture = picture_of(labelled, "", LESION_TYPES)
    row_mm, column_mm = spacing_mm or (1.0, 1.0)
    # The crop leaves 4 pixels of air round the body of 100 x 140 pixels.
    height, width = 108 * row_mm, 148 * column_mm
    assert picture.height / picture.width == pytest.approx(height / width, rel=1e-3)
    assert max(picture.height, picture.width) == SIDE
    units = SIDE / max(height, width)
    assert picture.units_per_mm == (None if spacing_mm is None else pytest.approx(units))
    crop = labelled.labels[6:114, 6:154]
    scale = np.array([row_mm, column_mm]) * units
    for label, path in picture.outlines:
        expected = crop >= 1 if label == 1 else crop == label
        inside = pixels_inside(path, crop.shape, scale)
        assert (inside != expected).sum() <= 0.01 * expected.sum()
    assert [label for label, _ in picture.outlines] == [1, 3]
    grey = decode(picture)
    assert grey.shape == crop.shape
    # 110 HU in the window from -160 to 240 HU.
    assert grey[60, 60] == pytest.approx((110 + 160) / 400 * 255, abs=4)


def test_a_large_slice_is_reduced():
    rng = np.random.default_rng(0)
    hu = rng.normal(100, 30, (512, 512)).astype(np.int16)
    picture = picture_of(
        LabelledSlice(0, hu, np.ones(hu.shape, np.uint8), None, "", None), "", LITS
    )
    assert decode(picture).shape == (SIDE, SIDE)
    assert len(picture.jpeg) < 90_000


def test_workers_do_not_change_facts_or_pictures(tiny_phantom):
    tasks, _ = find_slices(tiny_phantom / "sheba/slices.csv", KEY, LESION_TYPES, MASK_VALUES)
    tasks = tasks[:4]
    single, parallel = (list(in_processes(picture_case, tasks, workers)) for workers in (1, 2))
    assert single == parallel
    assert single[0][0].rows[0].slices == len(tasks[0].rows)

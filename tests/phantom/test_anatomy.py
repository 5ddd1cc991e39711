"""Painted organs have their design HU; shapes distinguish inside from outside."""

from __future__ import annotations

import numpy as np
import pytest

from liver_tf.phantom.anatomy import Patient
from liver_tf.phantom.random_streams import stream
from liver_tf.phantom.shapes import ellipsoid, union


def test_organs_have_their_design_hu():
    patient = Patient.draw(stream(2, "organs"))
    x_mm, y_mm = np.arange(-160, 161, 1.0), np.arange(-120, 121, 1.0)
    plane = patient.plane(x_mm, y_mm, 10.0, 1.0)
    _, liver = patient.paint(plane, ())
    tissues = patient.tissues
    assert np.median(plane.hu[liver < -4]) == pytest.approx(tissues.liver, abs=5)
    aorta = np.hypot(plane.x - 11, plane.y + 7) < 6
    assert plane.hu[aorta].mean() == pytest.approx(tissues.aorta, abs=1)
    trabecular = np.hypot(plane.x, plane.y - 22) < 10
    assert 60 < plane.hu[trabecular].mean() < 350
    assert plane.hu[0, 0] == -1000
    skin = patient.body.outline(plane.x, plane.y, plane.z)
    under_skin = (skin > 2) & (skin < 3.5)
    assert -125 < np.median(plane.hu[under_skin]) < -80


def test_distances_to_shapes_by_hand():
    at = np.array([0.0, 9.0, 10.0, 12.0])
    np.testing.assert_allclose(ellipsoid(at, 0, 0, (0, 0, 0), (10, 10, 10))[1:], [-1, 0, 2])
    assert union(np.array(3.0), np.array(50.0), 4.0) == 3.0
    assert union(np.array(1.0), np.array(1.0), 4.0) == pytest.approx(0.0)

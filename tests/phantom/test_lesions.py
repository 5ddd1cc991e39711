"""Lesion types differ in attenuation only, and overlap."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from scipy import stats

from liver_tf.phantom import lesions as lesions_module
from liver_tf.phantom.cohort import typed_cohort, typed_study
from liver_tf.phantom.lesions import TYPES, draw_diameter, draw_look
from liver_tf.phantom.random_streams import stream
from liver_tf.phantom.tissues import Tissues


def test_sizes_and_shapes_are_independent_of_the_type():
    for function in (lesions_module.draw_forms, draw_diameter, lesions_module.draw_number):
        assert not {"kind", "diagnosis", "look"} & set(inspect.signature(function).parameters)
    radii = {name: [] for name in TYPES}
    for member in typed_cohort(3, 52):
        if member.diagnosis in radii:
            study = typed_study(3, member)
            radii[member.diagnosis] += [lesion.form.mean_radius_mm for lesion in study.lesions]
    assert min(map(len, radii.values())) >= 15
    assert stats.kruskal(*radii.values()).pvalue > 0.01


def test_diameters_stay_in_range():
    rng = stream(0, "diameters")
    diameters = [draw_diameter(rng) for _ in range(4000)]
    assert min(diameters) >= 5
    assert max(diameters) <= 60
    assert 17 < np.median(diameters) < 23


def test_types_differ_in_hu_and_overlap():
    means = {name: [] for name in TYPES}
    below = {name: [] for name in TYPES}
    for member in typed_cohort(1, 24):
        if member.diagnosis == "healthy":
            continue
        study = typed_study(1, member)
        rng = stream(1, "noise", member.index)
        z = study.heights_mm[0]
        hu, labels = study.scanner.take(rng, study.patient, study.lesions, z, 128)
        means[member.diagnosis].append(hu[labels == 2].mean())
        below[member.diagnosis].append(hu[labels == 1].mean() - hu[labels == 2].mean())
    median = {name: np.median(values) for name, values in means.items()}
    assert 0 <= median["cyst"] <= 40
    assert 40 <= median["metastasis"] <= 100
    assert 90 <= median["hemangioma"] <= 190
    assert median["cyst"] + 20 < median["metastasis"] < median["hemangioma"] - 20
    assert np.median(below["metastasis"]) > 15


def test_no_hu_threshold_separates_the_types():
    rng = stream(0, "looks")
    drawn = {name: [] for name in TYPES}
    for _ in range(400):
        tissues = Tissues.draw(rng)
        for name in TYPES:
            look = draw_look(rng, name, tissues, draw_diameter(rng))
            filled = look.nodule_hu * 0.5 + look.hu * 0.5 if name == "hemangioma" else look.hu
            drawn[name].append(filled)
    cyst, hemangioma, metastasis = (np.array(drawn[name]) for name in TYPES)
    assert np.median(cyst) < np.median(metastasis) < np.median(hemangioma)
    # Between 2 and 25 of 100 lie on the other type's side of its own range.
    assert 0.02 < (metastasis < cyst.max()).mean() < 0.25
    assert 0.02 < (metastasis > hemangioma.min()).mean() < 0.5


def test_a_cyst_is_more_homogeneous_than_a_metastasis_without_noise():
    tissues = Tissues(1.0, 0.0)
    x, y = np.meshgrid(np.linspace(-40, 40, 81), np.linspace(-40, 40, 81))
    for seed in range(5):
        spread = {}
        for kind in ("cyst", "metastasis"):
            look = draw_look(stream(seed, kind), kind, tissues, 40.0)
            spread[kind] = look.texture_hu * look.texture(x, y, 0.0).std()
        assert spread["cyst"] < 2 < 3 < spread["metastasis"]


def test_a_hemangioma_fills_from_the_rim():
    tissues = Tissues(1.0, 0.0)
    member = next(m for m in typed_cohort(0, 20) if m.diagnosis == "hemangioma")
    form = typed_study(0, member).lesions[0].form
    look = draw_look(stream(0, "look"), "hemangioma", tissues, 2 * form.mean_radius_mm)
    shares = []
    for filling in (0.15, 0.6, 1.25):
        lesion = lesions_module.PhantomLesion(
            form, type(look)(**{**vars(look), "filling": filling})
        )
        rng = np.random.default_rng(0)
        points = (form.centre_mm + rng.uniform(-1, 1, (20000, 3)) * form.radii_mm.max()).T
        distance = form.distance(*points)
        hu = lesion._attenuation(*points, distance)
        depth = -distance / form.mean_radius_mm
        rim, centre = hu[(depth > 0) & (depth < 0.25)], hu[depth > 0.6]
        assert rim.mean() >= centre.mean()
        shares.append((hu[depth > 0] > (look.hu + look.nodule_hu) / 2).mean())
    assert shares[0] < shares[1] < shares[2]
    assert shares[0] < 0.5
    assert shares[2] > 0.75


def test_an_unknown_lesion_type_raises():
    with pytest.raises(ValueError, match="expected a lesion kind"):
        draw_look(stream(0), "abscess", Tissues(1.0, 0.0), 20.0)

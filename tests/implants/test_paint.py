"""Lesions in a liver whose HU, noise and vessel are known."""

import numpy as np
import pytest

from liver_tf.implants.host import Host
from liver_tf.implants.paint import implant, with_lesions
from liver_tf.labels import LITS

#: Slices of 3 mm, pixels of 1 mm; liver 110 HU, blood 190 HU, noise of SD 12.
SHAPE, SPACING_MM = (40, 110, 120), (3.0, 1.0, 1.0)
LIVER_HU, BLOOD_HU, NOISE_HU = 110, 190, 12
Z, Y, X = (axis * mm for axis, mm in zip(np.indices(SHAPE), SPACING_MM, strict=True))
LIVER = ((Z - 60) / 55) ** 2 + ((Y - 55) / 48) ** 2 + ((X - 60) / 54) ** 2 < 1
#: Along the patient's axis, 10 mm wide.
VESSEL = LIVER & (np.hypot(Y - 50, X - 62) < 5)


@pytest.fixture(scope="module")
def host():
    hu = np.where(LIVER, LIVER_HU, -100) + (BLOOD_HU - LIVER_HU) * VESSEL
    noise = np.random.default_rng(0).normal(0, NOISE_HU, SHAPE)
    return Host(np.rint(hu + noise).astype(np.int16), LIVER.astype(np.uint8), SPACING_MM)


def painted(host, seed=4, name=1, kinds=("cyst",), **options):
    hu, lesions = implant(host, seed, name, kinds=kinds, number=3, **options)
    assert lesions
    return hu, lesions, with_lesions(np.zeros(SHAPE, np.uint8), lesions, LITS) > 0


def test_the_vessel_and_nothing_else_is_found(host):
    found = np.zeros(SHAPE, bool)
    coarse = host.vessels.repeat(host._steps[1], axis=1).repeat(host._steps[2], axis=2)
    place = tuple(slice(s.start, s.start + n) for s, n in zip(host.box, coarse.shape, strict=True))
    found[place] = coarse
    middle = np.hypot(Y - 50, X - 62) < 3
    inside = (Z > 20) & (Z < 100)
    assert found[middle & inside].mean() > 0.95
    assert found[LIVER & ~VESSEL & (np.hypot(Y - 50, X - 62) > 9)].mean() < 0.01


def test_the_host_is_measured(host):
    assert host.noise_hu == pytest.approx(NOISE_HU, rel=0.1)
    tissues = host.tissues_near(np.array([30.0, 60.0, 60.0]))
    assert tissues.liver == pytest.approx(LIVER_HU, abs=2)
    assert tissues.blood == pytest.approx(BLOOD_HU, abs=25)


@pytest.mark.parametrize("mass_effect", [False, True])
def test_only_the_liver_near_the_lesions_changes(host, mass_effect):
    hu, lesions, mask = painted(host, mass_effect=mass_effect)
    assert hu.dtype == host.hu.dtype
    assert LIVER[mask].all()
    changed = hu != host.hu
    # The point spread of the scanner crosses the border by 3 mm at most.
    far = ((Z - 60) / 58) ** 2 + ((Y - 55) / 51) ** 2 + ((X - 60) / 57) ** 2 > 1
    assert not changed[far].any()
    for each in lesions:
        changed[each.window] = False
    assert not changed.any()


def test_a_cyst_has_its_hu_and_the_noise_of_the_scan(host):
    hu, lesions, _ = painted(host)
    for each in lesions:
        distance = each.form.distance(X, Y, Z)
        core = (distance < -3) & (
            np.abs(Z - each.form.centre_mm[2]) < 0.4 * each.form.mean_radius_mm
        )
        if core.sum() < 200:
            continue
        assert hu[core].mean() == pytest.approx(each.look.hu, abs=3)
        assert hu[core].std() == pytest.approx(NOISE_HU, rel=0.15)
        # It is the noise of these very voxels.
        assert np.corrcoef(hu[core], host.hu[core])[0, 1] > 0.9
        return
    pytest.fail("no lesion large enough to measure")


def test_lesions_keep_away_from_vessels_unless_asked(host):
    kept = [painted(host, seed)[2] for seed in range(4)]
    asked = [painted(host, seed, near_vessels=True)[2] for seed in range(4)]
    middle = np.hypot(Y - 50, X - 62) < 3
    assert not any((mask & middle & (Z > 20) & (Z < 100)).any() for mask in kept)
    assert any((mask & VESSEL).any() for mask in asked)


def test_every_lesion_is_visible(host):
    hu, lesions, _ = painted(host, kinds=("hemangioma", "metastasis", "untyped"))
    for each in lesions:
        change = np.abs(hu[each.window].astype(float) - host.hu[each.window])[each.mask]
        assert change.mean() > 10


def test_the_seed_and_the_name_decide(host):
    first, again, other = painted(host)[0], painted(host)[0], painted(host, name=2)[0]
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_mass_effect_moves_a_vessel_outwards():
    """The centre of the vessel's brightness moves away from the lesion beside it."""
    from liver_tf.implants.paint import _pushed
    from liver_tf.phantom.lesions import Form
    from liver_tf.phantom.shapes import Ripple

    ripple = Ripple.draw(np.random.default_rng(0), 4, 10, 20)
    form = Form(
        np.array([40.0, 50, 60]), np.full(3, 15.0), np.eye(3, dtype=np.float32), 0.0, ripple
    )
    image = np.where(np.hypot(Y - 50, X - 60) < 3, 80.0, 0.0)
    points = tuple(axis.astype(np.float32) for axis in (Z, Y, X))
    pushed = _pushed(image, form, points, np.array(SPACING_MM), LIVER)
    centres = [(each[20] * X[20]).sum() / each[20].sum() for each in (image, pushed)]
    assert centres[1] - centres[0] > 1.0
    np.testing.assert_array_equal(pushed[:, :, 80:], image[:, :, 80:])


def test_noise_without_traces_of_vessels_is_found_nearby():
    from liver_tf.implants.paint import _quieter_place

    noise = np.random.default_rng(1).normal(0, 10, (5, 120, 120))
    liver = np.ones(noise.shape, bool)
    place = (slice(0, 5), slice(50, 70), slice(50, 70))
    lesion = np.ones((5, 20, 20), bool)
    assert _quieter_place(noise, liver, place, lesion, np.ones(3)) is None
    noise[:, 50:70:6, 30:90] += 60  # fine vessels along the rows
    found = _quieter_place(noise, liver, place, lesion, np.ones(3))
    assert noise[found].std() == pytest.approx(10, rel=0.05)
    liver[found] = False
    assert _quieter_place(noise, liver, place, lesion, np.ones(3)) not in (None, found)
    assert _quieter_place(noise, liver & False, place, lesion, np.ones(3)) is None

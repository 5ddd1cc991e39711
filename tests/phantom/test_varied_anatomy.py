"""The varied anatomy: no fat ring below the diaphragm, packed bowel, wide range of patients."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from liver_tf.phantom.anatomy import Patient
from liver_tf.phantom.cohort import volume_study
from liver_tf.phantom.phantom_plan import PLAIN, VARIED
from liver_tf.phantom.random_streams import stream
from liver_tf.phantom.tissue_codes import IN_LIVER, Tissue, labels_of_codes

PIXEL_MM = 3.0
X_MM, Y_MM = np.arange(-220, 221, PIXEL_MM), np.arange(-180, 181, PIXEL_MM)


def codes_at(patient, z_mm):
    plane = patient.plane(X_MM, Y_MM, z_mm, PIXEL_MM)
    plane.tissues = np.zeros(plane.x.shape, np.uint8)
    wall, _ = patient.paint(plane, ())
    inside = wall + patient.body.lining(plane.x, plane.y, plane.z) < 0
    return plane.tissues, inside


@pytest.fixture(scope="module")
def patients():
    return {
        anatomy: [Patient.draw(stream(4, anatomy, n), anatomy) for n in range(12)]
        for anatomy in (PLAIN, VARIED)
    }


def fat_ring(patient):
    """Share of fat within 5 mm of the liver's border in its upper part, away from other organs."""
    codes, _ = codes_at(patient, 45.0 * patient.habitus.scale[2])
    liver = np.isin(codes, IN_LIVER)
    near_lung = ndimage.binary_dilation(codes == Tissue.LUNG, iterations=4)
    border = ndimage.binary_dilation(liver, iterations=2) & ~liver & near_lung
    return (codes[border] == Tissue.FAT).mean() if border.sum() > 10 else np.nan


def test_the_liver_touches_the_diaphragm(patients):
    plain, varied = (np.nanmean([fat_ring(p) for p in patients[a]]) for a in (PLAIN, VARIED))
    assert varied < 0.6 * plain, (plain, varied)


def test_the_belly_is_packed(patients):
    gut = (Tissue.GUT_WALL, Tissue.BOWEL_FLUID, Tissue.STOOL, Tissue.GAS, Tissue.STOMACH_CONTENT)

    def share(patient):
        codes, inside = codes_at(patient, -40.0)
        front = codes[: codes.shape[0] // 2][inside[: codes.shape[0] // 2]]
        return np.isin(front, gut).sum() / np.isin(front, (*gut, Tissue.FAT)).sum()

    plain, varied = (np.mean([share(p) for p in patients[a]]) for a in (PLAIN, VARIED))
    assert varied > 1.2 * plain, (plain, varied)


def test_quadrate_and_caudate_lobes(patients):
    """Liver medial to the gall bladder, and in front of the vena cava below the porta."""

    def share(patient, z_mm, rows, columns):
        codes, _ = codes_at(patient, z_mm * patient.habitus.scale[2])
        part = codes[slice(*np.searchsorted(Y_MM, rows)), slice(*np.searchsorted(X_MM, columns))]
        return np.isin(part, IN_LIVER).mean()

    for place in ((-15.0, (-80, -50), (-32, -8)), (-4.0, (-42, -15), (-30, 8))):
        full, without = (
            np.mean([share(p, *place) for p in livers])
            for livers in (
                patients[VARIED],
                [replace(p, liver=replace(p.liver, parts=())) for p in patients[VARIED]],
            )
        )
        assert full > without + 0.06, (place, full, without)


@pytest.mark.long
def test_patients_differ_widely():
    drawn = [Patient.draw(stream(4, "wide", n), VARIED) for n in range(150)]
    widths = np.array([2 * patient.half_width_mm for patient in drawn])
    assert widths.min() < 280
    assert 400 < widths.max() < 560
    livers = np.array([patient.tissues.liver for patient in drawn])
    assert livers.min() < 25
    assert livers.max() > 130
    spleens = np.array([patient.organs.spleen_radii_mm[2] for patient in drawn])
    assert spleens.max() > 1.5 * np.median(spleens)
    assert 3 < sum(patient.liver.cut is not None for patient in drawn) < 30


@pytest.mark.long
def test_organs_enhance_independently():
    drawn = [Patient.draw(stream(4, "phase", n), VARIED).tissues for n in range(150)]
    values = np.array([(t.liver, t.spleen, t.blood, t.aorta) for t in drawn])
    plain = [Patient.draw(stream(4, "phase", n), PLAIN).tissues for n in range(50)]
    together = np.array([(t.spleen, t.blood, t.aorta) for t in plain])
    assert np.corrcoef(together.T).min() > 0.999
    assert np.corrcoef(values.T)[0, 1:].max() < 0.9


def test_volumes_reach_beyond_the_liver_and_their_maps_are_consistent():
    study = volume_study(9, 0, 12, VARIED)
    outside = 0
    for z_mm in study.heights_mm[::3]:
        codes = study.scanner.tissues(study.patient, study.lesions, z_mm, 96)
        _, labels = study.scanner.take(stream(1), study.patient, study.lesions, z_mm, 96)
        np.testing.assert_array_equal(labels_of_codes()[codes], labels)
        outside += not labels.any()
    assert outside >= 1
    assert codes.shape == (96, 96)

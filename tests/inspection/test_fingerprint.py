"""Facts of a data set agree with files, records and hand-worked numbers."""

from __future__ import annotations

from collections import Counter

import nibabel
import numpy as np
import pytest

from liver_tf.conversion.sources import find_lits, find_slices
from liver_tf.ct.pseudonyms import pseudonym
from liver_tf.inspection.case_pictures import picture_case
from liver_tf.inspection.fingerprint import Facts, facts_of_case, lesion_diameters_mm, sum_of
from liver_tf.inspection.fingerprint_text import cautions_text, fingerprint_text, refusals_text
from liver_tf.labels import LESION_TYPES, LITS
from liver_tf.records.manifest import load_manifest
from tests.builders.phantom_sets import KEY, MASK_VALUES, read_table, records_of
from tests.builders.verify_pages import REAL, write_pair


@pytest.fixture(scope="module")
def slices_facts(tiny_phantom) -> Facts:
    tasks, refusals = find_slices(tiny_phantom / "sheba/slices.csv", KEY, LESION_TYPES, MASK_VALUES)
    return sum_of(map(facts_of_case, tasks), refusals)


def test_facts_of_slices(tiny_phantom, slices_facts, slices_set):
    rows = read_table(tiny_phantom / "sheba/slices.csv")
    facts = slices_facts
    assert (facts.cases, len(facts.patients), facts.slices) == (9, 9, 21)
    for diagnosis in {row["diagnosis"] for row in rows}:
        of_diagnosis = [row for row in rows if row["diagnosis"] == diagnosis]
        assert facts.diagnosis_slices[diagnosis] == len(of_diagnosis)
        patients = {row["patient_id"] for row in of_diagnosis}
        assert len(facts.diagnosis_patients[diagnosis]) == len(patients)
    records = list(records_of(slices_set).values())
    labels = np.stack([record.labels for record in records])
    counts = np.bincount(labels.reshape(-1), minlength=5)
    assert [facts.class_pixels[label] for label in range(5)] == counts.tolist()
    assert facts.with_liver == sum((part >= 1).any() for part in labels)
    assert facts.with_lesion == sum((part >= 2).any() for part in labels)
    assert facts.matrices == {(64, 64): 21}
    spacings = {tuple(np.float32(record.spacing_mm)) for record in records}
    assert {tuple(np.float32(pair)) for pair in facts.pixel_mm} == spacings
    assert not facts.cautions
    assert not facts.refusals


def test_facts_agree_with_the_manifest(slices_facts, slices_set):
    manifest = load_manifest(slices_set)
    total = np.sum([case.statistics.class_pixels for case in manifest.cases], axis=0)
    assert [slices_facts.class_pixels[label] for label in range(5)] == total.tolist()
    makers = {case.details["manufacturer"] for case in manifest.cases}
    assert set(slices_facts.manufacturers) == makers


def test_hu_are_measured_before_windowing(tiny_phantom):
    tasks, _ = find_lits(tiny_phantom / "lits", KEY)
    facts = sum_of(map(facts_of_case, tasks))
    pairs = [
        [
            np.asarray(nibabel.load(tiny_phantom / f"lits/{part}-{number}.nii.gz").dataobj)
            for part in ("volume", "segmentation")
        ]
        for number in (0, 1)
    ]
    for label in (1, 2):
        values = np.concatenate([hu[labels == label] for hu, labels in pairs]).astype(float)
        assert facts.hu[label].count == values.size
        assert facts.hu[label].mean == pytest.approx(values.mean())
        assert facts.hu[label].sd == pytest.approx(values.std())
    images = [nibabel.load(tiny_phantom / f"lits/volume-{n}.nii.gz") for n in (0, 1)]
    axes = Counter("".join(nibabel.aff2axcodes(image.affine)) for image in images)
    assert facts.orientations == axes


def test_row_of_a_scan_by_hand(tmp_path):
    hu = np.full((20, 16, 6), -1000, np.int16)
    hu[2:18, 2:14] = 40
    labels = np.zeros(hu.shape, np.uint8)
    labels[4:8, 4:10, 1:5] = 1  # 4 x 6 x 4 voxels, in LPS the patient's right
    labels[5, 5, 2:4] = 2  # one lesion over two slices
    labels[7, 8, 1] = 2
    hu[labels == 1], hu[labels == 2] = 110, 20
    write_pair(tmp_path, 7, hu, labels, np.diag([-2.0, -3.0, 5.0, 1.0]))
    (task,), _ = find_lits(tmp_path, KEY)
    facts = facts_of_case(task)
    (row,) = facts.rows
    assert row.case == pseudonym(KEY, "case", "lits-7")
    assert (row.slices, row.pixel_mm, row.slice_mm) == (6, (3.0, 2.0), 5.0)
    assert row.liver_ml == pytest.approx(4 * 6 * 4 * 2 * 3 * 5 / 1000)
    assert row.lesions == 2
    assert (row.liver_hu.mean, row.liver_hu.sd) == (110, 0)
    assert row.right_share == 1.0
    # 110 HU lie in the bin from 110 on, number 31; 20 HU in number 22.
    assert facts.hu_histograms[1].counts[31] == facts.hu_histograms[1].total == 4 * 6 * 4 - 3
    assert facts.hu_histograms[2].counts[22] == facts.hu_histograms[2].total == 3


def test_diameters_by_hand():
    labels = np.zeros((10, 10), np.uint8)
    labels[0:2, 0:2] = 2  # 4 pixels of 0.5 x 2 mm, touched at its corner by the next
    labels[2, 2] = 2
    labels[5:8, 5:8] = 2
    labels[9, 9] = 3
    diameters = lesion_diameters_mm(labels, 2, (0.5, 2.0))
    np.testing.assert_allclose(diameters, [(4 * 5 / np.pi) ** 0.5, (4 * 9 / np.pi) ** 0.5])
    assert lesion_diameters_mm(labels, 4, (1.0, 1.0)) == []


def test_liver_volume_of_real_ct_agrees_with_the_published_one():
    if not REAL.is_dir():
        pytest.skip("real CT not found: set LIVER_TF_REAL_DATA to the folder with chaos_ct3")
    (task,), _ = find_lits(REAL, KEY)
    facts, pictures = picture_case(task)
    assert facts.rows[0].liver_ml == pytest.approx(1417, abs=1)
    assert facts.cautions == []
    assert len(pictures) == 2  # no lesion


def test_text_has_the_facts_and_no_identifiers(slices_facts, tiny_phantom):
    text = fingerprint_text(slices_facts, LESION_TYPES)
    lines = {line.split("  ")[1].strip(): line for line in text.splitlines() if "  " in line}
    rows = read_table(tiny_phantom / "sheba/slices.csv")
    sick = sum(row["diagnosis"] != "healthy" for row in rows)
    assert f"21 (21 with liver, {sick} with lesion)" in lines["slices"]
    assert "metastasis" in lines["diagnoses"]
    assert "64 x 64: 21 slices" in lines["matrix"]
    assert "LPS: 9 cases" in lines["orientation"]
    assert f"{slices_facts.hu[1].mean:.1f}" in text
    for identifier in (*slices_facts.patients, "p000"):
        assert identifier not in text
    assert cautions_text(slices_facts) == "No cautions."
    assert refusals_text(slices_facts) == "Nothing refused."


def test_text_of_an_empty_data_set():
    text = fingerprint_text(Facts(), LITS)
    assert "cases           0" in text

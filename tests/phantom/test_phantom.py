"""The phantom: whole files with truthful headers, the paper's counts, types that differ in HU."""

from __future__ import annotations

import csv
import hashlib
import inspect
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image
from scipy import stats

from liver_tf.phantom import lesions as lesions_module
from liver_tf.phantom.anatomy import Patient
from liver_tf.phantom.cohort import typed_cohort, typed_study, volume_has_tumour, volume_study
from liver_tf.phantom.lesions import TYPES, draw_diameter, draw_look
from liver_tf.phantom.phantom_folder import PhantomPlan, write_phantom
from liver_tf.phantom.random_streams import stream
from liver_tf.phantom.scanner import Scanner
from liver_tf.phantom.shapes import ellipsoid, union
from liver_tf.phantom.tissues import Tissues
from liver_tf.phantom.writers import ORIENTATIONS, write_nifti, write_whole
from liver_tf.refusals import Refusal

ROOT = Path(__file__).resolve().parents[2]
PLAN = PhantomPlan(seed=5, lits_volumes=3, lits_slices=10, patients=6, matrix=128)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("phantom") / "out"
    assert write_phantom(output, PLAN)
    return output


def fingerprints(output: Path) -> dict[str, str]:
    files = (path for path in sorted(output.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(output)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def rows_of(folder: Path) -> list[dict[str, str]]:
    with open(folder / "sheba/slices.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def hu_of(ds: pydicom.Dataset) -> np.ndarray:
    return ds.pixel_array.astype(np.float64) * float(ds.RescaleSlope) + float(ds.RescaleIntercept)


# Cohorts


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_full_cohort_has_the_papers_counts(seed):
    members = typed_cohort(seed, 140)
    slices = Counter()
    for member in members:
        slices[member.diagnosis] += member.slices
    assert slices == {"cyst": 75, "hemangioma": 71, "metastasis": 93, "healthy": 93}
    assert len({member.index for member in members}) == 140
    assert {member.slices for member in members} <= {1, 2, 3, 4}


def test_a_smaller_cohort_is_the_beginning_of_a_larger_one_and_keeps_proportions():
    small, large = typed_cohort(0, 60), typed_cohort(0, 140)
    assert large[:60] == small
    by_type = Counter(member.diagnosis for member in small)
    assert by_type == pytest.approx(
        {"cyst": 60 * 75 / 332, "hemangioma": 60 * 71 / 332, "metastasis": 60 * 93 / 332,
         "healthy": 60 * 93 / 332},
        abs=1.5,
    )  # fmt: skip
    assert sum(member.slices for member in small) == pytest.approx(60 * 332 / 140, abs=4)


def test_one_volume_in_ten_has_no_tumour():
    assert [sum(not volume_has_tumour(s, k) for k in range(130)) for s in (0, 1)] == [13, 13]


def test_lits_and_typed_patients_are_different_people():
    typed = typed_study(0, typed_cohort(0, 1)[0]).patient
    volume = volume_study(0, 0, 10).patient
    assert typed.tissues != volume.tissues
    assert typed.habitus.scale != volume.habitus.scale


def test_sizes_and_shapes_do_not_know_the_type():
    for function in (lesions_module.draw_forms, draw_diameter, lesions_module.draw_number):
        assert not {"kind", "diagnosis", "look"} & set(inspect.signature(function).parameters)
    radii = {name: [] for name in TYPES}
    for member in typed_cohort(3, 52):
        if member.diagnosis in radii:
            study = typed_study(3, member)
            radii[member.diagnosis] += [lesion.form.mean_radius_mm for lesion in study.lesions]
    assert min(map(len, radii.values())) >= 15
    assert stats.kruskal(*radii.values()).pvalue > 0.01


def test_the_same_patient_gets_the_same_form_whatever_its_diagnosis():
    member = typed_cohort(0, 1)[0]
    as_cyst = typed_study(0, type(member)(member.index, "cyst", member.slices))
    as_metastasis = typed_study(0, type(member)(member.index, "metastasis", member.slices))
    as_healthy = typed_study(0, type(member)(member.index, "healthy", member.slices))
    for a, b in zip(as_cyst.lesions, as_metastasis.lesions, strict=True):
        np.testing.assert_array_equal(a.form.centre_mm, b.form.centre_mm)
        np.testing.assert_array_equal(a.form.radii_mm, b.form.radii_mm)
    assert as_cyst.heights_mm == as_metastasis.heights_mm == as_healthy.heights_mm
    assert as_healthy.lesions == ()


def test_diameters_keep_their_range():
    rng = stream(0, "diameters")
    diameters = [draw_diameter(rng) for _ in range(4000)]
    assert min(diameters) >= 5
    assert max(diameters) <= 60
    assert 17 < np.median(diameters) < 23


# Attenuation


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


def test_no_threshold_of_hu_parts_the_types():
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


def test_a_hemangioma_is_bright_at_the_rim_and_dark_in_the_centre_until_it_fills():
    tissues = Tissues(1.0, 0.0)
    member = next(m for m in typed_cohort(0, 20) if m.diagnosis == "hemangioma")
    form = typed_study(0, member).lesions[0].form
    look = draw_look(stream(0, "look"), "hemangioma", tissues, 2 * form.mean_radius_mm)
    shares = []
    for filling in (0.15, 0.6, 1.25):
        lesion = lesions_module.Lesion(form, type(look)(**{**vars(look), "filling": filling}))
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


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="expected a lesion kind"):
        draw_look(stream(0), "abscess", Tissues(1.0, 0.0), 20.0)


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


def test_shapes_know_inside_from_outside_by_hand():
    at = np.array([0.0, 9.0, 10.0, 12.0])
    np.testing.assert_allclose(ellipsoid(at, 0, 0, (0, 0, 0), (10, 10, 10))[1:], [-1, 0, 2])
    assert union(np.array(3.0), np.array(50.0), 4.0) == 3.0
    assert union(np.array(1.0), np.array(1.0), 4.0) == pytest.approx(0.0)


# Noise


def test_noise_has_its_sd_at_512_and_less_at_coarser_matrices():
    patient = Patient.draw(stream(0, "noise"))
    scanner = Scanner.draw(stream(0, "scanner"), patient, 5.0)
    fine = scanner.noise(np.random.default_rng(0), 512)
    coarse = scanner.noise(np.random.default_rng(0), 128)
    assert fine.std() == pytest.approx(1.0, abs=0.02)
    assert 0.1 < coarse.std() < 0.7
    rows, columns = fine[:, :-1], fine[:, 1:]
    assert np.corrcoef(rows.ravel(), columns.ravel())[0, 1] > 0.15


# Files


def test_files_are_the_same_in_two_runs_and_with_two_workers(folder, tmp_path):
    write_phantom(tmp_path / "again", PLAN, workers=2)
    first, second = fingerprints(folder), fingerprints(tmp_path / "again")
    assert first == second
    assert not [name for name in first if "partial" in name or "begun" in name]


def test_another_seed_gives_other_patients(folder, tmp_path):
    plan = PhantomPlan(seed=6, lits_volumes=0, patients=1, matrix=128)
    write_phantom(tmp_path / "other", plan)
    name = "sheba/images/p000_s0.dcm"
    assert (tmp_path / "other" / name).read_bytes() != (folder / name).read_bytes()


def test_the_table_is_valid(folder):
    rows = rows_of(folder)
    assert list(rows[0]) == ["slice_id", "patient_id", "image", "mask", "diagnosis"]
    assert len({row["slice_id"] for row in rows}) == len(rows)
    by_patient = {}
    for row in rows:
        assert by_patient.setdefault(row["patient_id"], row["diagnosis"]) == row["diagnosis"]
        labels = np.array(Image.open(folder / "sheba" / row["mask"]))
        assert labels.dtype == np.uint8
        assert labels.shape == (128, 128)
        assert set(np.unique(labels)) == ({0, 1} if row["diagnosis"] == "healthy" else {0, 1, 2})
    assert len(by_patient) == 6
    counts = json.loads((folder / "phantom.json").read_text())["counts"]
    assert counts["sheba_slices"] == len(rows)
    assert len(list((folder / "sheba/images").iterdir())) == len(rows)


def test_dicom_slices_are_valid_and_truthful(folder):
    uids, makers = set(), set()
    for row in rows_of(folder):
        ds = pydicom.dcmread(folder / "sheba" / row["image"])
        assert ds.SOPClassUID == pydicom.uid.CTImageStorage
        assert ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID
        assert pydicom.uid.UID(ds.SOPInstanceUID).is_valid
        assert str(ds.PatientName).startswith("PHANTOM^")
        assert (ds.Modality, ds.BitsAllocated, ds.Rows, ds.Columns) == ("CT", 16, 128, 128)
        field_mm = float(ds.PixelSpacing[0]) * 128
        assert 0.65 * 512 - 1e-3 <= field_mm <= 0.85 * 512 + 1e-3
        hu, labels = hu_of(ds), np.array(Image.open(folder / "sheba" / row["mask"]))
        assert 40 < np.median(hu[labels == 1]) < 170
        assert labels.astype(bool).sum() * float(ds.PixelSpacing[0]) ** 2 > 4000
        # Columns run to the patient's left: the liver is on the right, in the first columns.
        assert list(ds.ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
        x_mm = ds.ImagePositionPatient[0] + np.arange(128) * float(ds.PixelSpacing[1])
        assert (x_mm * labels.astype(bool).sum(0)).sum() < 0
        if "PixelPaddingValue" in ds:
            assert ds.pixel_array[0, 0] == ds.PixelPaddingValue
            vr = ds[0x0028, 0x0120].VR
            assert vr == ("SS" if ds.PixelRepresentation else "US")
        else:
            assert hu[0, 0] < -900
        uids.add(ds.SOPInstanceUID)
        makers.add(ds.Manufacturer)
    assert len(uids) == len(rows_of(folder))
    assert len(makers) > 1


def test_nifti_headers_are_truthful_in_every_orientation(folder):
    seen = set()
    for k in range(PLAN.lits_volumes):
        image = nib.load(folder / f"lits/volume-{k}.nii.gz")
        mask = nib.load(folder / f"lits/segmentation-{k}.nii.gz")
        assert image.get_data_dtype() == np.int16
        assert mask.get_data_dtype() == np.uint8
        assert int(image.header["sform_code"]) == int(image.header["qform_code"]) == 1
        np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-3)
        np.testing.assert_allclose(image.affine, mask.affine)
        seen.add("".join(nib.aff2axcodes(image.affine)))
        hu = np.asarray(nib.as_closest_canonical(image).dataobj)
        labels = np.asarray(nib.as_closest_canonical(mask).dataobj)
        assert hu.shape == (128, 128, 10)
        x, y, _ = np.indices(hu.shape)
        liver, body, bone = labels > 0, hu > -300, hu > 300
        # RAS+: the patient's right has large x, the back small y.
        assert x[liver].mean() > x[body].mean() + 5
        central = bone & (np.abs(x - x[body].mean()) < 10)
        assert y[central].mean() < y[body].mean() - 5
        # Lungs above, kidneys below: the topmost slice holds more air inside the body.
        inside = np.abs(x - x[body].mean()) < 35
        lung = [((hu < -500) & inside & (np.abs(y - 64) < 20))[..., s].sum() for s in (0, 9)]
        assert lung[1] > lung[0]
        assert liver[..., 1:-1].any((0, 1)).sum() >= 6
        volume_ml = liver.sum() * np.prod(image.header.get_zooms()) / 1000
        assert 700 < volume_ml < 2600
    assert seen == set(ORIENTATIONS)


def test_lesions_and_liver_go_on_from_slice_to_slice():
    study = volume_study(0, 1, 40)
    plane_labels = []
    for k in (18, 19):
        rng = stream(0, "continuity", k)
        plane_labels.append(
            study.scanner.take(rng, study.patient, study.lesions, study.heights_mm[k], 128)[1] > 0
        )
    both = (plane_labels[0] & plane_labels[1]).sum()
    assert 2 * both / (plane_labels[0].sum() + plane_labels[1].sum()) > 0.9


def test_a_voxel_is_where_the_affine_says(tmp_path):
    slices = np.zeros((3, 4, 5), np.int16)
    slices[2, 1, 4] = 7
    affine = np.array([[-2.0, 0, 0, 10], [0, -2, 0, 20], [0, 0, 5, 30], [0, 0, 0, 1]])
    for orientation in ORIENTATIONS:
        path = tmp_path / f"{orientation}.nii.gz"
        write_nifti(path, slices, affine, orientation)
        image = nib.load(path)
        assert "".join(nib.aff2axcodes(image.affine)) == orientation
        index = np.argwhere(np.asarray(image.dataobj) == 7)[0]
        # Column 4, row 1, slice 2: 10 - 8, 20 - 2, 30 + 10.
        np.testing.assert_allclose(nib.affines.apply_affine(image.affine, index), [2, 18, 40])


# Restart and refusal


def test_a_second_run_finds_the_first_and_writes_nothing(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert not write_phantom(folder, PLAN)
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_broken_run_goes_on_and_ends_with_the_same_files(folder, tmp_path):
    class Cut(Exception):
        pass

    def cut_after_four(steps, total):
        for n, step in enumerate(steps):
            if n == 4:
                raise Cut
            yield step

    output = tmp_path / "cut"
    with pytest.raises(Cut):
        write_phantom(output, PLAN, progress=cut_after_four)
    assert not (output / "phantom.json").exists()
    half_done = output / "lits/.volume-2.nii.gz.partial"
    half_done.write_bytes(b"half a file of a killed run")
    (output / "lits/volume-2.nii.gz").unlink()
    with pytest.raises(Refusal, match="phantom-other-arguments"):
        write_phantom(output, PhantomPlan(seed=9, patients=1, lits_volumes=1, matrix=128))
    assert write_phantom(output, PLAN)
    assert fingerprints(output) == fingerprints(folder)


def test_other_arguments_and_foreign_folders_are_refused(folder, tmp_path):
    with pytest.raises(Refusal, match="phantom-other-arguments"):
        write_phantom(
            folder, PhantomPlan(seed=6, lits_volumes=3, lits_slices=10, patients=6, matrix=128)
        )
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(Refusal, match="phantom-foreign-folder"):
        write_phantom(tmp_path, PLAN)
    with pytest.raises(Refusal, match="phantom-argument"):
        PhantomPlan(lits_slices=2)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, b"old")

    def full_disk(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"


def test_the_command_says_no_with_an_exit_code(folder):
    command = [sys.executable, "-m", "data_prep.phantom", f"--output={folder}", "--patients=7"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "phantom-other-arguments" in result.stderr
    assert "Traceback" not in result.stderr

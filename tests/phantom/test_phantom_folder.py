"""The phantom folder: reproducible files with truthful headers, resume and refusals."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image

from liver_tf.phantom.phantom_folder import write_phantom
from liver_tf.phantom.phantom_plan import PhantomPlan
from liver_tf.phantom.tissue_codes import Tissue, labels_of_codes
from liver_tf.phantom.writers import ORIENTATIONS
from liver_tf.refusals import Refusal
from tests.campaigns.victims import Victim

ROOT = Path(__file__).resolve().parents[2]
PLAN = PhantomPlan(seed=5, lits_volumes=3, lits_slices=10, patients=6, matrix=128)
SMALL_PLAN = PhantomPlan(seed=5, lits_volumes=3, lits_slices=8, patients=2, matrix=64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("phantom") / "out"
    assert write_phantom(output, PLAN)
    return output


@pytest.fixture(scope="module")
def small_folder(tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("small phantom") / "out"
    assert write_phantom(output, SMALL_PLAN)
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


def test_the_csv_is_valid(folder):
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


def test_another_seed_gives_different_patients(folder, tmp_path):
    plan = PhantomPlan(seed=6, lits_volumes=0, patients=1, matrix=128)
    write_phantom(tmp_path / "other", plan)
    name = "sheba/images/p000_s0.dcm"
    assert (tmp_path / "other" / name).read_bytes() != (folder / name).read_bytes()


def test_files_do_not_depend_on_run_or_workers(small_folder, tmp_path):
    write_phantom(tmp_path / "again", SMALL_PLAN, workers=2)
    first, second = fingerprints(small_folder), fingerprints(tmp_path / "again")
    assert first == second
    assert not [name for name in first if "partial" in name or "begun" in name]


def test_a_second_run_writes_nothing(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert not write_phantom(folder, PLAN)
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_an_interrupted_run_resumes_with_identical_files(small_folder, tmp_path):
    class Cut(Exception):
        pass

    def cut_after_four(steps, total):
        for n, step in enumerate(steps):
            if n == 4:
                raise Cut
            yield step

    output = tmp_path / "cut"
    with pytest.raises(Cut):
        write_phantom(output, SMALL_PLAN, progress=cut_after_four)
    assert not (output / "phantom.json").exists()
    half_done = output / "lits/.partial-volume-2.nii.gz"
    half_done.write_bytes(b"half a file of a killed run")
    (output / "lits/volume-2.nii.gz").unlink()
    with pytest.raises(Refusal, match="phantom-other-arguments"):
        write_phantom(output, PhantomPlan(seed=9, patients=1, lits_volumes=1, matrix=128))
    assert write_phantom(output, SMALL_PLAN)
    assert fingerprints(output) == fingerprints(small_folder)


def test_folders_of_other_plans_or_with_other_files_are_refused(folder, tmp_path):
    with pytest.raises(Refusal, match="phantom-other-arguments"):
        write_phantom(
            folder, PhantomPlan(seed=6, lits_volumes=3, lits_slices=10, patients=6, matrix=128)
        )
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(Refusal, match="phantom-foreign-folder"):
        write_phantom(tmp_path, PLAN)
    with pytest.raises(Refusal, match="phantom-argument"):
        PhantomPlan(lits_slices=2)


def test_the_command_exits_with_1_on_a_refusal(folder):
    command = [sys.executable, "-m", "data_prep.phantom", f"--output={folder}", "--patients=7"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "phantom-other-arguments" in result.stderr
    assert "Traceback" not in result.stderr


def test_tissue_maps_agree_with_volume_and_labels(folder, tmp_path):
    plan = PhantomPlan(seed=5, lits_volumes=1, lits_slices=10, patients=0, matrix=128, tissues=True)
    write_phantom(tmp_path / "out", plan)
    lits = tmp_path / "out/lits"
    maps = nib.load(lits / "tissues-0.nii.gz")
    image = nib.load(lits / "volume-0.nii.gz")
    assert (folder / "lits/volume-0.nii.gz").read_bytes() == (
        lits / "volume-0.nii.gz"
    ).read_bytes(), "tissue maps must not change the images"
    np.testing.assert_array_equal(maps.affine, image.affine)
    codes, hu = np.asarray(maps.dataobj), np.asarray(image.dataobj)
    truth = np.asarray(nib.load(lits / "segmentation-0.nii.gz").dataobj)
    np.testing.assert_array_equal(labels_of_codes()[codes], truth)
    assert len(np.unique(codes)) > 20
    # Medians, because the map has no partial volume.
    for tissue, low, high in (
        (Tissue.AIR, -1010, -990),
        (Tissue.LUNG, -900, -750),
        (Tissue.FAT, -125, -80),
        (Tissue.MUSCLE, 30, 80),
        (Tissue.MARROW, 100, 320),
        (Tissue.AORTA, 100, 230),
    ):
        assert low < np.median(hu[codes == tissue]) < high, tissue
    write_phantom(tmp_path / "plain", replace(plan, tissues=False))
    stored = json.loads((tmp_path / "plain/phantom.json").read_text())["arguments"]
    assert "tissues" not in stored, "folders of earlier versions must stay complete"


def test_a_test_cohort_has_patients_of_its_own(small_folder, tmp_path):
    write_phantom(tmp_path / "test", replace(SMALL_PLAN, cohort="test"))
    training, test = fingerprints(small_folder), fingerprints(tmp_path / "test")
    images = {name for name in training if name.endswith((".dcm", ".nii.gz"))}
    assert not set(test) & images
    assert not set(test.values()) & {training[name] for name in images}
    ids = {
        folder: {pydicom.dcmread(path).PatientID for path in folder.rglob("*.dcm")}
        for folder in (small_folder, tmp_path / "test")
    }
    assert not ids[small_folder] & ids[tmp_path / "test"]
    assert (tmp_path / "test/lits/volume-10000.nii.gz").exists()


def test_both_cohorts_in_one_folder_have_the_patients_of_two_folders(tmp_path):
    parts = {"lits_volumes": 0, "patients": 2}
    for name, changes in (
        ("both", {**parts, "test_patients": 3}),
        ("training", parts),
        ("test", {**parts, "patients": 3, "cohort": "test"}),
    ):
        write_phantom(tmp_path / name, replace(SMALL_PLAN, **changes))
    tested = (tmp_path / "both" / "sheba" / "test_patients.txt").read_text().split()
    assert tested == ["p10000", "p10001", "p10002"]
    rows = {name: rows_of(tmp_path / name) for name in ("both", "training", "test")}
    assert rows["both"] == rows["training"] + rows["test"]
    assert {row["patient_id"] for row in rows["test"]} == set(tested)
    both, *single = (fingerprints(tmp_path / name) for name in ("both", "training", "test"))
    for files in single:
        for path, content in files.items():
            if path.startswith("sheba/images") or path.startswith("sheba/masks"):
                assert both[path] == content
    with pytest.raises(Refusal, match="phantom-argument"):
        PhantomPlan(cohort="test", test_patients=1)


def test_a_folder_of_an_earlier_generator_is_refused(small_folder, tmp_path):
    stored = json.loads((small_folder / "phantom.json").read_text())
    del stored["arguments"]["generator"]
    (tmp_path / "phantom.json").write_text(json.dumps(stored))
    with pytest.raises(Refusal, match="'generator': 1"):
        write_phantom(tmp_path, SMALL_PLAN)


def test_a_killed_worker_is_refused(tmp_path):
    output = tmp_path / "phantom"
    sizes = ("--lits_volumes=0", "--patients=200", "--matrix=64", "--workers=2")
    victim = Victim(tmp_path / "log", "data_prep.phantom", f"--output={output}", *sizes)
    assert victim.wait_until(lambda: any(output.glob("sheba/images/*.dcm")))
    victim.kill("worker")
    assert "[worker-died] expected worker processes" in victim.output()
    assert "Traceback" not in victim.output()

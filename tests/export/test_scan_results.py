"""Results of a scan: complete, consistent and anonymous."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest

from liver_tf.ct.dicom_seg import read_dicom_seg
from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.nifti_volume import read_nifti_labels, read_nifti_volume
from liver_tf.ct.nifti_writer import write_nifti_labels
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.scan_findings import ScanFindings
from liver_tf.export.scan_results import overlay_slices, write_results
from liver_tf.labels import LESION_TYPES, LITS
from liver_tf.refusals import Refusal
from tests.builders.lesions import lesions_of
from tests.builders.placed_series import MARK_HU, write_placed_series

AXIAL = ((1, 0, 0), (0, 1, 0))
NAMES = {
    *("labels.nii.gz", "lesion_ids.nii.gz", "segmentation.dcm"),
    *("lesions.json", "lesions.csv", "scan.html", "thumbnail.jpg", "report.dcm"),
}


def mark_patient(dataset):
    dataset.PatientName = "CANARY^Quendoline"
    dataset.PatientID = "CANARY-4711"
    dataset.StudyDescription = "CANARY"


@pytest.fixture
def series(tmp_path):
    """A series in a folder with a telling name."""
    write_placed_series(tmp_path / "CANARY", *AXIAL, change=mark_patient)
    return tmp_path / "CANARY"


def results_of(scan, folder, labels=None, pictures=1, liver_found=True, for_archive=False):
    if labels is None:
        labels = np.where(scan.hu == MARK_HU, 3, scan.hu == 40).astype(np.uint8)
    lesions = lesions_of(labels, scan.hu, scan.spacing_mm, LESION_TYPES)
    written = write_results(
        folder,
        ScanFindings(scan, labels, lesions, LESION_TYPES, liver_found),
        AlgorithmIdentity("ab12"),
        pictures=pictures,
        for_archive=for_archive,
        facts={"flips": np.int64(2)},
    )
    return labels, written.text, json.loads((folder / "lesions.json").read_text())


def test_results_of_a_series_are_complete_and_consistent(series, tmp_path):
    pytest.importorskip(
        "highdicom", reason="highdicom is missing (pip install 'liver_tf[dicom-seg]')"
    )
    scan = read_dicom_series(series)
    folder = tmp_path / "out" / "scan-001"
    labels, reported, contents = results_of(scan, folder)
    files = {path.name for path in folder.iterdir()}
    assert files == {*NAMES, "slice-0001.png"}
    assert {*contents["files"], "lesions.json"} == files
    assert contents["not_written"] == {}
    assert "no segmentation" not in reported
    # SEG and NIfTI, each on the grid of the scan.
    image = nibabel.load(folder / "labels.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj).transpose(2, 1, 0), labels)
    segments = read_dicom_seg(folder / "segmentation.dcm", scan)
    np.testing.assert_array_equal(
        sum(segment.mask * segment.number for segment in segments), labels
    )
    # JSON and CSV.
    with open(folder / "lesions.csv", newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    (lesion,) = contents["lesions"]
    assert (row["scan"], row["type"]) == ("scan-001", "hemangioma")
    assert int(row["voxels"]) == lesion["voxels"] == int((labels == 3).sum())
    assert lesion["slices"] == [int(row["first_slice"]), int(row["last_slice"])] == [1, 2]
    assert contents["flips"] == 2
    assert contents["made_by"] == {
        "name": "liver_tf",
        "version": AlgorithmIdentity().version,
        "model": "ab12",
    }
    assert [path.name for path in folder.parent.iterdir()] == ["scan-001"]


@pytest.mark.parametrize("one_type", [True, False])
def test_each_lesion_has_one_class_in_all_files(series, tmp_path, one_type):
    """A lesion of two types is indeterminate; label map, SEG, page and table agree by default."""
    pytest.importorskip(
        "highdicom", reason="highdicom is missing (pip install 'liver_tf[dicom-seg]')"
    )
    scan = read_dicom_series(series)
    labels = np.zeros(scan.hu.shape, np.uint8)
    labels[1:3, 2:8, 2:8] = 1
    labels[1, 3:5, 3] = labels[2, 3, 3] = 2
    labels[1, 3:5, 4] = labels[2, 4, 3] = 4
    labels[2, 6, 6] = 3
    voxels = labels.copy()
    lesions = lesions_of(labels, scan.hu, scan.spacing_mm, LESION_TYPES, type_threshold=0.6)
    findings = ScanFindings(scan, labels, lesions, LESION_TYPES)
    assert findings.diagnosis == "cyst"
    if one_type:
        findings = findings.with_one_type_per_lesion()
    write_results(tmp_path / "scan-001", findings, AlgorithmIdentity("ab12"), pictures=1)
    expected = np.where(np.isin(voxels, (2, 4)), 5, voxels) if one_type else voxels
    image = nibabel.load(tmp_path / "scan-001" / "labels.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj).transpose(2, 1, 0), expected)
    segments = read_dicom_seg(tmp_path / "scan-001" / "segmentation.dcm", scan)
    names = {segment.label: int(segment.mask.sum()) for segment in segments}
    assert names.get("indeterminate", 0) == (6 if one_type else 0)
    assert names.get("cyst", 0) == (0 if one_type else 3)
    contents = json.loads((tmp_path / "scan-001" / "lesions.json").read_text())
    assert [lesion["type"] for lesion in contents["lesions"]] == ["indeterminate", "hemangioma"]
    # The paper's diagnosis is that of the voxels.
    assert contents["diagnosis"] == "cyst"
    assert contents["labels"].get("5") == ("indeterminate" if one_type else None)
    headline = "2 findings: 1 hemangioma, 1 indeterminate; largest"
    assert headline in (tmp_path / "scan-001" / "scan.html").read_text()


def test_only_seg_and_sr_contain_the_patient(series, tmp_path):
    pytest.importorskip(
        "highdicom", reason="highdicom is missing (pip install 'liver_tf[dicom-seg]')"
    )
    scan = read_dicom_series(series)
    _, reported, _ = results_of(scan, tmp_path / "scan-001")
    knowing = [
        path.name
        for path in (tmp_path / "scan-001").iterdir()
        if b"CANARY" in path.read_bytes() or scan.source.series_uid.encode() in path.read_bytes()
    ]
    assert sorted(knowing) == ["report.dcm", "segmentation.dcm"]
    assert "CANARY" not in reported


def test_a_scan_without_findings_has_empty_results(series, tmp_path):
    scan = read_dicom_series(series)
    nothing = np.zeros(scan.hu.shape, np.uint8)
    _, reported, contents = results_of(scan, tmp_path / "scan-001", nothing)
    assert contents["diagnosis"] == "healthy"
    assert contents["lesions"] == []
    assert (contents["status"], contents["liver_found"]) == ("no-lesion-found", True)
    assert contents["warning"] is None
    assert contents["not_written"]["segmentation.dcm"]["code"] == "nothing-found"
    assert "no segmentation.dcm: nothing-found" in reported
    image = nibabel.load(tmp_path / "scan-001" / "labels.nii.gz")
    assert not np.asarray(image.dataobj).any()
    assert "no lesion found" in (tmp_path / "scan-001" / "scan.html").read_text()


def test_results_of_a_scan_without_liver_carry_a_warning(series, tmp_path):
    scan = read_dicom_series(series)
    nothing = np.zeros(scan.hu.shape, np.uint8)
    _, reported, contents = results_of(scan, tmp_path / "scan-001", nothing, liver_found=False)
    assert "NO LIVER FOUND: NOT THE SAME AS A HEALTHY LIVER" in reported
    assert "healthy," not in reported
    assert (contents["status"], contents["liver_found"]) == ("no-liver-found", False)
    assert "not searched for lesions" in contents["warning"]
    (row,) = csv.DictReader((tmp_path / "scan-001" / "lesions.csv").read_text().splitlines())
    assert (row["scan"], row["status"], row["number"]) == ("scan-001", "no-liver-found", "")
    page = (tmp_path / "scan-001" / "scan.html").read_text()
    assert "no liver found: not the same as a healthy liver" in page
    assert "no lesion found" not in page
    # The picture is of the middle, where a reader sees best what the scan shows.
    assert (tmp_path / "scan-001" / "slice-0002.png").exists()


def test_without_geometry_the_other_results_are_written(tmp_path):
    def change(dataset):
        mark_patient(dataset)
        del dataset.PixelSpacing

    write_placed_series(tmp_path / "series", *AXIAL, change=change)
    scan = read_dicom_slice(tmp_path / "series" / "1.dcm")
    _, reported, contents = results_of(scan, tmp_path / "scan-001")
    assert set(contents["not_written"]) - {"report.dcm"} == {
        *("labels.nii.gz", "lesion_ids.nii.gz", "segmentation.dcm")
    }
    assert {entry["code"] for entry in contents["not_written"].values()} == {"no-geometry"}
    assert "no labels.nii.gz: no-geometry" in reported
    assert contents["spacing_mm"] is None
    assert contents["lesions"][0]["volume_ml"] is None
    files = {path.name for path in (tmp_path / "scan-001").iterdir()}
    assert files == {
        *("lesions.json", "lesions.csv", "scan.html", "thumbnail.jpg", "slice-0000.png")
    }


def test_without_a_valid_seg_the_other_results_are_written(tmp_path):
    pytest.importorskip(
        "highdicom", reason="highdicom is missing (pip install 'liver_tf[dicom-seg]')"
    )

    def change(dataset):
        del dataset.FrameOfReferenceUID

    write_placed_series(tmp_path / "series", *AXIAL, change=change)
    _, reported, contents = results_of(
        read_dicom_series(tmp_path / "series"), tmp_path / "scan-001"
    )
    assert contents["not_written"]["segmentation.dcm"]["code"] == "seg-source"
    assert "FrameOfReferenceUID" in contents["not_written"]["segmentation.dcm"]["came"]
    assert contents["not_written"]["report.dcm"]["code"] == "seg-source"
    assert "labels.nii.gz" in contents["files"]
    assert "no segmentation.dcm: seg-source" in reported


def test_elements_missing_in_the_seg_are_listed_without_values(tmp_path):
    pytest.importorskip(
        "highdicom", reason="highdicom is missing (pip install 'liver_tf[dicom-seg]')"
    )

    def change(dataset):
        mark_patient(dataset)
        dataset.PatientID = "CANARY\\4711"

    write_placed_series(tmp_path / "series", *AXIAL, change=change)
    _, reported, contents = results_of(
        read_dicom_series(tmp_path / "series"), tmp_path / "scan-001"
    )
    text = "segmentation.dcm and report.dcm lack PatientID: not valid DICOM in the scan"
    assert reported.endswith("; 1 caution")
    assert {"code": "seg-not-copied", "text": text} in contents["cautions"]
    assert "CANARY" not in reported + json.dumps(contents)


def test_a_nifti_volume_has_no_seg(series, tmp_path):
    scan = read_dicom_series(series)
    write_nifti_labels(tmp_path / "volume.nii.gz", np.zeros(scan.hu.shape, np.uint8), scan)
    image = nibabel.load(tmp_path / "volume.nii.gz")
    hu = scan.hu.transpose(2, 1, 0)
    nibabel.save(nibabel.Nifti1Image(hu, image.affine), tmp_path / "volume.nii.gz")
    volume = read_nifti_volume(tmp_path / "volume.nii.gz")
    labels, _, contents = results_of(volume, tmp_path / "scan-002")
    assert contents["not_written"] == {}
    assert "segmentation.dcm" not in contents["files"]
    again, cautions = read_nifti_labels(tmp_path / "scan-002" / "labels.nii.gz", volume, range(5))
    np.testing.assert_array_equal(again, labels)
    assert cautions == ()


def test_an_existing_folder_is_refused(series, tmp_path):
    (tmp_path / "scan-001").mkdir()
    with pytest.raises(Refusal, match=r"\[output-exists\]"):
        results_of(read_dicom_series(series), tmp_path / "scan-001")
    assert list((tmp_path / "scan-001").iterdir()) == []


def test_a_failure_leaves_no_result_folder(series, tmp_path):
    scan = read_dicom_series(series)
    broken = replace(scan, hu=scan.hu.astype(object))
    labels = np.where(scan.hu == MARK_HU, 3, 0).astype(np.uint8)
    with pytest.raises(TypeError):
        write_results(
            tmp_path / "scan-001",
            ScanFindings(
                broken,
                labels,
                lesions_of(labels, scan.hu, scan.spacing_mm, LESION_TYPES),
                LESION_TYPES,
            ),
            AlgorithmIdentity(),
            pictures=1,
        )
    assert not (tmp_path / "scan-001").exists()
    # What it left behind does not hinder the next try.
    results_of(scan, tmp_path / "scan-001")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["CANARY", "scan-001"]


def test_overlays_show_as_many_lesions_as_possible_then_as_much_of_them():
    labels = np.zeros((5, 4, 4), np.uint8)
    assert overlay_slices(labels, 3, []) == [2]
    labels[:, :2] = 1
    assert overlay_slices(labels, 3, []) == [0]
    labels[3, 0, :2] = labels[1, 0, 0] = labels[4, 0, :3] = 2
    large, small = {3, 4}, {1}
    assert overlay_slices(labels, 1, [large, small]) == [4]
    assert overlay_slices(labels, 2, [large, small]) == [1, 4]
    assert overlay_slices(labels, 9, [large, small]) == [1, 3, 4]
    assert overlay_slices(labels, 0, [large, small]) == []
    # A slice of two lesions comes before the larger one of a single lesion.
    assert overlay_slices(labels, 1, [large, {1}, {1}]) == [1]


def test_for_an_archive_only_what_it_needs_is_written(series, tmp_path):
    scan = read_dicom_series(series)
    folder = tmp_path / "scan-001"
    _, _, contents = results_of(scan, folder, for_archive=True)
    files = {path.name for path in folder.iterdir()}
    assert files == {"segmentation.dcm", "report.dcm", "lesions.json", "slice-0001.png"}
    assert {*contents["files"], "lesions.json"} == files
    assert contents["not_written"] == {}


def test_the_model_is_identified_by_its_weights(tmp_path):
    for name, weights in (("a", b"1"), ("b", b"2"), ("c", b"1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights.npz").write_bytes(weights)
        (tmp_path / name / "model.json").write_text("{}")
    first = AlgorithmIdentity.of_runs([tmp_path / "a", tmp_path / "b"]).model
    assert len(first) == 16
    assert AlgorithmIdentity.of_runs([tmp_path / "b", tmp_path / "c"]).model == first
    assert AlgorithmIdentity.of_runs([tmp_path / "a", tmp_path / "c"]).model != first


def lesions_of_types(*types, label_set=LESION_TYPES):
    """The findings of a scan with single voxels of the given types as lesions, 2 mm apart."""
    labels = np.zeros((1, 2, 2 * len(types)), np.uint8)
    labels[0, 0, ::2] = [label_set.index(name) for name in types]
    hu = np.zeros(labels.shape, np.int16)
    scan = SimpleNamespace(hu=hu, spacing_mm=(5.0, 3.0, 4.0))
    lesions = lesions_of(labels, hu, (5.0, 3.0, 4.0), label_set)
    return ScanFindings(scan, labels, lesions, label_set)


def test_headlines_count_the_types_of_the_table():
    many = lesions_of_types("metastasis", "cyst", "cyst", "hemangioma")
    expected = "4 findings: 2 cyst, 1 hemangioma, 1 metastasis; largest 5.0 mm"
    assert many.headline == expected
    assert lesions_of_types("cyst").headline == "1 finding: cyst, 5.0 mm"
    assert lesions_of_types().headline == "no lesion found"
    assert lesions_of_types("lesion", label_set=LITS).headline == "1 lesion, 5.0 mm"
    assert lesions_of_types(*["lesion"] * 3, label_set=LITS).headline == "3 lesions; largest 5.0 mm"

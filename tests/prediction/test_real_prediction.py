"""Real CT through the cascade: results match the geometry of the scan."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from liver_tf.ct.dicom_seg import read_dicom_seg
from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.nifti_volume import read_nifti_labels, read_nifti_volume
from liver_tf.prediction.one_scan import ResultSettings, predict_scan

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("LIVER_TF_REAL_DATA", ROOT.parent / "shared" / "data"))
CHAOS, DCMQI = DATA / "chaos_ct3", DATA / "dcmqi_liver"

pytestmark = pytest.mark.skipif(
    not CHAOS.is_dir() or not DCMQI.is_dir(), reason="no real CT (LIVER_TF_REAL_DATA)"
)
needs_dciodvfy = pytest.mark.skipif(
    shutil.which("dciodvfy") is None, reason="dciodvfy is missing (apt-get install dicom3tools)"
)


@pytest.fixture(scope="module")
def predicted(tmp_path_factory, intensity_cascade):
    """Folders of the results of the real scans, by name, of networks that go by HU alone."""
    pytest.importorskip(
        "highdicom", reason="highdicom is missing (pip install 'liver_tf[dicom-seg]')"
    )
    out = tmp_path_factory.mktemp("real")
    cascade = intensity_cascade()
    inputs = {
        "chaos-dicom": CHAOS / "dicom",
        "chaos-nifti": CHAOS / "volume-3.nii.gz",
        "dcmqi": DCMQI,
        "dcmqi-slice": DCMQI / "02.dcm",
    }
    for name, path in inputs.items():
        predict_scan(cascade, path, out / name, ResultSettings(pictures=0))
    return out


def labels_in(folder):
    """Stored array and affine of a label map, DICOM order: [slices, rows, columns]."""
    image = nibabel.load(folder / "labels.nii.gz")
    return np.asarray(image.dataobj).transpose(2, 1, 0), image.affine


def in_seg(folder, scan):
    """uint8 like ``scan.hu`` of a SEG."""
    segments = read_dicom_seg(folder / "segmentation.dcm", scan)
    return sum(segment.mask.astype(np.uint8) * np.uint8(segment.number) for segment in segments)


@pytest.mark.long
def test_chaos_seg_and_nifti_agree_voxel_by_voxel(predicted):
    scan = read_dicom_series(CHAOS / "dicom")
    from_seg = in_seg(predicted / "chaos-dicom", scan)
    assert len(np.unique(from_seg)) >= 3
    stored, affine = labels_in(predicted / "chaos-dicom")
    np.testing.assert_array_equal(stored, from_seg)
    # First pixel of the lowest slice, from DICOM (LPS) to NIfTI (RAS).
    first = pydicom.dcmread(scan.source.files[0], stop_before_pixels=True)
    x, y, z = map(float, first.ImagePositionPatient)
    np.testing.assert_allclose(affine[:3, 3], [-x, -y, z], atol=1e-3)


def test_chaos_as_dicom_and_as_nifti_give_the_same_label_map(predicted):
    volume = read_nifti_volume(CHAOS / "volume-3.nii.gz")
    folder = predicted / "chaos-nifti"
    from_nifti, cautions = read_nifti_labels(folder / "labels.nii.gz", volume, range(6))
    assert cautions == ()
    scan = read_dicom_series(CHAOS / "dicom")
    np.testing.assert_array_equal(from_nifti, in_seg(predicted / "chaos-dicom", scan))
    headers = [
        nibabel.load(path).header for path in (CHAOS / "volume-3.nii.gz", folder / "labels.nii.gz")
    ]
    for field in ("qform_code", "sform_code", "srow_x", "srow_y", "srow_z", "xyzt_units"):
        assert headers[0][field].tobytes() == headers[1][field].tobytes(), field
    assert not (folder / "segmentation.dcm").exists()


def test_dcmqi_slices_of_a_series_and_alone(predicted):
    scan = read_dicom_series(DCMQI)
    from_seg = in_seg(predicted / "dcmqi", scan)
    assert from_seg.any()
    np.testing.assert_array_equal(labels_in(predicted / "dcmqi")[0], from_seg)
    slice_ = read_dicom_slice(DCMQI / "02.dcm")
    alone = in_seg(predicted / "dcmqi-slice", slice_)
    assert alone.any()
    np.testing.assert_array_equal(labels_in(predicted / "dcmqi-slice")[0], alone)
    np.testing.assert_allclose(
        labels_in(predicted / "dcmqi-slice")[1][:3, 3],
        (labels_in(predicted / "dcmqi")[1] @ [0, 0, 1, 1])[:3],
        atol=1e-3,
    )


@needs_dciodvfy
@pytest.mark.parametrize("name", ["chaos-dicom", "dcmqi", "dcmqi-slice"])
@pytest.mark.parametrize(
    ("file", "kind"), [("segmentation.dcm", "Segmentation"), ("report.dcm", "ComprehensiveSR")]
)
def test_dciodvfy_finds_no_error_in_seg_and_sr(predicted, name, file, kind):
    path = predicted / name / file
    done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
    reported = (done.stdout + done.stderr).splitlines()
    assert kind in reported
    assert [line for line in reported if line.startswith("Error")] == []


def test_pages_and_tables_contain_no_names(predicted):
    for folder in predicted.iterdir():
        for name in ("scan.html", "lesions.json", "lesions.csv"):
            text = (folder / name).read_text()
            assert "JANCT000" not in text
            assert "CHAOS^" not in text
            assert str(DATA) not in text
        assert json.loads((folder / "lesions.json").read_text())["not_written"] == {}
        # 78 slices of 512 x 512 pixels are some 5 MB.
        assert (folder / "scan.html").stat().st_size < 10e6

"""Real scanner output (CHAOS and dcmqi) compared with documented facts."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from liver_tf.ct.dicom_seg import read_dicom_seg
from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.hu_plausibility import mask_cautions
from liver_tf.ct.mask_file import read_mask
from liver_tf.ct.nifti_volume import read_nifti_labels, read_nifti_volume
from liver_tf.ct.png_mask import read_png_mask

PROJECT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("LIVER_TF_REAL_DATA", PROJECT.parent / "shared" / "data"))
CHAOS, DCMQI = DATA / "chaos_ct3", DATA / "dcmqi_liver"

pytestmark = pytest.mark.skipif(
    not (CHAOS.is_dir() and DCMQI.is_dir()),
    reason="real CT not found: set LIVER_TF_REAL_DATA to the folder with chaos_ct3, dcmqi_liver",
)


@pytest.fixture(scope="module")
def nifti():
    return read_nifti_volume(CHAOS / "volume-3.nii.gz")


@pytest.fixture(scope="module")
def series():
    return read_dicom_series(CHAOS / "dicom")


@pytest.fixture(scope="module")
def labels(nifti):
    return read_nifti_labels(CHAOS / "segmentation-3.nii.gz", nifti)[0]


def test_nifti_properties_are_as_documented(nifti):
    assert nifti.hu.dtype == np.int16
    assert nifti.hu.shape == (78, 512, 512)
    assert (nifti.hu.min(), nifti.hu.max()) == (-1000, 1434)
    np.testing.assert_allclose(nifti.spacing_mm, (2.0, 0.727, 0.727), atol=5e-4)
    assert nifti.cautions == ()


def test_dicom_series_equals_the_nifti_voxel_for_voxel(nifti, series):
    assert series.hu.dtype == np.int16
    np.testing.assert_array_equal(series.hu, nifti.hu)
    np.testing.assert_allclose(series.affine, nifti.affine, atol=1e-4)
    np.testing.assert_allclose(series.spacing_mm, nifti.spacing_mm, atol=1e-6)
    assert series.cautions == ()
    # This series is stored from head to feet, so canonical order is the reverse of the names.
    assert list(series.source.files) == sorted(series.source.files, reverse=True)


def test_liver_volume_and_hu_are_as_documented(nifti, labels):
    liver = labels == 1
    millilitres = liver.sum() * np.prod(nifti.spacing_mm) / 1000
    assert millilitres == pytest.approx(1417, abs=1)
    assert nifti.hu[liver].mean() == pytest.approx(141, abs=0.5)
    assert nifti.hu[liver].std() == pytest.approx(34, abs=0.5)
    assert mask_cautions(nifti.hu, labels) == ()


def test_a_flipped_mask_gives_a_caution(nifti, labels):
    flipped = labels[:, ::-1, ::-1]
    assert [caution.code for caution in mask_cautions(nifti.hu, flipped)] == ["liver-hu"]


def test_slices_have_the_radiological_orientation(nifti, labels):
    body = np.argwhere(nifti.hu[40] > -300)
    _, liver_rows, liver_columns = np.nonzero(labels)
    # The liver is on the patient's right, which is the left of the image.
    assert liver_columns.mean() < body[:, 1].mean() - 50
    # The spine is posterior, at the bottom centre of the image.
    lower = nifti.hu[40, 256:, 156:356] > 300
    upper = nifti.hu[40, :256, 156:356] > 300
    assert lower.sum() > 5 * upper.sum()
    # Lung is at the superior end of this scan.
    inside = nifti.hu[:, 150:350, 150:350] < -700
    assert inside[-5:].sum() > 10 * max(1, inside[:5].sum())
    assert liver_rows.size > 0


def test_png_masks_equal_the_nifti_segmentation(series, labels):
    by_name = sorted((CHAOS / "dicom").iterdir())
    masks = sorted((CHAOS / "liver_masks").iterdir())
    mask_of = dict(zip(by_name, masks, strict=True))
    stacked = np.stack(
        [read_png_mask(mask_of[path], (512, 512), {0: 0, 1: 1}) for path in series.source.files]
    )
    np.testing.assert_array_equal(stacked, labels)


def test_a_single_slice_and_its_png_mask_equal_the_series(series, labels):
    path = series.source.files[40]
    scan = read_dicom_slice(path)
    np.testing.assert_array_equal(scan.hu[0], series.hu[40])
    index = sorted((CHAOS / "dicom").iterdir()).index(path)
    png = sorted((CHAOS / "liver_masks").iterdir())[index]
    np.testing.assert_array_equal(read_mask(png, scan, {0: 0, 1: 1})[0], labels[40])
    np.testing.assert_allclose(scan.affine[:3, 1:], (series.affine @ _shift(40))[:3, 1:], atol=1e-4)


def test_dcmqi_series_properties_are_as_documented(tmp_path):
    scan = read_dicom_series(DCMQI)
    assert scan.hu.shape == (3, 512, 512)
    # Stored values of -2000 are padding (-3024 HU if rescaled), which becomes air.
    assert (scan.hu.min(), scan.hu.max()) == (-1024, 1381)
    assert (scan.hu[:, 0, 0] == -1000).all()
    np.testing.assert_allclose(scan.spacing_mm, (1.0, 0.811, 0.811), atol=5e-4)
    assert [path.stem for path in scan.source.files] == ["03", "02", "01"]
    assert {caution.code for caution in scan.cautions} == {
        "series-not-dicom",
        "series-other-object",
    }


def test_dcmqi_seg_matches_the_nrrd():
    scan = read_dicom_series(DCMQI)
    segment, *others = read_dicom_seg(DCMQI / "liver.dcm", scan)
    assert not others
    assert (segment.number, segment.label, segment.code) == (1, "Liver", "SRT:T-62000")
    truth, origin = read_nrrd(DCMQI / "liver_seg.nrrd")
    np.testing.assert_array_equal(segment.mask, truth)
    # The NRRD is in LPS, the scan in RAS; both start at the lowest slice.
    np.testing.assert_allclose(scan.affine[:3, 3] * [-1, -1, 1], origin, atol=1e-4)


@pytest.mark.parametrize(("name", "index"), [("01", 2), ("02", 1), ("03", 0)])
def test_dcmqi_seg_matches_single_slices(name, index):
    scan = read_dicom_slice(DCMQI / f"{name}.dcm")
    mask = read_mask(DCMQI / "liver.dcm", scan, {"liver": 1})
    np.testing.assert_array_equal(mask[0] == 1, read_nrrd(DCMQI / "liver_seg.nrrd")[0][index])


def read_nrrd(path: Path) -> tuple[np.ndarray, list[float]]:
    """(bool [slices, rows, columns], origin in LPS mm) of a gzip-encoded NRRD of shorts."""
    header, data = path.read_bytes().split(b"\n\n", 1)
    fields = dict(line.split(": ", 1) for line in header.decode().splitlines() if ": " in line)
    columns, rows, slices = (int(size) for size in fields["sizes"].split())
    values = np.frombuffer(gzip.decompress(data), "<i2").reshape(slices, rows, columns)
    return values != 0, [float(part) for part in fields["space origin"].strip("()").split(",")]


def _shift(slices: int) -> np.ndarray:
    shift = np.eye(4)
    shift[0, 3] = slices
    return shift

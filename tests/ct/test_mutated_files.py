"""Several hundred damaged files: each is refused with a code or read correctly."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import RLELossless

from liver_tf.ct.dicom_seg import read_dicom_seg
from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.dicom_series_search import find_series_files
from liver_tf.ct.dicom_series_with_seg import SeriesWithSeg
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.nifti_volume import read_nifti_labels, read_nifti_volume
from liver_tf.ct.png_mask import read_png_mask
from liver_tf.ct.slices_csv import read_slices_csv
from liver_tf.refusals import Refusal
from tests.builders.ct_files import (
    phantom_hu,
    phantom_labels,
    write_dicom,
    write_nifti_pair,
    write_seg,
    write_series,
)
from tests.builders.mutations import mutations

ROUNDS = 120

pytestmark = pytest.mark.filterwarnings("error")


def outcomes(path, data, read, check=lambda result: None, rounds=ROUNDS):
    """Read each mutant; return (refused, accepted). Any other exception fails the test."""
    refused = accepted = 0
    for mutant in mutations(data, rounds):
        path.write_bytes(mutant)
        try:
            result = read(path)
        except Refusal:
            refused += 1
        else:
            check(result)
            accepted += 1
    return refused, accepted


def check_phantom(scan):
    np.testing.assert_array_equal(scan.hu, phantom_hu())


def check_hu(scan):
    assert scan.hu.dtype in (np.int16, np.float32)
    assert np.isfinite(scan.hu).all()


def test_mutated_nifti_volumes(tmp_path):
    volume, _ = write_nifti_pair(tmp_path)
    refused, accepted = outcomes(
        tmp_path / "m.nii", volume.read_bytes(), read_nifti_volume, check_hu
    )
    assert refused > 20
    assert accepted > 5


@pytest.mark.parametrize("level", [0, 6])
def test_changed_voxels_in_gzip_are_always_refused(tmp_path, level):
    volume, _ = write_nifti_pair(tmp_path)
    data = gzip.compress(volume.read_bytes(), compresslevel=level)
    refused, _ = outcomes(tmp_path / "m.nii.gz", data, read_nifti_volume, check_phantom)
    assert refused > ROUNDS // 2


def test_mutated_nifti_labels(tmp_path):
    volume, segmentation = write_nifti_pair(tmp_path)
    scan = read_nifti_volume(volume)

    def check(result):
        assert set(np.unique(result[0])) <= {0, 1, 2}

    outcomes(
        tmp_path / "m.nii",
        segmentation.read_bytes(),
        lambda path: read_nifti_labels(path, scan),
        check,
    )


@pytest.mark.parametrize("compressed", [False, True])
def test_mutated_dicom_slices(tmp_path, compressed):
    def change(dataset):
        if compressed:
            dataset.compress(RLELossless, generate_instance_uid=False)

    path = write_dicom(tmp_path / "s.dcm", phantom_hu()[1], change=change)
    refused, _ = outcomes(tmp_path / "m.dcm", path.read_bytes(), read_dicom_slice, check_hu)
    assert refused > 20


def test_mutated_dicom_seg(tmp_path):
    write_series(tmp_path / "series")
    scan = read_dicom_series(tmp_path / "series")
    path = write_seg(tmp_path / "seg.dcm", {"Liver": phantom_labels() > 0})

    def check(segments):
        assert all(segment.mask.shape == scan.hu.shape for segment in segments)

    data = path.read_bytes()
    outcomes(tmp_path / "m.dcm", data, lambda path: read_dicom_seg(path, scan), check)


@pytest.mark.parametrize("target", ["seg.dcm", "series/0-0.dcm"])
def test_mutated_series_with_segmentation(tmp_path, target):
    write_series(tmp_path / "series")
    labels = phantom_labels()
    write_seg(tmp_path / "seg.dcm", {"Liver": labels > 0, "Lesion": labels == 2})

    def read(_path):
        series, refusals, _ = find_series_files(tmp_path)
        if refusals:
            raise refusals[0]
        (files,) = series
        return list(SeriesWithSeg(files, {"liver": 1, "lesion": 2}).slices())

    def check(slices):
        for hu, labels in slices:
            assert hu.dtype in (np.int16, np.float32)
            assert labels.shape == hu.shape
            assert labels.max() <= 2

    data = (tmp_path / target).read_bytes()
    refused, _ = outcomes(tmp_path / target, data, read, check, rounds=60)
    assert refused > 10


def test_changed_pixels_in_png_are_always_refused(tmp_path):
    labels = np.random.default_rng(5).integers(0, 3, (24, 32)).astype(np.uint8)
    Image.fromarray(labels).save(tmp_path / "mask.png")

    def check(result):
        np.testing.assert_array_equal(result, labels)

    outcomes(
        tmp_path / "m.png",
        (tmp_path / "mask.png").read_bytes(),
        lambda path: read_png_mask(path, (24, 32), {0: 0, 1: 1, 2: 2}),
        check,
    )


def test_mutated_slices_csv(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"")
    rows = "".join(f"s{i},p{i},a.dcm,a.dcm,cyst\n" for i in range(5))
    data = f"slice_id,patient_id,image,mask,diagnosis\n{rows}".encode()
    for mutant in mutations(data, 300):
        (tmp_path / "m.csv").write_bytes(mutant)
        read, refusals = read_slices_csv(tmp_path / "m.csv")
        assert read or refusals

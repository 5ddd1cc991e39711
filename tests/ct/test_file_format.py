"""Files that are not read are refused by the name of their format."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from liver_tf.prediction.one_scan import read_scan
from liver_tf.refusals import Refusal
from tests.builders.ct_files import as_lps_file, phantom_hu, write_dicom, write_nifti


def refusal_of(path) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read_scan(path)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        (nibabel.AnalyzeImage, "v.hdr", "Analyze 7.5"),
        (nibabel.AnalyzeImage, "v.img", "Analyze 7.5"),
        (nibabel.Nifti1Pair, "v.hdr", "NIfTI file of two parts"),
        (nibabel.MGHImage, "v.mgz", "FreeSurfer"),
        (nibabel.MGHImage, "v.mgh", "FreeSurfer"),
    ],
)
def test_files_of_nibabel(tmp_path, kind, name, words):
    stored, affine = as_lps_file(phantom_hu())
    nibabel.save(kind(stored, affine), tmp_path / name)
    refusal = refusal_of(tmp_path / name)
    assert (refusal.code, words in refusal.found) == ("file-format", True)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.PAR", b"# === DATA DESCRIPTION FILE ====", "PAR/REC"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(100), "PNG"),
        ("a.zip", b"PK\x03\x04" + bytes(100), "ZIP"),
        ("a", b"%PDF-1.4", "PDF"),
    ],
)
def test_other_files(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    refusal = refusal_of(tmp_path / name)
    assert (refusal.code, words in refusal.found) == ("file-format", True)


def test_dicom_without_preamble_is_named(tmp_path):
    data = write_dicom(tmp_path / "v.dcm", phantom_hu()[0]).read_bytes()
    for start in (132, data.index(b"\x08\x00\x08\x00CS")):
        (tmp_path / "v.dcm").write_bytes(data[start:])
        refusal = refusal_of(tmp_path / "v.dcm")
        assert refusal.code == "dicom-no-prefix"
        assert "without preamble" in refusal.found
        assert "dcmconv" in refusal.remedy


def test_the_case_of_a_suffix_does_not_matter(tmp_path):
    path = write_nifti(tmp_path / "a.nii.gz", *as_lps_file(phantom_hu()))
    scan = read_scan(path.rename(tmp_path / "A.NII.GZ"))
    np.testing.assert_array_equal(scan.hu, phantom_hu())

"""``predict``, ``verify`` and ``build_tfrecords`` refuse the same volumes with the same code."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from liver_tf.conversion.build_record_set import convert
from liver_tf.inspection.verify_data_set import verify
from liver_tf.prediction.one_scan import read_scan
from liver_tf.refusals import Refusal
from tests.builders.ct_files import (
    as_lps_file,
    phantom_hu,
    phantom_labels,
    write_nifti,
    write_seg,
    write_series,
)

SLICES = 6


def setting(**elements):
    """Give slices alternating values of elements."""

    def change(dataset, index):
        dataset.PatientID = "AAA"
        for keyword, values in elements.items():
            setattr(dataset, keyword, values[index % len(values)])

    return change


def no_change(folder):
    return None


def damage(folder):
    path = max(folder.iterdir())
    path.write_bytes(path.read_bytes()[:100])


FAULTS = {
    "series-patients": (setting(PatientID=["AAA", "BBB"]), no_change),
    "series-studies": (setting(StudyInstanceUID=["1.2", "1.3"]), no_change),
    "series-frames": (setting(FrameOfReferenceUID=["1.2", "1.3"]), no_change),
    "series-alternates": (setting(AcquisitionNumber=[1, 2]), no_change),
    "hu-unscaled": (setting(RescaleIntercept=["-1024"]), no_change),
    "dicom-not-hu": (setting(ImageType=[["DERIVED", "PRIMARY", "PERFUSION"]]), no_change),
    "dicom-no-prefix": (setting(), damage),
    "": (setting(), no_change),
}


def code_of_scan(path) -> str:
    try:
        read_scan(path)
    except Refusal as refusal:
        return refusal.code
    return ""


def codes_of_commands(folder, output, source) -> list[str]:
    """First refusal of ``verify`` and of ``build_tfrecords``."""
    (output / "key").write_text("0123456789abcdef")
    options = {"source": source, "input": folder, "workers": 1}
    verified = verify(**options).facts.refusals
    key = output / "key"
    converted = convert(**options, output=output / "set", site_key_file=key, folds=1).refusals
    return [next((each.code for each in refusals), "") for refusals in (verified, converted)]


@pytest.mark.parametrize("code", FAULTS, ids=lambda code: code or "nothing")
def test_a_series(tmp_path, code):
    change, afterwards = FAULTS[code]
    write_series(tmp_path / "in/ct", phantom_hu(SLICES), change)
    labels = phantom_labels(SLICES)
    (tmp_path / "in/seg").mkdir()
    write_seg(tmp_path / "in/seg/seg.dcm", {"liver": labels == 1, "lesion": labels == 2})
    afterwards(tmp_path / "in/ct")
    (tmp_path / "out").mkdir()
    assert code_of_scan(tmp_path / "in/ct") == code
    assert codes_of_commands(tmp_path / "in", tmp_path / "out", "series") == [code] * 2


@pytest.mark.parametrize(
    ("hu", "code"),
    [
        (phantom_hu(), ""),
        (phantom_hu() + 1024, "hu-unscaled"),
        (np.full_like(phantom_hu(), 40), "hu-unscaled"),
        (phantom_hu() * np.float32(100), "hu-impossible"),
    ],
)
def test_a_lits_pair(tmp_path, hu, code):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    volume = write_nifti(tmp_path / "in/volume-0.nii", *as_lps_file(hu))
    write_nifti(tmp_path / "in/segmentation-0.nii", *as_lps_file(phantom_labels()))
    assert code_of_scan(volume) == code
    assert codes_of_commands(tmp_path / "in", tmp_path / "out", "lits") == [code] * 2


def test_a_mask_elsewhere(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    write_nifti(tmp_path / "in/volume-0.nii", *as_lps_file(phantom_hu()))
    stored, affine = as_lps_file(phantom_labels())
    affine[0, 3] += 5
    nibabel.save(nibabel.Nifti1Image(stored, affine), tmp_path / "in/segmentation-0.nii")
    codes = codes_of_commands(tmp_path / "in", tmp_path / "out", "lits")
    assert codes == ["mask-geometry"] * 2

"""The results of one scan: atomic, separate, and on the grid of the scan."""

import json

import nibabel
import numpy as np
import pytest

from liver_tf.prediction.one_scan import ResultSettings, predict_scan
from liver_tf.refusals import Refusal


@pytest.fixture
def volume(tmp_path):
    """A NIfTI volume stored as LAS: a bright body in air, in which the cascade finds things."""
    generator = np.random.default_rng(0)
    hu = np.full((48, 40, 5), -1000, np.int16)
    hu[8:40, 8:32] = generator.integers(-50, 200, (32, 24, 5))
    affine = np.diag([-1.5, 1.5, 4.0, 1.0])
    path = tmp_path / "Doe_Jane.nii.gz"
    nibabel.save(nibabel.Nifti1Image(hu, affine), path)
    return path


def test_results_are_complete_and_on_the_grid_of_the_volume(volume, tmp_path, intensity_cascade):
    folder = tmp_path / "out" / "scan-001"
    predict_scan(intensity_cascade(), volume, folder, ResultSettings(pictures=2))
    labels = nibabel.load(folder / "labels.nii.gz")
    assert labels.shape == (48, 40, 5)
    np.testing.assert_array_equal(labels.affine, np.diag([-1.5, 1.5, 4.0, 1.0]))
    reported = json.loads((folder / "lesions.json").read_text())
    label_map = np.asarray(labels.dataobj)
    assert reported["liver_voxels_with_lesions"] == int((label_map >= 1).sum())
    assert sum(lesion["voxels"] for lesion in reported["lesions"]) == int((label_map >= 2).sum())
    assert "liver-cut" in [each["code"] for each in reported["cautions"]]
    assert "liver-cut: the lower, upper border" in (folder / "scan.html").read_text()
    assert 1 <= len(list(folder.glob("slice-*.png"))) <= 2
    assert [path.name for path in folder.parent.iterdir()] == ["scan-001"]
    assert "Doe" not in (folder / "lesions.json").read_text()


def test_a_scan_of_air_has_no_liver(tmp_path, intensity_cascade):
    path = tmp_path / "air.nii.gz"
    hu = np.random.default_rng(0).integers(-1024, -900, (16, 16, 3)).astype(np.int16)
    hu[:3] = -100  # fat; an image of air alone is refused
    nibabel.save(nibabel.Nifti1Image(hu, np.diag([-1.5, 1.5, 4.0, 1.0])), path)
    reported = predict_scan(
        intensity_cascade(), path, tmp_path / "scan-001", ResultSettings(pictures=0)
    )
    assert "NO LIVER FOUND" in reported.text
    assert (reported.status, reported.lesions) == ("no-liver-found", [])
    contents = json.loads((tmp_path / "scan-001" / "lesions.json").read_text())
    assert (contents["liver_found"], contents["lesions"]) == (False, [])


def test_an_existing_folder_is_refused(volume, tmp_path, intensity_cascade):
    folder = tmp_path / "scan-001"
    folder.mkdir()
    (folder / "slice-0007.png").write_bytes(b"of somebody else")
    with pytest.raises(Refusal, match=r"\[output-exists\] expected a folder that does not exist"):
        predict_scan(intensity_cascade(), volume, folder, ResultSettings(pictures=1))
    assert [path.name for path in folder.iterdir()] == ["slice-0007.png"]


def test_a_scan_that_fails_leaves_no_folder(volume, tmp_path, intensity_cascade):
    volume.write_bytes(volume.read_bytes()[:200])
    with pytest.raises(Refusal):
        predict_scan(intensity_cascade(), volume, tmp_path / "scan-001", ResultSettings(pictures=1))
    assert not (tmp_path / "scan-001").exists()

"""The results of one scan: atomic, separate, and on the grid of the scan."""

import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.inference.cascade import Cascade
from liver_tf.prediction.one_scan import ResultSettings, predict_scan
from liver_tf.refusals import Refusal
from liver_tf.scan_ranges import ScanRanges
from liver_tf.trained_on import CascadeTrainedOn, TrainedOn


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
    page = (folder / "scan.html").read_text()
    assert "liver-cut: the liver extends beyond the lower and upper borders" in page
    assert 1 <= len(list(folder.glob("slice-*.png"))) <= 2
    assert [path.name for path in folder.parent.iterdir()] == ["scan-001"]
    assert "Doe" not in (folder / "lesions.json").read_text()


def test_a_scan_outside_the_training_data_has_a_caution(
    volume, tmp_path, intensity_cascade, monkeypatch
):
    """Slices are 4 mm apart, pixels have 1.5 mm; the volume of a cut liver is not compared."""
    ranges = ScanRanges((1.0, 2.0), (1.0, 3.0), (-1000.0, 1000.0), (900.0, 2500.0))
    learned = TrainedOn("real", 9, 0, ranges=ranges)
    trained_on = CascadeTrainedOn(learned, (learned,))
    monkeypatch.setattr(Cascade, "trained_on", trained_on)
    folder = tmp_path / "scan-001"
    results = predict_scan(intensity_cascade(), volume, folder, ResultSettings(pictures=0))
    codes = [each.code for each in results.cautions]
    assert "training-range" in codes
    assert "liver-training" not in codes
    text = "distance of slices 4 mm (1 to 3 mm)."
    assert f"training-range: outside the range of the training data: {text}" in (
        (folder / "scan.html").read_text()
    )
    wider = replace(learned, ranges=replace(ranges, slice_mm=(1.0, 5.0)))
    monkeypatch.setattr(Cascade, "trained_on", CascadeTrainedOn(wider, (wider,)))
    results = predict_scan(intensity_cascade(), volume, tmp_path / "b", ResultSettings(pictures=0))
    assert "training-range" not in [each.code for each in results.cautions]


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
    for skip_done, expected in (
        (True, "no folder, or finished"),
        (False, "a folder that does not"),
    ):
        settings = ResultSettings(pictures=1, skip_done=skip_done)
        with pytest.raises(Refusal, match=rf"\[output-exists\] expected {expected}"):
            predict_scan(intensity_cascade(), volume, folder, settings)
    assert [path.name for path in folder.iterdir()] == ["slice-0007.png"]


MADE_BY = AlgorithmIdentity("0123456789abcdef")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_finished_results_of_the_same_scan_are_kept(volume, tmp_path, intensity_cascade):
    """Also of a copy under another name; what is returned is the same as the first time."""
    folder, settings = tmp_path / "scan-001", ResultSettings(pictures=1)
    first = predict_scan(intensity_cascade(), volume, folder, settings, MADE_BY)
    written = contents(folder)
    copy = volume.rename(tmp_path / "copy.nii.gz")
    again = predict_scan(intensity_cascade(), copy, folder, ResultSettings(pictures=0), MADE_BY)
    assert contents(folder) == written
    assert (first.kept, again.kept) == (False, True)
    assert len(first.lesions) > 0
    for name in ("folder", "status", "diagnosis", "lesions", "cautions"):
        assert getattr(again, name) == getattr(first, name), name
    assert "kept, finished before: 5 slices, " in again.text


def other_hu(path):
    image = nibabel.load(path)
    hu = np.array(image.dataobj)
    hu[9, 9, 0] += 1
    nibabel.save(nibabel.Nifti1Image(hu, image.affine), path)


def other_place(path):
    image = nibabel.load(path)
    affine = image.affine.copy()
    affine[2, 3] += 5  # mm, as of the next patient on the same table
    nibabel.save(nibabel.Nifti1Image(np.array(image.dataobj), affine), path)


def earlier_version(path):
    file = path.parent / "scan-001" / "lesions.json"
    stored = json.loads(file.read_text())
    del stored["scan_sha256"]
    file.write_text(json.dumps(stored))


def damaged(path):
    (path.parent / "scan-001" / "lesions.json").write_text('{"status":')


@pytest.mark.parametrize(
    ("change", "settings", "made_by", "found"),
    [
        (other_hu, {}, MADE_BY, "the results of another scan"),
        (other_place, {}, MADE_BY, "the results of another scan"),
        (earlier_version, {}, MADE_BY, "results of an earlier version"),
        (damaged, {}, MADE_BY, "a folder without complete results"),
        (None, {"type_threshold": 0.9}, MADE_BY, r"networks or settings \(type_threshold\)"),
        (None, {"label_map": "voxels"}, MADE_BY, r"networks or settings \(label_map\)"),
        (None, {"segments": "lesion"}, MADE_BY, r"networks or settings \(segments\)"),
        (None, {}, AlgorithmIdentity("f" * 16), r"networks or settings \(model\)"),
        (None, {}, None, "unknown networks"),
        (None, {"skip_done": False}, MADE_BY, "an existing one"),
    ],
)
def test_other_results_are_refused_and_left(
    volume, tmp_path, intensity_cascade, change, settings, made_by, found
):
    folder = tmp_path / "scan-001"
    predict_scan(intensity_cascade(), volume, folder, ResultSettings(pictures=0), MADE_BY)
    if change is not None:
        change(volume)
    written = contents(folder)
    again = ResultSettings(pictures=0, **settings)
    with pytest.raises(Refusal, match=found) as caught:
        predict_scan(intensity_cascade(), volume, folder, again, made_by)
    assert caught.value.code == "output-exists"
    assert contents(folder) == written


def test_a_scan_that_fails_leaves_no_folder(volume, tmp_path, intensity_cascade):
    volume.write_bytes(volume.read_bytes()[:200])
    with pytest.raises(Refusal):
        predict_scan(intensity_cascade(), volume, tmp_path / "scan-001", ResultSettings(pictures=1))
    assert not (tmp_path / "scan-001").exists()

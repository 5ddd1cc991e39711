"""The overview of a scan as Secondary Capture."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pydicom
import pytest

from liver_tf.export import dicom_overview
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.dicom_overview import write_overview
from liver_tf.prediction.one_scan import predict_scan
from liver_tf.prediction.prediction_settings import ResultSettings
from liver_tf.refusals import Refusal
from tests.builders import ct_files
from tests.builders.threshold_node import ThresholdCascade

pytest.importorskip("highdicom", reason="highdicom is missing (pip install 'liver_tf[dicom-seg]')")


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """The slices of a series, and the folder of its results."""
    folder = tmp_path_factory.mktemp("overview")

    def change(dataset, index):
        dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = "1.2.3.1", "1.2.3.2"
        dataset.PatientName, dataset.PatientID = "Doe^Jane", "4711"
        dataset.InstanceNumber = 40 - 3 * index

    paths = ct_files.write_series(folder / "series", change=change)
    predict_scan(ThresholdCascade(), folder / "series", folder / "r", ResultSettings(pictures=3))
    return paths, folder / "r"


def overview(scan, path, weights="ab12"):
    paths, results = scan
    write_overview(path, results, paths[0], AlgorithmIdentity(weights))
    return pydicom.dcmread(path)


def test_it_belongs_to_the_study_and_shows_the_overlays(scan, tmp_path):
    one = overview(scan, tmp_path / "one.dcm")
    source = pydicom.dcmread(scan[0][0])
    assert one.SOPClassUID == pydicom.uid.SecondaryCaptureImageStorage
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName"):
        assert one[keyword].value == source[keyword].value
    assert one.SeriesInstanceUID != source.SeriesInstanceUID
    pixels = one.pixel_array
    # White around the texts, dark around the overlays: three of them in two columns.
    assert pixels[:10].min() == 255
    assert (pixels[-20, 10] < 60).all()
    assert (pixels[-20, -10] == 255).all()


def test_tiles_have_the_instance_number_and_the_lesions_of_their_slice(scan, tmp_path):
    paths, results = scan
    contents = json.loads((results / "lesions.json").read_text())
    from_feet = sorted(map(pydicom.dcmread, paths), key=lambda one: one.ImagePositionPatient[2])
    assert len(contents["overlays"]) == 3
    for overlay in contents["overlays"]:
        index = int(overlay["file"][6:10])
        assert overlay["instance_number"] == from_feet[index].InstanceNumber
        ranges = {one["number"]: one["slices"] for one in contents["lesions"]}
        within = [number for number, (first, last) in ranges.items() if first <= index <= last]
        assert overlay["lesions"] == within
        assert within
    captions = [dicom_overview._caption(each) for each in contents["overlays"]]
    numbers = [each["instance_number"] for each in contents["overlays"]]
    assert captions == [
        f"Image {number} of the series: {text}"
        for number, text in zip(numbers, ("lesion 1", "lesion 1", "lesions 1, 2"), strict=True)
    ]
    # The captions are white on the ground of the overlays, above them.
    path = results / contents["overlays"][0]["file"]
    plain, tile = (np.array(dicom_overview._tile(path, text)) for text in ("", captions[0]))
    top = len(tile) - len(plain)
    np.testing.assert_array_equal(tile[-len(plain) :][40:], plain[40:])
    assert 20 < top < 40
    assert (tile[:40] == 255).all(-1).sum() > 100
    assert not (plain[:20] == 255).any()
    pixels = overview(scan, tmp_path / "one.dcm").pixel_array
    assert pixels.shape[0] > 2 * len(tile)


def test_lesions_that_no_image_shows_are_named(scan):
    contents = json.loads((scan[1] / "lesions.json").read_text())
    numbers = {each["number"] for each in contents["lesions"]}
    assert numbers == {1, 2}
    assert dicom_overview._not_shown(contents) == ""
    fewer = contents | {"overlays": contents["overlays"][:2]}
    assert dicom_overview._not_shown(fewer) == "Not in these images: lesion 2."
    none = contents | {"overlays": []}
    assert dicom_overview._not_shown(none) == "Not in these images: lesions 1, 2."
    pictures = [
        dicom_overview._picture(each | {"overlays": []}, scan[1], [])
        for each in (contents, contents | {"lesions": []})
    ]
    assert pictures[0].height > pictures[1].height


def test_many_lesions_take_two_lines_at_most(scan):
    path = min(scan[1].glob("slice-*.png"))
    heights = [
        dicom_overview._tile(path, dicom_overview._caption(overlay)).height
        for count in (1, 30, 500)
        for overlay in [{"instance_number": None, "slice": 1, "lesions": [*range(count)]}]
    ]
    assert heights[0] < heights[1] == heights[2]


def test_the_same_result_is_the_same_object_and_another_one_is_not(scan, tmp_path):
    one = overview(scan, tmp_path / "one.dcm")
    two = overview(scan, tmp_path / "two.dcm")
    other = overview(scan, tmp_path / "other.dcm", "cd34")
    assert one.SOPInstanceUID == two.SOPInstanceUID != other.SOPInstanceUID
    assert one.SeriesInstanceUID == two.SeriesInstanceUID != other.SeriesInstanceUID


def test_a_slice_without_a_study_is_refused(scan, tmp_path):
    results = scan[1]
    assert "scan_sha256" in json.loads((results / "lesions.json").read_text())
    path = ct_files.write_dicom(tmp_path / "slice.dcm", ct_files.phantom_hu()[0])
    with pytest.raises(Refusal, match="seg-source"):
        write_overview(tmp_path / "overview.dcm", results, path, AlgorithmIdentity("ab12"))


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is missing (dicom3tools)")
def test_dciodvfy_finds_no_error(scan, tmp_path):
    overview(scan, tmp_path / "one.dcm")
    done = subprocess.run(
        ["dciodvfy", tmp_path / "one.dcm"], capture_output=True, text=True, check=False
    )
    text = done.stdout + done.stderr
    assert "SCImage" in text
    assert [line for line in text.splitlines() if line.startswith("Error")] == []

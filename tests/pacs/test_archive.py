"""A series and its SEG survive a round trip through a PACS archive, over DICOM (PS3.4)."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from liver_tf.ct.dicom_seg import read_dicom_seg
from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.dicom_seg_writer import write_dicom_seg
from liver_tf.labels import LESION_TYPES
from tests.builders.ct_files import phantom_hu, phantom_labels, write_series
from tests.builders.orthanc import ORTHANC, free_port, running_archive

pynetdicom = pytest.importorskip(
    "pynetdicom", reason="pynetdicom is missing (pip install 'liver_tf[pacs]')"
)
pytest.importorskip("highdicom", reason="highdicom is missing (pip install 'liver_tf[dicom-seg]')")
if ORTHANC is None:
    pytest.skip("Orthanc is missing (apt-get install orthanc)", allow_module_level=True)

from pynetdicom.sop_class import Verification  # noqa: E402

from tests.builders.archive_client import STORED, Us, same  # noqa: E402

STUDY_UID, FRAME_UID = "1.2.826.0.1.3680043.8.498.31", "1.2.826.0.1.3680043.8.498.32"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A series of CT and the SEG of a label map on it."""
    folder = tmp_path_factory.mktemp("files")

    def change(dataset, index):
        dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = STUDY_UID, FRAME_UID
        dataset.SpecificCharacterSet = "ISO_IR 100"
        dataset.PatientName, dataset.PatientID = "Müller^Testperson", "4711"
        dataset.PatientBirthDate, dataset.PatientSex = "19500102", "F"
        dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20240102", "101500", "1"
        dataset.AccessionNumber, dataset.SeriesNumber = "A1", 2

    paths = write_series(folder / "series", phantom_hu(), change)
    scan = read_dicom_series(folder / "series")
    labels = phantom_labels()
    labels[labels == 2] = 3
    seg = folder / "segmentation.dcm"
    write_dicom_seg(seg, labels, scan, LESION_TYPES, AlgorithmIdentity("ab12"))
    return paths, seg, scan, labels


@pytest.fixture(scope="module")
def archive(tmp_path_factory, files):
    """(our side, port of an archive that holds the series and the SEG)."""
    us = Us(free_port())
    with running_archive(tmp_path_factory.mktemp("orthanc"), us.port) as port:
        with us.associated(port, Verification) as association:
            assert association.send_c_echo().Status == STORED
        us.send(port, [*files[0], files[1]])
        yield us, port


def test_the_archive_files_the_seg_under_the_study_of_its_scan(archive, files):
    us, port = archive
    (study,) = us.find(
        port, "STUDY", PatientID="4711", StudyInstanceUID="", ModalitiesInStudy="", PatientName=""
    )
    assert study.StudyInstanceUID == STUDY_UID
    assert set(study.ModalitiesInStudy) == {"CT", "SEG"}
    assert str(study.PatientName) == "Müller^Testperson"
    series = us.find(port, "SERIES", StudyInstanceUID=STUDY_UID, SeriesInstanceUID="", Modality="")
    found = {one.Modality: one.SeriesInstanceUID for one in series}
    seg = pydicom.dcmread(files[1], stop_before_pixels=True)
    assert found == {"CT": files[2].source.series_uid, "SEG": seg.SeriesInstanceUID}
    images = us.find(
        port,
        "IMAGE",
        StudyInstanceUID=STUDY_UID,
        SeriesInstanceUID=seg.SeriesInstanceUID,
        SOPInstanceUID="",
    )
    assert [one.SOPInstanceUID for one in images] == [seg.SOPInstanceUID]


@pytest.mark.parametrize("way", ["get", "move"])
def test_retrieved_objects_equal_the_sent_ones(archive, files, tmp_path, way):
    us, port = archive
    paths, seg, scan, labels = files
    got = getattr(us, way)(port, "STUDY", StudyInstanceUID=STUDY_UID)
    same(got, [*paths, seg])
    # And a reader finds the same label map on the same slices as before.
    for number, one in enumerate(got):
        folder = tmp_path / one.Modality
        folder.mkdir(exist_ok=True)
        one.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    again = read_dicom_series(tmp_path / "CT")
    np.testing.assert_array_equal(again.hu, scan.hu)
    (path,) = (tmp_path / "SEG").iterdir()
    segments = read_dicom_seg(path, again)
    np.testing.assert_array_equal(sum(each.mask * each.number for each in segments), labels)


def test_a_single_series_can_be_retrieved(archive, files):
    us, port = archive
    seg = pydicom.dcmread(files[1], stop_before_pixels=True)
    keys = {"StudyInstanceUID": STUDY_UID, "SeriesInstanceUID": seg.SeriesInstanceUID}
    same(us.move(port, "SERIES", **keys), [files[1]])


def test_sending_a_result_twice_stores_it_once(archive, files, tmp_path):
    us, port = archive
    _, seg, scan, labels = files
    write_dicom_seg(tmp_path / "again.dcm", labels, scan, LESION_TYPES, AlgorithmIdentity("ab12"))
    us.send(port, [tmp_path / "again.dcm"])
    uid = pydicom.dcmread(seg, stop_before_pixels=True).SeriesInstanceUID
    keys = {"StudyInstanceUID": STUDY_UID, "SeriesInstanceUID": uid}
    same(us.get(port, "SERIES", **keys), [seg])
    # Another model's answer is a result of its own.
    write_dicom_seg(tmp_path / "other.dcm", labels, scan, LESION_TYPES, AlgorithmIdentity("cd34"))
    us.send(port, [tmp_path / "other.dcm"])
    series = us.find(
        port, "SERIES", StudyInstanceUID=STUDY_UID, SeriesInstanceUID="", Modality="SEG"
    )
    assert len(series) == 2

"""Identifying values of a file do not occur in details, cautions, refusals or logs."""

from __future__ import annotations

import logging

import pytest
from pydicom.dataset import Dataset

from liver_tf.ct.dicom_seg import read_dicom_seg
from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.segment_labels import labels_from_segments
from liver_tf.refusals import Refusal
from tests.builders.ct_files import phantom_hu, phantom_labels, write_dicom, write_seg

CANARY = "CANARY"
HU = phantom_hu()[2]

TEXT_ELEMENTS = [
    "PatientName",
    "PatientID",
    "OtherPatientIDs",
    "InstitutionName",
    "InstitutionAddress",
    "StudyDescription",
    "SeriesDescription",
    "Manufacturer",
    "ManufacturerModelName",
    "StationName",
    "AccessionNumber",
    "StudyID",
    "ReferringPhysicianName",
    "OperatorsName",
    "ProtocolName",
    "ConvolutionKernel",
    "ImageComments",
    "ContrastBolusAgent",
    "BodyPartExamined",
    "DeviceSerialNumber",
    "SoftwareVersions",
    "PatientComments",
]


def plant_canary(dataset) -> None:
    for count, keyword in enumerate(TEXT_ELEMENTS):
        setattr(dataset, keyword, f"{CANARY}{count}")
    block = dataset.private_block(0x0009, f"{CANARY} CREATOR", create=True)
    block.add_new(0x01, "LO", f"{CANARY}-private")
    item = Dataset()
    item.PatientID = f"{CANARY}-nested"
    item.AccessionNumber = f"{CANARY}-nest"
    dataset.RequestAttributesSequence = [item]
    dataset.PatientBirthDate = "19010203"


def text_of(scan) -> str:
    return repr(scan.cautions) + repr(scan.details)


@pytest.fixture(autouse=True)
def check_logs_and_warnings(caplog, recwarn):
    with caplog.at_level(logging.DEBUG):
        yield
    assert CANARY not in caplog.text
    assert all(CANARY not in str(warning.message) for warning in recwarn)


def test_details_and_cautions_do_not_repeat_values_or_names(tmp_path):
    folder = tmp_path / f"{CANARY} folder"
    folder.mkdir()
    for index, hu in enumerate(phantom_hu()):
        write_dicom(folder / f"{CANARY}-{index}.dcm", hu, index, plant_canary)
    (folder / f"{CANARY}.txt").write_text(CANARY)
    series = read_dicom_series(folder)
    single = read_dicom_slice(folder / f"{CANARY}-0.dcm")
    for scan in (series, single):
        assert scan.details["manufacturer"] == "other"
        assert CANARY not in text_of(scan)
    assert series.cautions


# Bytes of an element as written, and the same element with a canary as an invalid value.
BROKEN = {
    "Modality": (b"CS\x02\x00CT", b"CS\x02\x00CY"),
    "InstanceNumber": (b"IS\x02\x0011", b"IS\x02\x001A"),
    "PhotometricInterpretation": (b"MONOCHROME2 ", b"CANARY_CANAR"),
    "RescaleType": (b"LO\x02\x00HU", b"LO\x02\x00CA"),
    "RescaleIntercept": (b"-2048 ", b"CANARY"),
    "ImageType": (b"ORIGINAL\\PRIMARY\\AXIAL", b"CANARY\\CANAR\\LOCALIZER"),
    "SOPClassUID": (b"1.2.840.10008.5.1.4.1.1.2\0", b"CANARY.10008.5.1.4.1.1.2\0\0"),
    "TransferSyntaxUID": (b"1.2.840.10008.1.2.1\0", b"CANARY.10008.1.2.1\0\0"),
}


@pytest.mark.parametrize("keyword", BROKEN)
def test_refusals_do_not_repeat_values_or_names(tmp_path, keyword):
    path = write_dicom(tmp_path / f"{CANARY}.dcm", HU, change=plant_canary)
    before, after = BROKEN[keyword]
    data = path.read_bytes()
    assert before in data
    assert len(before) == len(after)
    path.write_bytes(data.replace(before, after))
    with pytest.raises(Refusal) as caught:
        read_dicom_slice(path)
    assert CANARY not in caught.value.text()
    assert CANARY not in str(caught.value)
    assert CANARY in caught.value.text_with_path()
    # A traceback would not print it either.
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_segment_labels_with_names_are_not_repeated(tmp_path):
    scan = read_dicom_slice(write_dicom(tmp_path / "s.dcm", HU, 2))
    path = write_seg(
        tmp_path / f"{CANARY}.dcm", {CANARY: phantom_labels() > 0}, change=plant_canary
    )
    with pytest.raises(Refusal, match="segment 1") as caught:
        labels_from_segments(read_dicom_seg(path, scan), {"liver": 1}, path)
    assert CANARY not in caught.value.text()

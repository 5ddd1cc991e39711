"""DICOM series with computed lesions: pixels, labels by type, marks and patient."""

import json

import numpy as np
import pydicom
import pytest

pytest.importorskip("highdicom", reason="highdicom is missing (pip install 'liver_tf[dicom-seg]')")

from liver_tf.conversion.build_record_set import convert
from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.dicom_seg_writer import write_dicom_seg
from liver_tf.implants.implant_settings import ImplantSettings
from liver_tf.implants.implanted_folder import write_implanted
from liver_tf.labels import LESION_TYPES, LIVER_ONLY
from tests.builders import ct_files

SHAPE = (24, 80, 76)


def convert_series(folder, work, name):
    (work / "key").write_text("0123456789abcdef")
    conversion = convert(
        source="series",
        input=folder,
        output=work / name,
        workers=1,
        folds=1,
        site_key_file=work / "key",
        segments=("liver:liver", *(f"{name}:{name}" for name in LESION_TYPES.lesions)),
    )
    assert conversion.refusals == ()
    return conversion.manifest


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """A series of 24 slices with a DICOM SEG of its liver."""
    folder = tmp_path_factory.mktemp("host")
    z, y, x = (np.indices(SHAPE).T - (np.array(SHAPE) - 1) / 2).T * np.array([3.0, 2, 2]).reshape(
        3, 1, 1, 1
    )
    liver = (z / 40) ** 2 + (y / 60) ** 2 + (x / 58) ** 2 < 1
    body = (y / 72) ** 2 + (x / 70) ** 2 < 1
    hu = np.where(body, np.where(liver, 110, -90), -1000)
    hu = (hu + np.random.default_rng(0).normal(0, 8, SHAPE)).astype(np.int16)

    def change(index):
        def edit(dataset):
            dataset.PatientID, dataset.StudyInstanceUID = "4711", "1.2.3.4"
            dataset.FrameOfReferenceUID = "1.2.3.5"
            dataset.PixelSpacing, dataset.SliceThickness = [2.0, 2.0], 3.0
            dataset.ImagePositionPatient = [-76.0, -80.0, 3.0 * index]
            dataset.StudyDate = dataset.StudyTime = dataset.AccessionNumber = ""
            dataset.PatientBirthDate = dataset.PatientSex = dataset.ReferringPhysicianName = ""
            dataset.StudyID = ""

        return edit

    for index in range(SHAPE[0]):
        ct_files.write_dicom(folder / f"{index}.dcm", hu[index], index, change(index))
    scan = read_dicom_series(folder)
    labels = liver.astype(np.uint8)
    write_dicom_seg(folder / "seg.dcm", labels, scan, LIVER_ONLY, AlgorithmIdentity())
    return folder


@pytest.fixture(scope="module")
def output(host, tmp_path_factory):
    folder = tmp_path_factory.mktemp("implanted") / "out"
    settings = ImplantSettings(
        input=host, output=folder, source="series", types=("cyst", "metastasis"), seed=1
    )
    lesions, refusals = write_implanted(settings)
    assert (lesions > 0, refusals) == (True, [])
    return folder


def test_only_lesions_change_and_labels_have_their_types(host, output):
    before, after = read_dicom_series(host), read_dicom_series(output / "series-001")
    np.testing.assert_allclose(after.affine, before.affine)
    changed = before.hu != after.hu
    assert 0 < changed.mean() < 0.2
    from liver_tf.ct.dicom_seg import read_dicom_seg

    segments = read_dicom_seg(output / "series-001/segmentation.dcm", after)
    found = {each.label: each.mask for each in segments if each.mask.any()}
    (scan,) = json.loads((output / "implanted.json").read_text())["scans"]
    assert set(found) == {"liver", *(lesion["type"] for lesion in scan["lesions"])}
    lesions = np.any([mask for name, mask in found.items() if name != "liver"], axis=0)
    assert (before.hu[lesions] - after.hu[lesions]).mean() > 12


def test_slices_are_marked_and_keep_the_patient(host, output):
    old, new = (
        pydicom.dcmread(
            next(path for path in sorted(folder.glob("*.dcm")) if "seg" not in path.name)
        )
        for folder in (host, output / "series-001")
    )
    assert (new.PatientID, new.StudyInstanceUID) == (old.PatientID, old.StudyInstanceUID)
    assert new.SeriesInstanceUID != old.SeriesInstanceUID
    assert new.ImageType[0] == "DERIVED"
    assert "computed lesions" in new.DerivationDescription
    codes = [caution.code for caution in read_dicom_series(output / "series-001").cautions]
    assert "implanted" in codes


def test_records_have_types_and_the_patient_of_the_host(host, output, tmp_path):
    before = convert_series(host, tmp_path, "host")
    after = convert_series(output, tmp_path, "after")
    assert after.made_by["data"] == "implanted"
    assert [entry.patient for entry in after.cases] == [entry.patient for entry in before.cases]
    assert after.label_set == LESION_TYPES

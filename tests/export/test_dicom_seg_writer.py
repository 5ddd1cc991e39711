"""DICOM SEG on the grid of the scan, voxel by voxel, read back by several readers."""

from __future__ import annotations

import datetime
import shutil
import subprocess
import sys

import nibabel
import numpy as np
import pydicom
import pytest

from liver_tf.ct.dicom_seg import read_dicom_seg
from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.nifti_volume import read_nifti_volume
from liver_tf.ct.nifti_writer import write_nifti_labels
from liver_tf.ct.segment_labels import labels_from_segments
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.dicom_seg_writer import WrittenSeg, write_dicom_seg
from liver_tf.labels import LESION_TYPES, LabelSet
from liver_tf.refusals import Refusal
from tests.builders.ct_files import SERIES_UID
from tests.builders.placed_series import (
    FRAME_UID,
    IN_PLANE,
    MARK_HU,
    STUDY_UID,
    marked_hu,
    marked_positions,
    pixel_positions,
    rotation_matrix,
    sort_positions,
    write_placed_series,
)

highdicom = pytest.importorskip(
    "highdicom", reason="highdicom is missing (pip install 'liver_tf[dicom-seg]')"
)

AXIAL = ((1, 0, 0), (0, 1, 0))
NOON = datetime.datetime(2024, 5, 6, 12, 0, 0)
MADE_BY = AlgorithmIdentity("0123456789abcdef")
CANARY = "CANARY^Quendoline"


def labels_of_marks(scan):
    """The marked block as hemangioma, the body around it as liver."""
    return np.where(scan.hu == MARK_HU, 3, scan.hu == 40).astype(np.uint8)


@pytest.fixture
def series(tmp_path):
    write_placed_series(tmp_path / "series", *AXIAL)
    return tmp_path / "series"


@pytest.fixture
def scan(series):
    return read_dicom_series(series)


def frames_of(path):
    """(frame's own description, shared description, bool [rows, columns]) of a SEG's frames."""
    dataset = pydicom.dcmread(path)
    pixels = np.atleast_3d(dataset.pixel_array)
    pixels = pixels.reshape(-1, dataset.Rows, dataset.Columns) != 0
    shared = dataset.SharedFunctionalGroupsSequence[0]
    return list(zip(dataset.PerFrameFunctionalGroupsSequence, [shared] * 99, pixels, strict=False))


PLACES = [
    *((row, column, to_head, None) for row, column in IN_PLANE for to_head in (True, False)),
    *((*AXIAL, True, rotation_matrix(20, axis)) for axis in range(3)),
    (*IN_PLANE[5], False, rotation_matrix(8, 0) @ rotation_matrix(-11, 1) @ rotation_matrix(4, 2)),
]


@pytest.mark.parametrize(("row", "column", "to_head", "rotation"), PLACES)
def test_seg_and_nifti_match_the_marked_pixels(tmp_path, row, column, to_head, rotation):
    folder = tmp_path / "series"
    stored = write_placed_series(folder, row, column, to_head=to_head, rotation=rotation)
    scan = read_dicom_series(folder)
    labels = labels_of_marks(scan)
    seg, nifti = tmp_path / "seg.dcm", tmp_path / "labels.nii.gz"

    assert write_dicom_seg(seg, labels, scan, LESION_TYPES, MADE_BY) == WrittenSeg(6)
    write_nifti_labels(nifti, labels, scan)

    # By reference: on the very pixels of the slice to which a frame refers, as that is stored.
    # By place: at the mm at which the series has its marks.
    reported = []
    for frame, shared, pixels in frames_of(seg):
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        hu = stored[source.ReferencedSOPInstanceUID]
        np.testing.assert_array_equal(pixels, hu == {1: 40, 3: MARK_HU}[number])
        if number == 3:
            place = pixel_positions(
                frame.PlanePositionSequence[0],
                shared.PlaneOrientationSequence[0],
                shared.PixelMeasuresSequence[0],
                np.argwhere(pixels),
            )
            reported.append(place)
    true = marked_positions(folder)
    np.testing.assert_allclose(sort_positions(np.concatenate(reported)), true, atol=1e-4)
    image = nibabel.load(nifti)
    voxels = np.argwhere(np.asarray(image.dataobj) == 3)
    in_ras = nibabel.affines.apply_affine(image.affine, voxels)
    np.testing.assert_allclose(sort_positions(in_ras * [-1, -1, 1]), true, atol=1e-3)
    # And the reader of this project, which matches frames by reference and position.
    segments = read_dicom_seg(seg, scan)
    meaning = {name: LESION_TYPES.index(name) for name in LESION_TYPES.classes[1:]}
    np.testing.assert_array_equal(labels_from_segments(segments, meaning, seg), labels)


@pytest.mark.parametrize("signs", [(i, j, k) for i in (1, -1) for j in (1, -1) for k in (1, -1)])
@pytest.mark.parametrize("angle", [0, 15])
def test_nifti_labels_match_the_marked_voxels(tmp_path, signs, angle):
    stored = np.ascontiguousarray(marked_hu().transpose(2, 1, 0))
    affine = np.eye(4)
    affine[:3, :3] = (
        rotation_matrix(angle, 0)
        @ rotation_matrix(angle / 2, 2)
        @ np.diag(signs)
        @ np.diag([0.7, 0.8, 2.5])
    )
    affine[:3, 3] = (20, -30, 500)
    nibabel.save(nibabel.Nifti1Image(stored, affine), tmp_path / "volume.nii.gz")
    scan = read_nifti_volume(tmp_path / "volume.nii.gz")
    write_nifti_labels(tmp_path / "labels.nii.gz", labels_of_marks(scan), scan)
    image = nibabel.load(tmp_path / "labels.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj) == 3, stored == MARK_HU)
    volume = nibabel.load(tmp_path / "volume.nii.gz")
    np.testing.assert_array_equal(image.affine, volume.affine)


def test_highdicom_reads_the_same_label_map(series, scan, tmp_path):
    labels = labels_of_marks(scan)
    write_dicom_seg(tmp_path / "seg.dcm", labels, scan, LESION_TYPES, MADE_BY)
    read = highdicom.seg.segread(tmp_path / "seg.dcm")
    maps = read.get_pixels_by_source_instance(
        list(scan.source.instance_uids), combine_segments=True
    )
    np.testing.assert_array_equal(maps, labels)
    assert list(read.segment_numbers) == [1, 2, 3, 4]
    volume = read.get_volume(combine_segments=True)
    assert {int(value) for value in np.unique(volume.array)} == {0, 1, 3}
    np.testing.assert_allclose(sorted(volume.spacing), sorted(scan.spacing_mm), rtol=1e-5)


def test_a_single_slice(series, tmp_path):
    scan = read_dicom_slice(series / "1.dcm")
    labels = labels_of_marks(scan)
    written = write_dicom_seg(tmp_path / "seg.dcm", labels, scan, LESION_TYPES, MADE_BY)
    assert written == WrittenSeg(2)
    segments = {segment.number: segment for segment in read_dicom_seg(tmp_path / "seg.dcm", scan)}
    np.testing.assert_array_equal(segments[3].mask, labels == 3)
    # Read with its series, the segmentation lies on the same slice only.
    volume = read_dicom_series(series)
    segments = {segment.number: segment for segment in read_dicom_seg(tmp_path / "seg.dcm", volume)}
    assert [int(mask.sum()) for mask in segments[3].mask] == [0, 7, 0, 0]


def test_the_elements_of_the_seg(scan, tmp_path):
    write_dicom_seg(tmp_path / "seg.dcm", labels_of_marks(scan), scan, LESION_TYPES, MADE_BY, NOON)
    dataset = pydicom.dcmread(tmp_path / "seg.dcm")
    assert dataset.Modality == "SEG"
    assert dataset.SegmentationType == "BINARY"
    assert (dataset.StudyInstanceUID, dataset.FrameOfReferenceUID) == (STUDY_UID, FRAME_UID)
    assert dataset.SeriesInstanceUID != SERIES_UID
    (referenced,) = dataset.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == SERIES_UID
    uids = {item.ReferencedSOPInstanceUID for item in referenced.ReferencedInstanceSequence}
    assert uids == {f"{SERIES_UID}.{number}" for number in (1, 2, 3, 4)}
    assert (dataset.ContentDate, dataset.ContentTime) == ("20240506", "120000")
    reported = []
    for item in dataset.SegmentSequence:
        assert item.SegmentAlgorithmType == "AUTOMATIC"
        (algorithm,) = item.SegmentationAlgorithmIdentificationSequence
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == (
            "liver_tf",
            MADE_BY.version,
        )
        assert MADE_BY.model in algorithm.AlgorithmParameters
        region = item.get("AnatomicRegionSequence")
        reported.append(
            (
                item.SegmentNumber,
                item.SegmentLabel,
                item.SegmentedPropertyCategoryCodeSequence[0].CodeValue,
                item.SegmentedPropertyTypeCodeSequence[0].CodeValue,
                region and region[0].CodeValue,
            )
        )
    assert reported == [
        (1, "liver", "91723000", "10200004", None),
        (2, "cyst", "49755003", "367643001", "10200004"),
        (3, "hemangioma", "49755003", "400210000", "10200004"),
        (4, "metastasis", "49755003", "14799000", "10200004"),
    ]


def test_the_same_result_twice_is_the_same_object(scan, tmp_path):
    labels = labels_of_marks(scan)

    def written(name, labels=labels, made_by=MADE_BY, made_at=NOON):
        write_dicom_seg(tmp_path / name, labels, scan, LESION_TYPES, made_by, made_at)
        return (tmp_path / name).read_bytes()

    def uids(data):
        dataset = pydicom.dcmread(pydicom.filebase.DicomBytesIO(data))
        return dataset.SOPInstanceUID, dataset.SeriesInstanceUID

    first = written("a")
    assert written("b") == first
    later = written("c", made_at=NOON + datetime.timedelta(days=9))
    assert uids(later) == uids(first)
    assert later != first
    other = labels.copy()
    other[0, 0, 0] = 2
    changed = [
        uids(first),
        uids(written("d", other)),
        uids(written("e", made_by=AlgorithmIdentity("ff"))),
    ]
    assert len({uid for pair in changed for uid in pair}) == 6


def test_an_empty_label_map_writes_no_file(scan, tmp_path):
    labels = np.zeros(scan.hu.shape, np.uint8)
    written = write_dicom_seg(tmp_path / "seg.dcm", labels, scan, LESION_TYPES, MADE_BY)
    assert written == WrittenSeg(0)
    assert not (tmp_path / "seg.dcm").exists()


def test_patient_elements_are_copied_unchanged(tmp_path):
    def change(dataset):
        dataset.SpecificCharacterSet = "ISO_IR 100"
        dataset.PatientName = "Müßig^Ägidia"
        dataset.PatientBirthDate = "19500102"
        dataset.StudyDescription = "Leber: präoperativ"
        dataset.AccessionNumber = "A-1"
        dataset.PatientSex = "F"
        # Lengths of groups, retired, and private elements, here and within: no reason to complain.
        dataset.add_new(0x00080000, "UL", 4)
        dataset.add_new(0x00091001, "LO", "private")
        code = pydicom.Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = (
            "41806-1",
            "LN",
            "CT Abdomen",
        )
        code.add_new(0x00091001, "LO", "private")
        dataset.ProcedureCodeSequence = [code]

    write_placed_series(tmp_path / "series", *AXIAL, change=change)
    scan = read_dicom_series(tmp_path / "series")
    path = tmp_path / "seg.dcm"
    written = write_dicom_seg(path, labels_of_marks(scan), scan, LESION_TYPES, MADE_BY)
    assert written == WrittenSeg(6)
    source, seg = (
        pydicom.dcmread(tmp_path / "series" / "0.dcm"),
        pydicom.dcmread(tmp_path / "seg.dcm"),
    )
    for keyword in (
        *("SpecificCharacterSet", "PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
        *("StudyInstanceUID", "StudyDescription", "AccessionNumber", "ProcedureCodeSequence"),
    ):
        assert seg[keyword].value == source[keyword].value, keyword
    assert "Müßig^Ägidia".encode("latin-1") in (tmp_path / "seg.dcm").read_bytes()


@pytest.mark.parametrize(
    "keyword", ["StudyInstanceUID", "FrameOfReferenceUID", "SliceThickness", "SeriesInstanceUID"]
)
def test_a_series_without_required_uids_is_refused(tmp_path, keyword):
    def change(dataset):
        dataset.PatientName = CANARY
        del dataset[keyword]

    write_placed_series(tmp_path / "series", *AXIAL, change=change)
    scan = read_dicom_series(tmp_path / "series")
    with pytest.raises(Refusal, match=rf"\[seg-source\].* without {keyword}") as refused:
        write_dicom_seg(tmp_path / "seg.dcm", labels_of_marks(scan), scan, LESION_TYPES, MADE_BY)
    assert "CANARY" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["series"]


def test_no_patient_data_is_logged(tmp_path, caplog, capfd):
    def change(dataset):
        dataset.PatientName = "CANARY=" * 9
        dataset.PatientID = "CANARY"

    write_placed_series(tmp_path / "series", *AXIAL, change=change)
    scan = read_dicom_series(tmp_path / "series")
    with caplog.at_level("DEBUG"):
        write_dicom_seg(tmp_path / "seg.dcm", labels_of_marks(scan), scan, LESION_TYPES, MADE_BY)
    out, err = capfd.readouterr()
    assert "CANARY" not in caplog.text + out + err
    assert SERIES_UID not in caplog.text + out + err


def test_invalid_labels_are_an_error(scan, tmp_path):
    labels = labels_of_marks(scan)
    for wrong in (labels[1:], labels.astype(np.int64), labels + np.uint8(2)):
        with pytest.raises(ValueError, match="labels: expected uint8"):
            write_dicom_seg(tmp_path / "seg.dcm", wrong, scan, LESION_TYPES, MADE_BY)
    assert not (tmp_path / "seg.dcm").exists()


def test_without_highdicom_the_error_names_the_extra(scan, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(Refusal, match=r"\[seg-no-writer\].*\[dicom-seg\]"):
        write_dicom_seg(tmp_path / "seg.dcm", labels_of_marks(scan), scan, LESION_TYPES, MADE_BY)


OWN = LabelSet("own", ("background", "liver", "FNH, größer als 2 cm", "cyst", "hcc"))


needs_dciodvfy = pytest.mark.skipif(
    shutil.which("dciodvfy") is None, reason="dciodvfy is missing (apt-get install dicom3tools)"
)


@needs_dciodvfy
@pytest.mark.parametrize("label_set", [LESION_TYPES, OWN], ids=lambda one: one.name)
@pytest.mark.parametrize("single", [False, True])
def test_dciodvfy_finds_no_error(series, tmp_path, label_set, single):
    scan = read_dicom_slice(series / "1.dcm") if single else read_dicom_series(series)
    labels = labels_of_marks(scan)
    labels[0, 1, 1:4] = (2, 4, 4)
    write_dicom_seg(tmp_path / "seg.dcm", labels, scan, label_set, MADE_BY)
    reported = dciodvfy(tmp_path / "seg.dcm")
    assert "Segmentation" in reported
    assert errors_in(reported) == []
    # It does detect errors, such as segments without a property type.
    dataset = pydicom.dcmread(tmp_path / "seg.dcm")
    for segment in dataset.SegmentSequence:
        del segment.SegmentedPropertyTypeCodeSequence
    dataset.save_as(tmp_path / "bad.dcm")
    assert "Error" in dciodvfy(tmp_path / "bad.dcm")


def dciodvfy(path):
    done = subprocess.run(["dciodvfy", path], capture_output=True, encoding="latin-1", check=False)
    return done.stdout + done.stderr


def errors_in(reported):
    return [line for line in reported.splitlines() if line.startswith("Error")]


def set_anyhow(dataset, keyword, value):
    """As archives hold it, valid or not."""
    representation = pydicom.datadict.dictionary_VR(keyword)
    dataset[keyword] = pydicom.DataElement(
        keyword, representation, value, validation_mode=pydicom.config.IGNORE
    )


INVALID = {
    "PatientBirthDate": "02.01.1950",
    "PatientSex": "W",
    "PatientID": "CANARY" * 11,
    "PatientName": "Müßig^CANARY",  # without a character set that has them
    "StudyDate": "2024-01-01",
    "StudyTime": "25:61",
    "AccessionNumber": "CANARY" * 3,
    "StudyID": ["CANARY", "2"],
    "ReferringPhysicianName": "CANARY\x01",
    "PatientAge": "CANARY Years",
    "StudyDescription": "CANARY" * 11,
    "SpecificCharacterSet": "CANARY",
}
#: PS3.3 C.7.1.1, C.7.2.1: must be there, and may be empty.
TYPE_2 = {
    *("PatientBirthDate", "PatientSex", "PatientID", "PatientName", "StudyDate", "StudyTime"),
    *("AccessionNumber", "StudyID", "ReferringPhysicianName"),
}


@needs_dciodvfy
@pytest.mark.parametrize("keywords", [*([one] for one in INVALID), list(INVALID)], ids=" ".join)
def test_invalid_elements_are_not_copied(tmp_path, keywords):
    def change(dataset):
        dataset.PatientComments = "kept"
        for keyword in keywords:
            set_anyhow(dataset, keyword, INVALID[keyword])

    write_placed_series(tmp_path / "series", *AXIAL, change=change)
    scan = read_dicom_series(tmp_path / "series")
    path = tmp_path / "seg.dcm"
    written = write_dicom_seg(path, labels_of_marks(scan), scan, LESION_TYPES, MADE_BY)
    assert set(written.not_copied) == set(keywords)
    assert errors_in(dciodvfy(path)) == []
    assert b"CANARY" not in path.read_bytes()
    seg = pydicom.dcmread(path)
    for keyword in keywords:
        assert (keyword in seg) == (keyword in TYPE_2)
        assert not seg.get(keyword)
    assert seg.PatientComments == "kept"
    assert seg.StudyInstanceUID == STUDY_UID


def test_an_unreadable_number_is_not_copied(tmp_path):
    def change(dataset):
        dataset.PatientWeight = "80.1"

    write_placed_series(tmp_path / "series", *AXIAL, change=change)
    for path in (tmp_path / "series").iterdir():
        data = path.read_bytes()
        assert data.count(b"80.1") == 1
        path.write_bytes(data.replace(b"80.1", b"80kg"))
    scan = read_dicom_series(tmp_path / "series")
    path = tmp_path / "seg.dcm"
    written = write_dicom_seg(path, labels_of_marks(scan), scan, LESION_TYPES, MADE_BY)
    assert written == WrittenSeg(6, ("PatientWeight",))
    assert "PatientWeight" not in pydicom.dcmread(path)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_a_series_with_invalid_uids_is_refused(tmp_path, keyword):
    write_placed_series(
        tmp_path / "series", *AXIAL, change=lambda dataset: set_anyhow(dataset, keyword, "1.02.3")
    )
    scan = read_dicom_series(tmp_path / "series")
    with pytest.raises(Refusal, match=rf"\[seg-source\].* with an invalid {keyword}"):
        write_dicom_seg(tmp_path / "seg.dcm", labels_of_marks(scan), scan, LESION_TYPES, MADE_BY)
    assert not (tmp_path / "seg.dcm").exists()


def assert_written_and_read(path, scan):
    labels = labels_of_marks(scan)
    write_dicom_seg(path, labels, scan, LESION_TYPES, MADE_BY)
    hemangioma = read_dicom_seg(path, scan)[2]
    np.testing.assert_array_equal(hemangioma.mask, labels == 3)


def test_decimal_strings_of_more_than_16_characters_are_shortened(tmp_path):
    def change(dataset):
        for keyword in ("PixelSpacing", "ImagePositionPatient", "SliceThickness"):
            element = dataset[keyword]
            values = element.value if element.VM > 1 else [element.value]
            texts = [f"{float(value):.18f}" for value in values]
            set_anyhow(dataset, keyword, texts if len(texts) > 1 else texts[0])

    write_placed_series(tmp_path / "series", *AXIAL, change=change)
    scan = read_dicom_series(tmp_path / "series")
    assert_written_and_read(tmp_path / "seg.dcm", scan)
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert all(len(str(value)) <= 16 for value in measures.PixelSpacing)


def test_last_digits_that_differ_between_slices_do_not_matter(tmp_path):
    numbers = iter(range(99))

    def change(dataset):
        if next(numbers) % 2:
            dataset.ImageOrientationPatient = [1, 0.000001, 0, -0.000001, 1, 0]
            dataset.PixelSpacing = [0.800001, 0.7]

    write_placed_series(tmp_path / "series", *AXIAL, change=change)
    scan = read_dicom_series(tmp_path / "series")
    assert_written_and_read(tmp_path / "seg.dcm", scan)

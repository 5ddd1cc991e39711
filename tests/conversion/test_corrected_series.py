"""A prediction corrected in other software becomes training data (``--labels=corrected``)."""

from __future__ import annotations

import shutil

import numpy as np
import pydicom
import pytest
from pydicom.pixels.utils import pack_bits
from pydicom.sequence import Sequence

from liver_tf.conversion.build_record_set import ConvertSettings, convert
from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.scan_findings import ScanFindings
from liver_tf.export.scan_results import write_results
from liver_tf.labels import LESION_TYPES, LITS
from liver_tf.options import OptionError
from liver_tf.records.manifest import load_manifest
from tests.builders.ct_files import SERIES_UID, phantom_hu, phantom_labels, write_series
from tests.builders.dcmqi import TID1500READER, save_again
from tests.builders.lesions import lesions_of
from tests.builders.phantom_sets import records_of

pytest.importorskip("highdicom", reason="highdicom is missing (pip install 'liver_tf[dicom-seg]')")

TYPES = ("SCT:10200004:liver", "cyst:cyst", "hemangioma:hemangioma", "metastasis:metastasis")
#: The older codes that some programs still write (PS3.16 D, SRT).
SRT = {"10200004": "T-62000", "52988006": "M-01100"}


def predict_series(folder, number=1, label_set=LITS, segments="class"):
    """A series, and the SEG and SR of a prediction; returns the series' folder and the labels."""

    def change(dataset, index):
        dataset.SeriesInstanceUID = f"{SERIES_UID}.{number}"
        dataset.SOPInstanceUID = f"{SERIES_UID}.{number}.{index + 1}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = f"1.2.{number}", f"1.3.{number}"
        dataset.PatientID = f"P{number}"

    write_series(folder / f"s{number}", phantom_hu(), change)
    scan = read_dicom_series(folder / f"s{number}")
    labels = phantom_labels()
    lesions = lesions_of(labels, scan.hu, scan.spacing_mm, label_set)
    findings = ScanFindings(scan, labels, lesions, label_set)
    results = folder / f"results-{number}"
    write_results(results, findings, AlgorithmIdentity("ab12"), pictures=0, segments=segments)
    for name in ("segmentation.dcm", "report.dcm"):
        shutil.copy(results / name, folder / f"s{number}" / f"zz-{name}")
    shutil.rmtree(results)
    return folder / f"s{number}", labels


def correct(series, edit, target="corrected.dcm", old_codes=False):
    """A SEG as another program saves our one: ``edit`` changes the mask of each frame.

    Frames in reverse order, empty ones omitted, segments renumbered, labels in capitals, no
    references from frames to slices, a manufacturer and UIDs of its own.
    """
    seg = pydicom.dcmread(series / "zz-segmentation.dcm")
    frames = list(zip(seg.PerFrameFunctionalGroupsSequence, seg.pixel_array, strict=True))
    count = len(seg.SegmentSequence)
    kept = []
    for group, pixels in reversed(frames):
        item = group.SegmentIdentificationSequence[0]
        mask = edit(item.ReferencedSegmentNumber, pixels.astype(bool))
        item.ReferencedSegmentNumber = count + 1 - item.ReferencedSegmentNumber
        if "DerivationImageSequence" in group:
            del group.DerivationImageSequence
        if mask.any():
            kept.append((group, mask))
    seg.PerFrameFunctionalGroupsSequence = Sequence(group for group, _ in kept)
    seg.NumberOfFrames = len(kept)
    seg.PixelData = pack_bits(np.concatenate([mask.ravel() for _, mask in kept]).astype(np.uint8))
    for item in seg.SegmentSequence:
        item.SegmentNumber = count + 1 - item.SegmentNumber
        item.SegmentLabel = item.SegmentLabel.upper()
        item.SegmentAlgorithmType = "MANUAL"
        if old_codes:
            code = item.SegmentedPropertyTypeCodeSequence[0]
            code.CodingSchemeDesignator, code.CodeValue = "SRT", SRT[code.CodeValue]
    seg.Manufacturer, seg.ManufacturerModelName = "QIICR", "dcmqi"
    seg.SOPInstanceUID = seg.file_meta.MediaStorageSOPInstanceUID = "1.2.77"
    seg.SeriesInstanceUID = "1.2.78"
    seg.save_as(series / target)


def moved_by_a_row(number, mask):
    """Erases the first row of a lesion, and adds one at its end that the liver still has."""
    if number > 1:
        mask[8], mask[11] = False, mask[10]
    return mask


def corrected_labels(predicted):
    """What ``moved_by_a_row`` makes of the labels: erased pixels are nothing, as a brush does."""
    expected = predicted.copy()
    expected[:, 8][predicted[:, 8] > 1] = 0
    expected[:, 11][predicted[:, 10] > 1] = predicted[:, 10][predicted[:, 10] > 1]
    assert (expected != predicted).any()
    return expected


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "site.key"
    path.write_text("0123456789abcdef" * 4)
    path.chmod(0o600)
    return path


def converted(folder, output, key, **options):
    return convert(
        ConvertSettings(
            source="series", input=folder, output=output, site_key_file=key, workers=1, **options
        )
    )


def labels_in(output):
    return np.stack([record.labels for _, record in sorted(records_of(output).items())])


@pytest.mark.parametrize("segments", ["class", "lesion"])
@pytest.mark.parametrize("old_codes", [False, True])
def test_the_corrected_outlines_replace_ours(tmp_path, key, segments, old_codes):
    series, predicted = predict_series(tmp_path / "in", segments=segments)
    correct(series, moved_by_a_row, old_codes=old_codes)
    done = converted(tmp_path / "in", tmp_path / "set", key, labels="corrected")
    assert done.refusals == ()
    np.testing.assert_array_equal(labels_in(tmp_path / "set"), corrected_labels(predicted))
    assert load_manifest(tmp_path / "set").made_by["labels"] == "corrected"


@pytest.mark.skipif(TID1500READER is None, reason="dcmqi is missing (pip install dcmqi)")
def test_a_seg_saved_by_dcmqi_replaces_ours(tmp_path, key):
    series, predicted = predict_series(tmp_path / "in")
    (tmp_path / "itk").mkdir()
    expected = predicted.copy()
    expected[0, 9:11, 15:17] = 2

    def edit(number, labels):
        assert np.count_nonzero(labels) == np.count_nonzero(predicted == number)
        labels[:] = np.where(expected == number, labels.max(), 0)

    ours = series / "zz-segmentation.dcm"
    (tmp_path / "ct").mkdir()
    for path in series.iterdir():
        if not path.name.startswith("zz"):
            shutil.copy(path, tmp_path / "ct")
    reported = save_again(ours, tmp_path / "ct", edit, series / "dcmqi.dcm", tmp_path / "itk")
    assert "absent" not in reported  # all elements of a SEG are there
    done = converted(tmp_path / "in", tmp_path / "set", key, labels="corrected")
    assert done.refusals == ()
    np.testing.assert_array_equal(labels_in(tmp_path / "set"), expected)


def test_lesion_types_in_other_case(tmp_path, key):
    series, predicted = predict_series(tmp_path / "in", label_set=LESION_TYPES)
    correct(series, moved_by_a_row)
    options = {"labels": "corrected", "segments": TYPES, "folds": 1}
    done = converted(tmp_path / "in", tmp_path / "set", key, **options)
    assert done.refusals == ()
    np.testing.assert_array_equal(labels_in(tmp_path / "set"), corrected_labels(predicted))


def test_an_uncorrected_series_is_refused_and_the_others_are_read(tmp_path, key):
    series, _ = predict_series(tmp_path / "in", 1)
    correct(series, moved_by_a_row)
    predict_series(tmp_path / "in", 2)
    done = converted(tmp_path / "in", tmp_path / "set", key, labels="corrected")
    assert [(refusal.code, refusal.path.name) for refusal in done.refusals] == [
        ("series-not-corrected", "s2")
    ]
    assert len(load_manifest(tmp_path / "set").cases) == 1


def test_by_default_all_segmentations_are_read(tmp_path, key):
    series, predicted = predict_series(tmp_path / "in")
    done = converted(tmp_path / "in", tmp_path / "set", key)
    assert done.refusals == ()
    np.testing.assert_array_equal(labels_in(tmp_path / "set"), predicted)
    assert "labels" not in load_manifest(tmp_path / "set").made_by
    correct(series, moved_by_a_row)
    done = converted(tmp_path / "in", tmp_path / "other", key)
    assert done.refusals[0].code == "seg-label-twice"


def test_labels_are_for_series():
    with pytest.raises(OptionError, match="series only"):
        ConvertSettings(source="lits", input="x", output="y", labels="corrected")

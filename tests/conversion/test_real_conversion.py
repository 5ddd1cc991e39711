"""Real CT (CHAOS, dcmqi) through all sources, compared with its published facts."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

from liver_tf.ct.pseudonyms import pseudonym
from liver_tf.records.manifest import load_manifest
from tests.builders.ct_files import seg_dataset
from tests.builders.phantom_sets import (
    KEY,
    ROOT,
    convert_series,
    convert_slices,
    records_of,
    run_command,
    write_table,
)

DATA = Path(os.environ.get("LIVER_TF_REAL_DATA", ROOT.parent / "shared" / "data"))
CHAOS, DCMQI = DATA / "chaos_ct3", DATA / "dcmqi_liver"

pytestmark = pytest.mark.skipif(
    not (CHAOS.is_dir() and DCMQI.is_dir()),
    reason="real CT not found: set LIVER_TF_REAL_DATA to the folder with chaos_ct3, dcmqi_liver",
)


@pytest.fixture(scope="module")
def lits_set(tmp_path_factory):
    output = tmp_path_factory.mktemp("chaos") / "set"
    done = run_command(
        "build_tfrecords", "--source=lits", f"--input={CHAOS}", f"--output={output}", "--workers=1"
    )
    assert done.returncode == 0, done.stderr
    assert "78 records of 1 case" in done.stdout
    return output


@pytest.fixture(scope="module")
def lits_records(lits_set):
    """Records from feet to head."""
    records = records_of(lits_set)
    return [records[key] for key in sorted(records)]


def test_records_of_a_real_pair(lits_records):
    volume = nibabel.as_closest_canonical(nibabel.load(CHAOS / "volume-3.nii.gz"))
    hu = np.asarray(volume.dataobj).transpose(2, 1, 0)[:, ::-1, ::-1]
    assert len(lits_records) == len(hu) == 78
    for record, expected in zip(lits_records, hu, strict=True):
        assert record.image.dtype == np.int16
        np.testing.assert_array_equal(record.image, np.clip(expected, -160, 240))
        np.testing.assert_allclose(record.spacing_mm, 0.727, atol=5e-4)


def test_the_manifest_has_the_known_facts(lits_set):
    (case,) = load_manifest(lits_set).cases
    assert case.records == 78
    assert case.details["spacing_mm"] == "2.000x0.727x0.727"
    assert case.details["orientation"] == "".join(
        nibabel.aff2axcodes(nibabel.load(CHAOS / "volume-3.nii.gz").affine)
    )
    assert case.cautions == ()
    assert case.diagnosis == "healthy"
    liver = case.statistics.class_pixels[1]
    assert liver * 2.0 * 0.7266 * 0.7266 / 1000 == pytest.approx(1417, rel=2e-3)
    # The window cuts off the brightest vessels, so the mean lies a little below the 141 HU.
    assert case.statistics.liver_sum / liver == pytest.approx(141, abs=1.5)
    assert case.statistics.liver_sum / liver < 141.1


def test_slices_have_radiological_orientation(lits_records):
    labels = np.stack([record.labels for record in lits_records])
    images = np.stack([record.image for record in lits_records])
    body = np.argwhere(images[40] > -100)
    _, _, columns = np.nonzero(labels)
    assert columns.mean() < body[:, 1].mean() - 50  # the patient's right is on the left
    bone = images[40, :, 156:356] == 240
    assert bone[256:].sum() > 2 * bone[:256].sum()  # the spine is at the bottom
    lung = images[:, 150:350, 150:350] == -160
    assert lung[-5:].sum() > 10 * max(1, lung[:5].sum())  # the head is at the end


def test_dicom_slices_with_png_masks_give_the_same_pixels(lits_records, tmp_path):
    images, masks = (sorted((CHAOS / part).iterdir()) for part in ("dicom", "liver_masks"))
    rows = [
        {
            "slice_id": str(number),
            "patient_id": "chaos",
            "image": str(image),
            "mask": str(mask),
            "diagnosis": "healthy",
        }
        for number, (image, mask) in enumerate(zip(images, masks, strict=True))
    ]
    table = write_table(tmp_path / "slices.csv", rows)
    meanings = ((0, "background"), (1, "liver"))
    manifest, refusals = convert_slices(table, tmp_path / "no", meanings)
    assert manifest is None
    assert {refusal.code for refusal in refusals} == {"csv-outside", "nothing-converted"}
    manifest, refusals = convert_slices(table, tmp_path / "set", meanings, allow_outside=True)
    assert not refusals
    (case,) = manifest.cases
    assert case.details["orientation"] == "LPS"
    records = records_of(tmp_path / "set")
    assert len(records) == 78
    # This series was written from the head down, and the table is in the order of its names.
    for (_, index), record in records.items():
        other = lits_records[77 - index]
        np.testing.assert_array_equal(record.image, other.image)
        np.testing.assert_array_equal(record.labels, other.labels)
        np.testing.assert_allclose(record.spacing_mm, other.spacing_mm, atol=1e-6)


def test_dicom_slices_with_a_dicom_seg(tmp_path):
    rows = [
        {
            "slice_id": name,
            "patient_id": "dcmqi",
            "image": str(DCMQI / f"{name}.dcm"),
            "mask": str(DCMQI / "liver.dcm"),
            "diagnosis": "healthy",
        }
        for name in ("03", "02", "01")
    ]
    table = write_table(tmp_path / "slices.csv", rows)
    manifest, refusals = convert_slices(
        table, tmp_path / "set", ((1, "liver"),), allow_outside=True
    )
    assert not refusals
    records = records_of(tmp_path / "set")
    truth = liver_of_nrrd(DCMQI / "liver_seg.nrrd")
    case = pseudonym(KEY, "case", "dcmqi")
    assert set(records) == {(case, index) for index in range(3)}
    assert truth.any(axis=(1, 2)).all()
    for index in range(3):
        np.testing.assert_array_equal(records[case, index].labels == 1, truth[index])
        np.testing.assert_allclose(records[case, index].spacing_mm, 0.811, atol=5e-4)
    assert manifest.cases[0].statistics.class_pixels[1] == truth.sum()


@pytest.fixture(scope="module")
def chaos_series(tmp_path_factory):
    """CHAOS as a series with a DICOM SEG that is made of its PNG masks, frames in any order."""
    folder = tmp_path_factory.mktemp("chaos series")
    (folder / "slices").mkdir()
    slices, masks = [], []
    for image, mask in zip(
        *(sorted((CHAOS / part).iterdir()) for part in ("dicom", "liver_masks")), strict=True
    ):
        (folder / "slices" / image.name).symlink_to(image)
        slices.append(pydicom.dcmread(image, stop_before_pixels=True))
        masks.append(np.array(Image.open(mask)) > 0)
    seg = seg_dataset({"Liver": np.stack(masks)})
    seg.ReferencedSeriesSequence[0].SeriesInstanceUID = slices[0].SeriesInstanceUID
    shared = seg.SharedFunctionalGroupsSequence[0]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = slices[0].ImageOrientationPatient
    shared.PixelMeasuresSequence[0].PixelSpacing = slices[0].PixelSpacing
    for frame in seg.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        its = slices[int(source.ReferencedSOPInstanceUID.rpartition(".")[2]) - 1]
        source.ReferencedSOPInstanceUID = its.SOPInstanceUID
        frame.PlanePositionSequence[0].ImagePositionPatient = its.ImagePositionPatient
    seg.save_as(folder / "liver.dcm", enforce_file_format=True)
    return folder


def test_a_series_with_a_dicom_seg_gives_the_records_of_the_pair(
    lits_records, chaos_series, tmp_path
):
    manifest, refusals = convert_series(chaos_series, tmp_path / "no")
    assert manifest is None
    # CHAOS was stripped of identifiers altogether.
    assert {refusal.code for refusal in refusals} == {"series-no-patient", "nothing-converted"}
    manifest, refusals = convert_series(chaos_series, tmp_path / "set", own_patient=True)
    assert not refusals
    (case,) = manifest.cases
    assert [code for code, _ in case.cautions] == ["series-no-patient"]
    assert case.details["spacing_mm"] == "2.000x0.727x0.727"
    liver = case.statistics.class_pixels[1]
    assert liver * 2.0 * 0.7266 * 0.7266 / 1000 == pytest.approx(1417, rel=2e-3)
    by_slice = records_of(tmp_path / "set")
    records = [by_slice[key] for key in sorted(by_slice)]
    for record, other in zip(records, lits_records, strict=True):
        assert record.slice_index == other.slice_index
        np.testing.assert_array_equal(record.image, other.image)
        np.testing.assert_array_equal(record.labels, other.labels)
        np.testing.assert_allclose(record.spacing_mm, other.spacing_mm, atol=1e-6)


def test_a_series_written_by_dcmqi(tmp_path):
    manifest, refusals = convert_series(DCMQI, tmp_path / "set")
    assert not refusals
    (case,) = manifest.cases
    assert [code for code, _ in case.cautions] == ["series-not-dicom"]  # the NRRD
    records = records_of(tmp_path / "set")
    truth = liver_of_nrrd(DCMQI / "liver_seg.nrrd")
    for index in range(3):
        np.testing.assert_array_equal(records[case.case, index].labels, truth[index])
        image = pydicom.dcmread(DCMQI / f"0{3 - index}.dcm")
        hu = image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)
        hu[image.pixel_array == image.PixelPaddingValue] = -1000
        np.testing.assert_array_equal(records[case.case, index].image, np.clip(hu, -160, 240))


def liver_of_nrrd(path: Path) -> np.ndarray:
    """bool [slices, rows, columns] of a gzip-encoded NRRD of shorts, feet to head."""
    header, data = path.read_bytes().split(b"\n\n", 1)
    fields = dict(line.split(": ", 1) for line in header.decode().splitlines() if ": " in line)
    columns, rows, slices = (int(size) for size in fields["sizes"].split())
    return np.frombuffer(gzip.decompress(data), "<i2").reshape(slices, rows, columns) != 0


@pytest.mark.parametrize("source", ["lits", "series"])
def test_verify_finds_the_same_facts(source, chaos_series):
    folder = CHAOS if source == "lits" else chaos_series
    done = run_command(
        "verify",
        f"--source={source}",
        f"--input={folder}",
        "--workers=1",
        "--series_without_patient_id=own_patient",
    )
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for line in (
        "slices 78 (71 with liver, 0 with lesion)",
        "matrix 512 x 512: 78 slices",
        "pixel spacing 0.727 mm",
        "liver volume 1417 ml (1 scan)",
        "slice distance 2.000 mm",
        "Nothing refused.",
    ):
        assert line in lines
    assert ("No cautions." in lines) == (source == "lits")
    (liver,) = (line.split() for line in lines if line.startswith("liver ") and "ml" not in line)
    assert float(liver[2]) == pytest.approx(141, abs=0.5)
    assert float(liver[3]) == pytest.approx(34, abs=0.5)

"""A series and its segmentations, read slice by slice."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import MRImageStorage, RLELossless

from liver_tf.ct.dicom_series_search import SeriesFiles, find_series_files
from liver_tf.ct.dicom_series_with_seg import SeriesWithSeg
from liver_tf.refusals import Refusal
from tests.builders.ct_files import (
    phantom_hu,
    phantom_labels,
    write_dicom,
    write_seg,
    write_series,
)

LABELS = phantom_labels()
LIVER, LESION = LABELS > 0, LABELS == 2
MAPPING = {"liver": 1, "lesion": 2, "cyst": 3}

pytestmark = pytest.mark.filterwarnings("error")


def files_of(folder: Path) -> SeriesFiles:
    (files,), refusals, _ = find_series_files(folder)
    assert not refusals
    return files


def read(folder: Path, mapping=MAPPING):
    """Stacked HU and labels of the only series below a folder, and the pair."""
    pair = SeriesWithSeg(files_of(folder), mapping)
    slices = list(pair.slices())
    return np.stack([hu for hu, _ in slices]), np.stack([labels for _, labels in slices]), pair


def write_case(folder: Path, segments=None, change=None, seg_change=None, hu=None) -> Path:
    write_series(folder / "series", hu, change)
    if segments is None:
        segments = {"Liver": LIVER, "Lesion": LESION}
    write_seg(folder / "seg.dcm", segments, seg_change)
    return folder


def use_unsupported_syntax(dataset) -> None:
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.106"  # MPEG-4, for video
    dataset.PixelData = encapsulate([b"\0" * 100])
    dataset["PixelData"].is_undefined_length = True


def refusal_of(folder: Path, mapping=MAPPING) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read(folder, mapping)
    return caught.value


def test_slices_and_labels_equal_the_phantom(tmp_path):
    hu, labels, pair = read(write_case(tmp_path))
    assert (hu.dtype, labels.dtype) == (np.int16, np.uint8)
    np.testing.assert_array_equal(hu, phantom_hu())
    np.testing.assert_array_equal(labels, LABELS)
    assert pair.spacing_mm == pytest.approx((2.5, 0.8, 0.7))
    assert pair.cautions == ()
    assert pair.details["manufacturer"] == "siemens"
    assert len(pair.source.files) == 5


@pytest.mark.parametrize("shape", [(23, 31), (21, 29), (25, 30)])
def test_frames_that_start_within_a_byte_are_decoded(tmp_path, shape):
    labels = phantom_labels(5, *shape)
    segments = {"Liver": labels > 0, "Lesion": labels == 2}
    write_case(tmp_path, segments, hu=phantom_hu(5, *shape))
    np.testing.assert_array_equal(read(tmp_path)[1], labels)


@pytest.mark.parametrize("compressed", [False, True])
def test_frames_with_a_byte_per_pixel_are_decoded(tmp_path, compressed):
    def change(dataset):
        count = dataset.NumberOfFrames
        packed = np.frombuffer(dataset.PixelData, np.uint8)
        bits = np.unpackbits(packed, bitorder="little")[: count * 24 * 32]
        dataset.PixelData = bits.tobytes()
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit = 7
        if compressed:
            dataset.compress(RLELossless, generate_instance_uid=False)

    np.testing.assert_array_equal(read(write_case(tmp_path, seg_change=change))[1], LABELS)


def test_a_prone_feet_first_patient_is_reoriented(tmp_path):
    # Rows run to the front and columns to the right: the stored slice is the canonical one
    # rotated by 180 degrees, and its first pixel is the last one of the canonical slice.
    orientation = [-1, 0, 0, 0, -1, 0]

    def corner(index):
        return [-11 + 31 * 0.7, -12 + 23 * 0.8, -300 + 2.5 * index]

    def change(dataset, index):
        dataset.ImageOrientationPatient = orientation
        dataset.ImagePositionPatient = corner(index)

    def seg_change(dataset):
        shared = dataset.SharedFunctionalGroupsSequence[0]
        shared.PlaneOrientationSequence[0].ImageOrientationPatient = orientation
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            plane = frame.PlanePositionSequence[0]
            index = round((plane.ImagePositionPatient[2] + 300) / 2.5)
            plane.ImagePositionPatient = corner(index)

    half_turn = (slice(None), slice(None, None, -1), slice(None, None, -1))
    segments = {"Liver": LIVER[half_turn], "Lesion": LESION[half_turn]}
    write_case(tmp_path, segments, change, seg_change, phantom_hu()[half_turn])
    hu, labels, _ = read(tmp_path)
    np.testing.assert_array_equal(hu, phantom_hu())
    np.testing.assert_array_equal(labels, LABELS)


@pytest.mark.parametrize("even", [False, True])
def test_frames_match_slices_at_slightly_uneven_distances(tmp_path, even):
    # Gaps within 5 % of 2.5 mm form a series; slice 2 is 0.11 mm off the regular grid.
    heights = np.array([0, 2.5, 5.11, 7.5, 10.0])

    def change(dataset, index):
        dataset.ImagePositionPatient = [-11, -12, heights[index]]

    def seg_change(dataset):
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            plane = frame.PlanePositionSequence[0]
            index = round((plane.ImagePositionPatient[2] + 300) / 2.5)
            plane.ImagePositionPatient = [-11, -12, 2.5 * index if even else heights[index]]

    write_case(tmp_path, change=change, seg_change=seg_change)
    np.testing.assert_array_equal(read(tmp_path)[1], LABELS)


class TestSegments:
    def test_an_unmapped_segment_is_refused(self, tmp_path):
        write_case(tmp_path, {"Liver": LIVER, "Smith's spleen": LESION})
        refusal = refusal_of(tmp_path)
        assert refusal.code == "mask-unmapped"
        assert refusal.path == tmp_path / "seg.dcm"
        assert "segment 2" in refusal.text()
        assert "smith" not in refusal.text().lower()
        for name in ("smith's SPLEEN", "srt:t-2", 2):
            labels = read(tmp_path, {**MAPPING, name: 0})[1]
            np.testing.assert_array_equal(labels, LIVER)

    def test_label_and_code_of_different_classes_are_refused(self, tmp_path):
        write_case(tmp_path)
        assert refusal_of(tmp_path, {**MAPPING, "SRT:T-1": 2}).code == "mask-ambiguous"
        read(tmp_path, {**MAPPING, "SRT:T-1": 1})
        labels = read(tmp_path, {**MAPPING, "SRT:T-1": 2, 1: 3, 2: 0})[1]
        np.testing.assert_array_equal(labels, 3 * LIVER)

    def test_lesions_overwrite_the_liver_but_not_each_other(self, tmp_path):
        shifted = np.roll(LESION, 2, axis=2)
        write_case(tmp_path, {"Cyst": shifted, "Lesion": LESION, "Liver": LIVER})
        refusal = refusal_of(tmp_path)
        assert (refusal.code, refusal.path) == ("seg-overlap", tmp_path / "seg.dcm")
        # Two segments of the same class may overlap.
        labels = read(tmp_path, {"liver": 1, "lesion": 2, "cyst": 2})[1]
        np.testing.assert_array_equal(labels == 2, LESION | shifted)
        distant = np.roll(LESION, 10, axis=2)
        write_seg(tmp_path / "seg.dcm", {"Cyst": distant, "Lesion": LESION, "Liver": LIVER})
        labels = read(tmp_path)[1]
        np.testing.assert_array_equal(labels, np.where(distant, 3, LABELS))

    @pytest.mark.parametrize("order", ["ab", "ba"])
    def test_several_segmentations_complete_each_other(self, tmp_path, order):
        write_series(tmp_path / "series")
        write_seg(tmp_path / f"{order[0]}.dcm", {"Liver": LIVER})
        write_seg(tmp_path / f"{order[1]}.dcm", {"Lesion": LESION})
        np.testing.assert_array_equal(read(tmp_path)[1], LABELS)

    def test_a_class_in_two_segmentations_is_refused(self, tmp_path):
        write_series(tmp_path / "series")
        write_seg(tmp_path / "a.dcm", {"Liver": LIVER})
        write_seg(tmp_path / "b.dcm", {"Lesion": LESION, "Liver": LIVER})
        refusal = refusal_of(tmp_path)
        assert (refusal.code, refusal.path) == ("seg-label-twice", tmp_path / "b.dcm")
        # Segments mapped to 0 are ignored.
        write_seg(tmp_path / "a.dcm", {"Liver": LIVER, "Old": LIVER})
        write_seg(tmp_path / "b.dcm", {"Lesion": LESION, "Old": LIVER})
        np.testing.assert_array_equal(read(tmp_path, {**MAPPING, "old": 0})[1], LABELS)

    def test_overlapping_lesions_of_two_files_are_refused(self, tmp_path):
        write_series(tmp_path / "series")
        write_seg(tmp_path / "a.dcm", {"Liver": LIVER, "Cyst": LESION})
        write_seg(tmp_path / "b.dcm", {"Lesion": LESION})
        assert refusal_of(tmp_path).code == "seg-overlap"

    def test_an_empty_segment_and_another_region_give_cautions(self, tmp_path):
        def change(dataset):
            for item, value in zip(dataset.SegmentSequence, ("10200004", "64033007"), strict=True):
                code = item.SegmentedPropertyTypeCodeSequence[0].__class__()
                code.CodeValue, code.CodingSchemeDesignator = value, "SCT"
                item.AnatomicRegionSequence = [code]

        write_case(tmp_path, {"Liver": LIVER, "Lesion": LESION & False}, seg_change=change)
        _, labels, pair = read(tmp_path)
        np.testing.assert_array_equal(labels, LIVER)
        assert [caution.code for caution in pair.cautions] == ["seg-empty-segment", "seg-region"]
        assert all("segment 2" in caution.text for caution in pair.cautions)
        # Ignored segments may have any region.
        assert read(tmp_path, {**MAPPING, "lesion": 0})[2].cautions == ()


class TestRefused:
    @pytest.mark.parametrize(
        ("change", "code"),
        [
            (lambda d, i: i == 3 and setattr(d, "ImagePositionPatient", [-11, -12, -295]), "dup"),
            (lambda d, i: i == 4 and setattr(d, "ImagePositionPatient", [-11, -12, -285]), "gap"),
            (lambda d, i: setattr(d, "ImagePositionPatient", [-11, i - 12, 2.5 * i]), "tilt"),
            (lambda d, i: i == 2 and delattr(d, "RescaleSlope"), "dicom-rescale"),
            (lambda d, i: i == 2 and setattr(d, "RescaleSlope", 0), "dicom-rescale"),
            (lambda d, i: i == 2 and setattr(d, "RescaleIntercept", None), "dicom-rescale"),
            (lambda d, i: i == 1 and setattr(d, "BurnedInAnnotation", "YES"), "dicom-burned-in"),
            (lambda d, i: setattr(d, "PhotometricInterpretation", "MONOCHROME1"), "dicom-photo"),
            (lambda d, i: setattr(d, "Modality", "PT"), "dicom-not-ct"),
            (lambda d, i: i == 1 and setattr(d, "PixelData", d.PixelData[:-2]), "dicom-truncated"),
            (lambda d, i: i == 1 and setattr(d, "NumberOfFrames", 2), "dicom-multiframe"),
            (lambda d, i: i == 1 and use_unsupported_syntax(d), "dicom-no-decoder"),
            (lambda d, i: i == 1 and delattr(d, "PixelSpacing"), "series-"),
            (lambda d, i: i < 2 and setattr(d, "PixelSpacing", [1, 1]), "series-mixed"),
            (lambda d, i: setattr(d, "RescaleIntercept", "1000"), "hu-unscaled"),
            (lambda d, i: setattr(d, "RescaleSlope", "100"), "hu-impossible"),
        ],
    )
    def test_unusable_slices_are_refused(self, tmp_path, change, code):
        codes = {"dup": "series-duplicate-position", "gap": "series-spacing"}
        codes["tilt"] = "series-tilted"
        refusal = refusal_of(write_case(tmp_path, change=change))
        assert refusal.code.startswith(codes.get(code, code))
        assert refusal.path in (tmp_path / "series", *(tmp_path / "series").iterdir())

    def test_accumulated_deviations_are_refused(self, tmp_path):
        # Each gap is within 5 % of 2.5 mm, but the middle slice is 1.5 slices off its position.
        gaps = [2.38] * 12 + [2.62] * 12
        heights = np.concatenate([[0.0], np.cumsum(gaps)])

        def change(dataset, index):
            dataset.ImagePositionPatient = [-11, -12, heights[index]]

        write_case(tmp_path, {"Liver": np.ones((25, 24, 32), bool)}, change, hu=phantom_hu(25))
        refusal = refusal_of(tmp_path)
        assert refusal.code == "series-spacing"
        assert "add up" in refusal.text()

    def test_a_copy_of_the_series_in_another_folder_is_refused(self, tmp_path):
        write_case(tmp_path)
        write_series(tmp_path / "copy")
        refusal = refusal_of(tmp_path)
        assert refusal.code == "series-duplicate-position"
        assert "5 positions" in refusal.text()

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            (lambda d: d.PerFrameFunctionalGroupsSequence.pop(), "seg-frames"),
            (lambda d: setattr(d, "NumberOfFrames", 6), "seg-frames"),
            (lambda d: setattr(d, "PixelData", d.PixelData[:-2]), "dicom-truncated"),
            (lambda d: setattr(d, "SegmentationType", "FRACTIONAL"), "seg-not-binary"),
            (
                lambda d: setattr(
                    d.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0],
                    "ImagePositionPatient",
                    [-11, -12, -298.7],
                ),
                "seg-frame-unmatched",
            ),
            (
                lambda d: setattr(
                    d.PerFrameFunctionalGroupsSequence[0]
                    .DerivationImageSequence[0]
                    .SourceImageSequence[0],
                    "ReferencedSOPInstanceUID",
                    "1.2.3.4",
                ),
                "seg-reference",
            ),
        ],
    )
    def test_unusable_segmentations_are_refused(self, tmp_path, change, code):
        refusal = refusal_of(write_case(tmp_path, seg_change=change))
        assert (refusal.code, refusal.path) == (code, tmp_path / "seg.dcm")

    def test_a_missing_slice_is_refused(self, tmp_path):
        write_case(tmp_path)
        files = files_of(tmp_path)
        ordered = SeriesWithSeg(files, MAPPING).source.files
        inside = replace(files, slices=(*ordered[:2], *ordered[3:]))
        with pytest.raises(Refusal, match="series-spacing"):
            SeriesWithSeg(inside, MAPPING)
        with pytest.raises(Refusal, match="seg-frame-unmatched"):
            SeriesWithSeg(replace(files, slices=ordered[:4]), MAPPING)


def test_a_stray_of_another_size_is_excluded_with_a_caution(tmp_path):
    write_case(tmp_path)
    small = phantom_hu(1, 20, 24)[0]
    write_dicom(tmp_path / "series/small.dcm", small, 7)
    hu, labels, pair = read(tmp_path)
    np.testing.assert_array_equal(hu, phantom_hu())
    np.testing.assert_array_equal(labels, LABELS)
    assert [caution.code for caution in pair.cautions] == ["series-stray-slice"]


def test_padding_becomes_air_and_fractional_hu_are_kept(tmp_path):
    def change(dataset, index):
        if index == 1:
            dataset.RescaleSlope, dataset.RescaleIntercept = 0.5, -1024.5
        stored = np.frombuffer(dataset.PixelData, "<u2").copy()
        stored[:3] = 0
        dataset.PixelData = stored.tobytes()
        dataset.PixelPaddingValue = 0

    pair = SeriesWithSeg(files_of(write_case(tmp_path, change=change)), MAPPING)
    expected = phantom_hu().astype(np.float32)
    expected[1] = (expected[1] + 2048) * 0.5 - 1024.5
    expected[:, 0, :3] = -1000
    for index, (hu, _) in enumerate(pair.slices()):
        assert hu.dtype == (np.float32 if index == 1 else np.int16)
        np.testing.assert_array_equal(hu, expected[index])


def test_mr_is_refused(tmp_path):
    def change(dataset, index):
        dataset.SOPClassUID = MRImageStorage
        dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage

    write_case(tmp_path, change=change)
    series, refusals, excluded = find_series_files(tmp_path)
    assert not series
    assert {refusal.code for refusal in refusals} == {"seg-no-series", "series-empty"}
    assert excluded == {"series-other-object": 5}


def test_memory_grows_by_less_than_the_volume(tmp_path):
    side, peaks = 400, []
    for slices in (4, 16):
        folder = tmp_path / str(slices)
        folder.mkdir()
        labels = np.tile(phantom_labels(1, side, side), (slices, 1, 1)) > 0
        hu = np.tile(phantom_hu(1, side, side), (slices, 1, 1))
        write_case(folder, {"Liver": labels, "Lesion": labels}, hu=hu)
        tracemalloc.start()
        try:
            pair = SeriesWithSeg(files_of(folder), MAPPING)
            assert sum(bool(part.any()) for _, part in pair.slices()) == slices
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    # A slice has 320 kB of pixels and 2 x 20 kB of segments with one bit per pixel. A mask with one
    # byte per pixel would take 160 kB.
    assert (peaks[1] - peaks[0]) / 12 < 120_000

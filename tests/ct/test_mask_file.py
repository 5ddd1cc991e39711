"""Masks: DICOM SEG by position and reference, PNG by an explicit mapping, NIfTI."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from liver_tf.ct.dicom_seg import read_dicom_seg
from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.mask_file import read_mask
from liver_tf.ct.nifti_volume import read_nifti_volume
from liver_tf.ct.png_mask import read_png_mask
from liver_tf.ct.segment_labels import labels_from_segments
from liver_tf.refusals import Refusal
from tests.builders.ct_files import (
    as_lps_file,
    phantom_hu,
    phantom_labels,
    write_dicom,
    write_nifti,
    write_nifti_pair,
    write_seg,
    write_series,
)

LABELS = phantom_labels()
SEGMENTS = {"Liver": LABELS == 1, "Metastasis": LABELS == 2}


@pytest.fixture
def series(tmp_path):
    write_series(tmp_path / "series")
    return read_dicom_series(tmp_path / "series")


class TestDicomSeg:
    def test_frames_match_their_slices_in_any_order(self, tmp_path, series):
        path = write_seg(tmp_path / "seg.dcm", SEGMENTS)
        liver, lesion = read_dicom_seg(path, series)
        assert (liver.number, liver.label, liver.code) == (1, "Liver", "SRT:T-1")
        np.testing.assert_array_equal(liver.mask, LABELS == 1)
        np.testing.assert_array_equal(lesion.mask, LABELS == 2)
        for mapping in ({1: 1, 2: 4}, {"liver": 1, "METASTASIS": 4}, {"SRT:T-1": 1, "srt:t-2": 4}):
            labels = read_mask(path, series, mapping)
            np.testing.assert_array_equal(labels, np.where(LABELS == 2, 4, LABELS))

    def test_a_single_slice_uses_only_its_frames(self, tmp_path, series):
        path = write_seg(tmp_path / "seg.dcm", SEGMENTS)
        for index, file in enumerate(series.source.files):
            mask = read_mask(path, read_dicom_slice(file), {1: 1, 2: 2})
            np.testing.assert_array_equal(mask[0], LABELS[index])

    def test_a_slice_segmented_as_empty_has_an_empty_mask(self, tmp_path, series):
        only_top = LABELS.copy()
        only_top[:4] = 0
        path = write_seg(tmp_path / "seg.dcm", {"Liver": only_top > 0})
        scan = read_dicom_slice(series.source.files[1])
        assert not read_mask(path, scan, {1: 1}).any()

    @pytest.mark.parametrize(
        ("change", "code", "words"),
        [
            (
                lambda d: setattr(d.ReferencedSeriesSequence[0], "SeriesInstanceUID", "1.2.3"),
                "seg-other-series",
                "other series",
            ),
            (
                lambda d: d.PerFrameFunctionalGroupsSequence.pop(),
                "seg-frames",
                "6 descriptions for 7 frames",
            ),
            (
                lambda d: setattr(d, "NumberOfFrames", 6),
                "seg-frames",
                "7 descriptions for 6 frames",
            ),
            (
                lambda d: setattr(
                    d.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0],
                    "ImagePositionPatient",
                    [-11, -12, -298.7],
                ),
                "seg-frame-unmatched",
                "from the nearest slice",
            ),
            (
                lambda d: setattr(
                    d.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0],
                    "ImagePositionPatient",
                    [-10, -12, -300],
                ),
                "seg-frame-unmatched",
                "1.00 mm from",
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
                "another slice",
            ),
            (
                lambda d: delattr(d.PerFrameFunctionalGroupsSequence[0], "PlanePositionSequence"),
                "seg-frames",
                "lacks one",
            ),
            (
                lambda d: setattr(
                    d.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0],
                    "ImageOrientationPatient",
                    [-1, 0, 0, 0, 1, 0],
                ),
                "seg-other-grid",
                "oriented",
            ),
            (
                lambda d: setattr(
                    d.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0],
                    "PixelSpacing",
                    [0.4, 0.35],
                ),
                "seg-other-grid",
                "pixel spacing",
            ),
            (
                lambda d: setattr(
                    d.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence[0],
                    "ReferencedSegmentNumber",
                    9,
                ),
                "seg-segments",
                "another segment",
            ),
            (
                lambda d: setattr(d, "SegmentationType", "FRACTIONAL"),
                "seg-not-binary",
                "fractional",
            ),
            (lambda d: setattr(d, "PixelData", d.PixelData[:-2]), "dicom-truncated", "bytes"),
            (lambda d: setattr(d, "Columns", 16), "dicom-truncated", "bytes"),
            (lambda d: setattr(d, "SOPClassUID", "1.2.3"), "seg-not-seg", "another DICOM object"),
        ],
    )
    def test_other_segmentations_are_refused(self, tmp_path, series, change, code, words):
        path = write_seg(tmp_path / "seg.dcm", SEGMENTS, change=change)
        with pytest.raises(Refusal) as caught:
            read_dicom_seg(path, series)
        assert caught.value.code == code
        assert words in caught.value.text()

    def test_two_frames_of_a_segment_on_one_slice_are_refused(self, tmp_path, series):
        def change(dataset):
            frames = dataset.PerFrameFunctionalGroupsSequence
            for keyword in ("PlanePositionSequence", "DerivationImageSequence"):
                for frame in frames:
                    setattr(frame, keyword, getattr(frames[0], keyword))

        path = write_seg(tmp_path / "seg.dcm", {"Liver": LABELS > 0}, change=change)
        with pytest.raises(Refusal, match="seg-frame-twice"):
            read_dicom_seg(path, series)

    def test_frames_of_another_size_are_refused(self, tmp_path, series):
        path = write_seg(tmp_path / "seg.dcm", {"Liver": (LABELS > 0)[:, :, 1:]})
        with pytest.raises(Refusal, match=r"seg-other-grid.*24 x 32.*24 x 31"):
            read_dicom_seg(path, series)

    def test_a_seg_for_a_nifti_is_refused(self, tmp_path):
        path = write_seg(tmp_path / "seg.dcm", SEGMENTS)
        with pytest.raises(Refusal, match="seg-scan"):
            read_dicom_seg(path, read_nifti_volume(write_nifti_pair(tmp_path)[0]))

    def test_overlaps_and_unmapped_segments_are_refused(self, tmp_path, series):
        path = write_seg(
            tmp_path / "seg.dcm",
            {"Liver": LABELS > 0, "Cyst": LABELS == 2, "Metastasis": LABELS == 2},
        )
        segments = read_dicom_seg(path, series)
        with pytest.raises(Refusal, match=r"mask-unmapped.*segment 3"):
            labels_from_segments(segments, {1: 1, 2: 2}, path)
        with pytest.raises(Refusal, match="seg-overlap"):
            labels_from_segments(segments, {1: 1, 2: 2, 3: 0}, path)
        labels = labels_from_segments(segments, {1: 1, 2: 2, 3: 0}, path, lesions_over_liver=True)
        np.testing.assert_array_equal(labels, LABELS)
        # Two lesion types on one pixel are always a contradiction.
        with pytest.raises(Refusal, match="seg-overlap"):
            read_mask(path, series, {1: 1, 2: 2, 3: 4})


class TestPng:
    VALUES = np.array([[0, 1, 2], [2, 0, 1]], np.uint8)

    def save(self, tmp_path, values, mode=None, **options):
        image = Image.fromarray(values) if mode is None else Image.fromarray(values).convert(mode)
        image.save(tmp_path / "mask.png", **options)
        return tmp_path / "mask.png"

    def refusal(self, path, shape=(2, 3), mapping=None):
        with pytest.raises(Refusal) as caught:
            read_png_mask(path, shape, mapping or {0: 0, 1: 1, 2: 2})
        return caught.value

    def test_values_are_mapped_to_labels(self, tmp_path):
        path = self.save(tmp_path, self.VALUES)
        labels = read_png_mask(path, (2, 3), {0: 0, 1: 1, 2: 4})
        assert labels.dtype == np.uint8
        np.testing.assert_array_equal(labels, [[0, 1, 4], [4, 0, 1]])

    def test_one_bit_and_palette_images_are_read(self, tmp_path):
        binary = self.VALUES > 0
        path = self.save(tmp_path, binary)
        np.testing.assert_array_equal(read_png_mask(path, (2, 3), {0: 0, 1: 1}), binary)
        image = Image.fromarray(self.VALUES, "P")
        image.putpalette([9, 9, 9, 200, 0, 0, 0, 0, 200])
        image.save(tmp_path / "palette.png")
        assert self.refusal(tmp_path / "palette.png").code == "mask-palette"
        labels = read_png_mask(
            tmp_path / "palette.png", (2, 3), {0: 0, 1: 1, 2: 2}, palette_index=True
        )
        np.testing.assert_array_equal(labels, self.VALUES)

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
    def test_a_palette_image_has_the_greys_that_it_shows(self, tmp_path, order):
        """However a program arranges its palette; Pillow's greyscale conversion is the oracle."""
        image = Image.fromarray(np.argsort(order)[self.VALUES].astype(np.uint8), "P")
        image.putpalette([grey for value in order for grey in (value, value, value)])
        image.save(tmp_path / "palette.png")
        np.testing.assert_array_equal(
            np.array(Image.open(tmp_path / "palette.png").convert("L")), self.VALUES
        )
        labels = read_png_mask(tmp_path / "palette.png", (2, 3), {0: 0, 1: 1, 2: 4})
        np.testing.assert_array_equal(labels, np.array([0, 1, 4])[self.VALUES])

    @pytest.mark.parametrize(("depth", "rows"), [(2, [0b00011000]), (4, [0x01, 0x20])])
    def test_samples_of_two_and_four_bits_are_used_as_values(self, tmp_path, depth, rows):
        header = struct.pack(">IIBBBBB", 3, 1, depth, 0, 0, 0, 0)
        body = b"\x89PNG\r\n\x1a\n"
        for name, data in (
            (b"IHDR", header),
            (b"IDAT", zlib.compress(bytes([0, *rows]))),
            (b"IEND", b""),
        ):
            body += struct.pack(">I", len(data)) + name + data
            body += struct.pack(">I", zlib.crc32(name + data))
        (tmp_path / "mask.png").write_bytes(body)
        labels = read_png_mask(tmp_path / "mask.png", (1, 3), {0: 0, 1: 1, 2: 2})
        np.testing.assert_array_equal(labels, [[0, 1, 2]])

    def test_0_and_255_need_an_explicit_mapping(self, tmp_path):
        values = np.where(self.VALUES > 0, 255, 0).astype(np.uint8)
        path = self.save(tmp_path, values)
        refusal = self.refusal(path)
        assert refusal.code == "mask-0-255"
        assert "Add the meaning of each value" in refusal.text()
        labels = read_png_mask(path, (2, 3), {0: 0, 255: 1})
        np.testing.assert_array_equal(labels, self.VALUES > 0)

    def test_unmapped_values_other_shapes_colour_and_16_bits_are_refused(self, tmp_path):
        path = self.save(tmp_path, self.VALUES + np.uint8(3))
        assert self.refusal(path).code == "mask-unmapped"
        assert "also 3, 4, 5" in self.refusal(path).text()
        path = self.save(tmp_path, self.VALUES)
        assert self.refusal(path, shape=(3, 2)).code == "mask-shape"
        for mode in ("RGB", "RGBA", "LA"):
            path = self.save(tmp_path, self.VALUES, mode=mode)
            assert self.refusal(path).code == "mask-colour"
        path = self.save(tmp_path, self.VALUES.astype(np.uint16))
        refusal = self.refusal(path)
        assert refusal.code == "mask-colour"
        assert "16 bits" in refusal.text()

    def test_damaged_files_and_other_formats_are_refused(self, tmp_path):
        noise = np.random.default_rng(1).integers(0, 3, (40, 40)).astype(np.uint8)
        data = self.save(tmp_path, noise).read_bytes()
        flipped = bytearray(data)
        flipped[len(data) // 2] ^= 1
        bad_end = data[:-1] + b"\0"
        spliced = data + data[-30:]
        truncated = (data[: len(data) // 2], data[:-6], data[:8])
        for content in (*truncated, bytes(flipped), bad_end, spliced):
            (tmp_path / "bad.png").write_bytes(content)
            assert self.refusal(tmp_path / "bad.png", (40, 40)).code == "mask-damaged"
        jpeg = io.BytesIO()
        Image.fromarray(noise).save(jpeg, "JPEG")
        for content in (b"", b"text", jpeg.getvalue()):
            (tmp_path / "bad.png").write_bytes(content)
            assert self.refusal(tmp_path / "bad.png", (40, 40)).code == "mask-format"
        (tmp_path / "a.png").unlink(missing_ok=True)
        assert self.refusal(tmp_path / "a.png").code == "file-missing"


class TestNiftiMaskOfDicom:
    def test_a_nifti_mask_is_placed_by_its_affine(self, tmp_path, series):
        stored, affine = as_lps_file(LABELS)
        flipped = affine.copy()
        flipped[:, 0] *= -1
        flipped[:3, 3] += affine[:3, 0] * 31
        write_nifti(tmp_path / "mask.nii.gz", stored[::-1], flipped)
        labels = read_mask(tmp_path / "mask.nii.gz", series, {0: 0, 1: 1, 2: 3})
        np.testing.assert_array_equal(labels, np.where(LABELS == 2, 3, LABELS))

    def test_a_nifti_mask_of_a_single_slice_is_read(self, tmp_path):
        scan = read_dicom_slice(write_dicom(tmp_path / "s.dcm", phantom_hu()[4], 4))
        stored, affine = as_lps_file(LABELS[4:])
        affine[2, 3] += 4 * 2.5
        write_nifti(tmp_path / "mask.nii", stored, affine)
        labels = read_mask(tmp_path / "mask.nii", scan, {0: 0, 1: 1, 2: 2})
        np.testing.assert_array_equal(labels, LABELS[4:])

    def test_another_position_shape_or_value_is_refused(self, tmp_path, series):
        stored, affine = as_lps_file(LABELS)
        identity = {0: 0, 1: 1, 2: 2}
        moved = affine.copy()
        moved[0, 3] += 0.7
        write_nifti(tmp_path / "moved.nii", stored, moved)
        write_nifti(tmp_path / "small.nii", stored[1:], affine)
        write_nifti(tmp_path / "good.nii", stored, affine)
        with pytest.raises(Refusal, match="mask-geometry"):
            read_mask(tmp_path / "moved.nii", series, identity)
        with pytest.raises(Refusal, match="mask-shape"):
            read_mask(tmp_path / "small.nii", series, identity)
        with pytest.raises(Refusal, match=r"mask-unmapped.*also 2"):
            read_mask(tmp_path / "good.nii", series, {0: 0, 1: 1})

    def test_pngs_and_other_formats_for_volumes_are_refused(self, tmp_path, series):
        Image.fromarray(LABELS[0]).save(tmp_path / "mask.png")
        with pytest.raises(Refusal, match="mask-shape"):
            read_mask(tmp_path / "mask.png", series, {0: 0, 1: 1})
        (tmp_path / "mask.txt").write_text("0 1 0 1")
        with pytest.raises(Refusal, match="mask-format"):
            read_mask(tmp_path / "mask.txt", series, {0: 0, 1: 1})

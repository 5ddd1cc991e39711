"""DICOM slices and series: damaged, misleading and unusable files are refused."""

from __future__ import annotations

import resource

import nibabel
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    EnhancedCTImageStorage,
    JPEGLSLossless,
    MRImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from liver_tf.ct import dicom_decoding
from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.nifti_writer import write_nifti_labels
from liver_tf.ct.scan import has_geometry
from liver_tf.refusals import Refusal
from tests.builders.ct_files import (
    ct_dataset,
    phantom_hu,
    phantom_labels,
    write_dicom,
    write_nifti_pair,
    write_seg,
    write_series,
)

HU = phantom_hu()[2]

# Warnings of pydicom quote element values, which may be patient data, so none may be issued.
pytestmark = pytest.mark.filterwarnings("error")


def refusal_of(path) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read_dicom_slice(path)
    assert caught.value.path == path
    return caught.value


def setter(**elements):
    def change(dataset):
        for keyword, value in elements.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)

    return change


def test_a_valid_slice_is_read(tmp_path):
    scan = read_dicom_slice(write_dicom(tmp_path / "s.dcm", HU))
    assert scan.hu.dtype == np.int16
    np.testing.assert_array_equal(scan.hu, HU[np.newaxis])
    assert scan.spacing_mm == (2.5, 0.8, 0.7)
    assert scan.cautions == ()
    assert scan.details == {"manufacturer": "siemens", "kvp": "120", "slice_thickness_mm": "2.5"}
    assert has_geometry(scan)


@pytest.mark.parametrize(
    ("elements", "code", "words"),
    [
        ({"RescaleSlope": None}, "dicom-rescale", "RescaleSlope"),
        ({"RescaleIntercept": None}, "dicom-rescale", "RescaleIntercept"),
        ({"RescaleSlope": 0}, "dicom-rescale", "found 0"),
        ({"RescaleSlope": ""}, "dicom-rescale", "found none"),
        ({"RescaleType": "OD"}, "dicom-not-hu", "RescaleType HU"),
        ({"RescaleIntercept": 0}, "hu-unscaled", "look unscaled"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "dicom-photometric", "MONOCHROME1"),
        ({"PhotometricInterpretation": "RGB"}, "dicom-photometric", "RGB"),
        ({"SamplesPerPixel": 3}, "dicom-photometric", "one sample"),
        ({"BurnedInAnnotation": "YES"}, "dicom-burned-in", "BurnedInAnnotation YES"),
        ({"Modality": "MR"}, "dicom-not-ct", "another modality"),
        ({"SOPClassUID": MRImageStorage}, "dicom-not-ct", "MR Image Storage"),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, "dicom-not-ct", "Secondary Capture"),
        ({"SOPClassUID": EnhancedCTImageStorage}, "dicom-enhanced", "Enhanced CT Image Storage"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "dicom-localizer", "scout"),
        ({"NumberOfFrames": 2}, "dicom-multiframe", "several frames"),
        ({"Rows": 25}, "dicom-truncated", "1600 bytes of pixels"),
        ({"Rows": 0}, "dicom-size", "0 x 32"),
        ({"Columns": 60000}, "dicom-size", "24 x 60000"),
        ({"PixelData": None}, "dicom-no-pixels", "pixel data"),
        ({"PixelSpacing": [0, 0.7]}, "dicom-spacing", "0 x 0.7 mm"),
        ({"PixelSpacing": [0.7]}, "dicom-number", "PixelSpacing"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "dicom-orientation", "perpendicular"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "dicom-not-axial", "coronal"),
        ({"BitsStored": 11, "HighBit": 10}, "dicom-bits", "stored values of 11 bits"),
        ({"PixelPaddingValue": 2048 + 50}, "dicom-padding", "50 to 50 HU"),
    ],
)
def test_unusable_elements_are_refused(tmp_path, elements, code, words):
    refusal = refusal_of(write_dicom(tmp_path / "s.dcm", HU, change=setter(**elements)))
    assert refusal.code == code
    assert words in refusal.text()


def test_a_file_without_dicm_prefix_is_refused(tmp_path):
    data = write_dicom(tmp_path / "s.dcm", HU).read_bytes()
    for content in (b"", b"text", data[132:]):
        (tmp_path / "raw.dcm").write_bytes(content)
        assert refusal_of(tmp_path / "raw.dcm").code == "dicom-no-prefix"


@pytest.mark.parametrize(
    ("keep", "codes"),
    [
        (0.5, {"dicom-truncated", "dicom-unreadable"}),
        (0.99, {"dicom-truncated", "dicom-unreadable"}),
    ],
)
def test_a_truncated_slice_is_refused(tmp_path, keep, codes):
    data = write_dicom(tmp_path / "s.dcm", HU).read_bytes()
    (tmp_path / "cut.dcm").write_bytes(data[: int(len(data) * keep)])
    assert refusal_of(tmp_path / "cut.dcm").code in codes


def test_a_file_truncated_at_any_byte_is_refused(tmp_path):
    data = write_dicom(tmp_path / "s.dcm", HU).read_bytes()
    for keep in range(0, len(data) - 1, 37):
        (tmp_path / "cut.dcm").write_bytes(data[:keep])
        assert refusal_of(tmp_path / "cut.dcm").code.startswith("dicom-")


def test_an_element_longer_than_the_file_allocates_no_memory(tmp_path):
    data = write_dicom(tmp_path / "s.dcm", HU).read_bytes()
    end = len(data) - 2 * HU.size
    assert data[end - 4 : end] == (2 * HU.size).to_bytes(4, "little")
    (tmp_path / "s.dcm").write_bytes(data[: end - 4] + b"\xf0\xff\xff\xff" + data[end:-2])
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    # With this limit, a request for 4 GiB would end in another refusal.
    resource.setrlimit(resource.RLIMIT_DATA, (2**31, limits[1]))
    try:
        assert refusal_of(tmp_path / "s.dcm").code == "dicom-truncated"
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, limits)


@pytest.mark.parametrize(
    ("before", "after", "code", "words"),
    [
        (b"IS\x02\x0011", b"IS\x02\x001A", "dicom-number", "InstanceNumber"),
        (b"DS\x06\x00-2048 ", b"DS\x06\x00-2O48 ", "dicom-rescale", "RescaleIntercept"),
        (b"DS\x02\x001 ", b"DS\x02\x00x ", "dicom-rescale", "RescaleSlope"),
        (b"DS\x06\x00-2048 ", b"DS\x06\x00nan   ", "dicom-rescale", "NaN"),
        (b"DS\x06\x00-2048 ", b"DS\x06\x00inf   ", "dicom-rescale", "infinity"),
    ],
)
def test_invalid_numbers_are_refused(tmp_path, before, after, code, words):
    data = write_dicom(tmp_path / "s.dcm", HU).read_bytes()
    assert data.count(before) == 1
    (tmp_path / "s.dcm").write_bytes(data.replace(before, after))
    refusal = refusal_of(tmp_path / "s.dcm")
    assert refusal.code == code
    assert words in refusal.text()


def test_padding_becomes_air_before_rescale(tmp_path):
    padded = HU.copy()
    padded[:3] = -2000

    def change(dataset):
        dataset.PixelPaddingValue = 48  # -2000 + 2048

    scan = read_dicom_slice(write_dicom(tmp_path / "s.dcm", padded, change=change))
    expected = HU.copy()
    expected[:3] = -1000
    np.testing.assert_array_equal(scan.hu[0], expected)


def test_a_padding_range_becomes_air(tmp_path):
    padded = HU.copy()
    padded[0], padded[1] = -2000, -1990

    def change(dataset):
        dataset.PixelPaddingValue, dataset.PixelPaddingRangeLimit = 60, 40

    scan = read_dicom_slice(write_dicom(tmp_path / "s.dcm", padded, change=change))
    assert (scan.hu[0, :2] == -1000).all()
    np.testing.assert_array_equal(scan.hu[0, 2:], HU[2:])


def test_padding_does_not_hide_unscaled_values(tmp_path):
    raw = (HU + 1100).astype(np.int16)
    raw[:3] = -2000

    def change(dataset):
        dataset.PixelPaddingValue = 48

    refusal = refusal_of(write_dicom(tmp_path / "s.dcm", raw, change=change))
    assert refusal.code == "hu-unscaled"


def test_signed_pixels_with_a_fractional_slope_are_read(tmp_path):
    def change(dataset):
        dataset.PixelRepresentation = 1
        dataset.RescaleIntercept, dataset.RescaleSlope = 0.5, 0.5
        dataset.PixelData = HU.astype("<i2").tobytes()

    scan = read_dicom_slice(write_dicom(tmp_path / "s.dcm", HU, change=change))
    assert scan.hu.dtype == np.float32
    np.testing.assert_array_equal(scan.hu[0], HU * np.float32(0.5) + np.float32(0.5))


def test_signed_12_bit_pixels_are_read_with_and_without_sign_extension(tmp_path):
    for mask in (0xFFFF, 0x0FFF):

        def change(dataset, mask=mask):
            dataset.PixelRepresentation = 1
            dataset.BitsStored, dataset.HighBit = 12, 11
            dataset.RescaleIntercept = 0
            dataset.PixelData = (HU.view(np.uint16) & mask).astype("<u2").tobytes()

        scan = read_dicom_slice(write_dicom(tmp_path / "s.dcm", HU, change=change))
        np.testing.assert_array_equal(scan.hu[0], HU)


def test_lossless_compression_keeps_the_voxels(tmp_path):
    dataset = ct_dataset(HU)
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.save_as(tmp_path / "s.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(read_dicom_slice(tmp_path / "s.dcm").hu[0], HU)


def test_a_missing_decoder_is_refused_with_syntax_and_extra(tmp_path, monkeypatch):
    class NoDecoder:
        is_available = False

    monkeypatch.setattr(dicom_decoding, "get_decoder", lambda syntax: NoDecoder())

    def change(dataset):
        dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
        dataset.PixelData = encapsulate([b"\xff\xd8\xff\xf7" + b"\0" * 100])
        dataset["PixelData"].is_undefined_length = True

    refusal = refusal_of(write_dicom(tmp_path / "s.dcm", HU, change=change))
    assert refusal.code == "dicom-no-decoder"
    assert "JPEG-LS Lossless" in refusal.text()
    assert "'.[codecs]'" in refusal.text()


def test_damaged_compressed_pixels_are_refused(tmp_path):
    def change(dataset):
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.PixelData = encapsulate([b"\x02" + b"\0" * 80])

    assert refusal_of(write_dicom(tmp_path / "s.dcm", HU, change=change)).code == "dicom-pixels"


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        ("PixelSpacing", "dicom-no-spacing"),
        ("ImageOrientationPatient", "dicom-no-orientation"),
        ("ImagePositionPatient", None),
        ("SliceThickness", None),
    ],
)
def test_missing_geometry_is_refused_only_when_geometry_is_written(tmp_path, missing, code):
    path = write_dicom(tmp_path / "s.dcm", HU, change=setter(**{missing: None}))
    scan = read_dicom_slice(path)
    np.testing.assert_array_equal(scan.hu[0], HU)
    assert [caution.code for caution in scan.cautions] == ([code] if code else [])
    assert (scan.spacing_mm is None) == (missing == "PixelSpacing")
    assert np.isnan(scan.affine).any()
    labels = np.zeros(scan.hu.shape, np.uint8)
    with pytest.raises(Refusal, match=r"\[no-geometry\].*pixel spacing") as caught:
        write_nifti_labels(tmp_path / "labels.nii", labels, scan)
    assert caught.value.path == path
    assert not (tmp_path / "labels.nii").exists()


class TestSeries:
    def test_a_slice_with_another_rescale_gives_a_caution(self, tmp_path):
        def change(dataset, index):
            if index == 3:
                dataset.RescaleIntercept = "-1024"

        write_series(tmp_path / "series", change=change)
        (caution,) = read_dicom_series(tmp_path / "series").cautions
        assert caution.code == "series-rescale"
        assert caution.text.startswith("1 slice with a rescale slope or intercept unlike")

    def test_slices_are_sorted_by_position_not_by_name(self, tmp_path):
        paths = write_series(tmp_path / "series")
        assert paths != sorted(paths)
        scan = read_dicom_series(tmp_path / "series")
        np.testing.assert_array_equal(scan.hu, phantom_hu())
        assert scan.source.files == tuple(paths)
        assert scan.spacing_mm == pytest.approx((2.5, 0.8, 0.7))
        assert scan.cautions == ()
        np.testing.assert_allclose(scan.affine @ [0, 0, 0, 1], [11, 12, -300, 1])

    def test_labels_written_as_nifti_match_those_of_the_nifti_volume(self, tmp_path):
        write_series(tmp_path / "series")
        scan = read_dicom_series(tmp_path / "series")
        write_nifti_labels(tmp_path / "labels.nii.gz", phantom_labels(), scan)
        from_series = nibabel.load(tmp_path / "labels.nii.gz")
        from_nifti = nibabel.load(write_nifti_pair(tmp_path)[1])
        np.testing.assert_array_equal(from_series.dataobj, from_nifti.dataobj)
        np.testing.assert_allclose(from_series.affine, from_nifti.affine, atol=1e-5)

    @pytest.mark.parametrize(
        ("change", "code", "words"),
        [
            (
                lambda d, i: setattr(d, "SeriesInstanceUID", f"1.2.{i % 2 + 3}"),
                "series-mixed",
                "2 groups",
            ),
            (
                lambda d, i: i == 3 and setattr(d, "ImagePositionPatient", [-11, -12, -295]),
                "series-duplicate-position",
                "1 position",
            ),
            (
                lambda d, i: i == 4 and setattr(d, "ImagePositionPatient", [-11, -12, -285]),
                "series-spacing",
                "2.50 to 7.50 mm",
            ),
            (
                lambda d, i: setattr(d, "ImagePositionPatient", [-11, -12 + i, -300 + 2.5 * i]),
                "series-tilted",
                "tilted gantry",
            ),
            (
                lambda d, i: i == 2 and delattr(d, "ImagePositionPatient"),
                "series-no-geometry",
                "position",
            ),
            (lambda d, i: i == 2 and delattr(d, "RescaleSlope"), "dicom-rescale", "Slope"),
        ],
        ids=["two-series", "duplicate", "gap", "tilt", "no-position", "one-bad-slice"],
    )
    def test_slices_that_cannot_be_stacked_are_refused(self, tmp_path, change, code, words):
        write_series(tmp_path / "series", change=change)
        with pytest.raises(Refusal) as caught:
            read_dicom_series(tmp_path / "series")
        assert caught.value.code == code
        assert words in caught.value.text()

    def test_each_slice_of_a_tilted_series_can_be_read_alone(self, tmp_path):
        paths = write_series(
            tmp_path / "series",
            change=lambda d, i: setattr(d, "ImagePositionPatient", [-11, i - 12, 2.5 * i]),
        )
        np.testing.assert_array_equal(read_dicom_slice(paths[3]).hu[0], phantom_hu()[3])

    def test_stray_slices_are_excluded_with_a_caution(self, tmp_path):
        folder = tmp_path / "series"
        write_series(folder)
        write_dicom(folder / "a.dcm", HU, change=setter(SeriesInstanceUID="1.2.3"))
        write_dicom(
            folder / "b.dcm", HU, change=setter(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
        )
        write_seg(folder / "c.dcm", {"liver": phantom_labels() > 0})
        (folder / "notes.txt").write_text("read me")
        (folder / ".DS_Store").write_bytes(b"\0")
        (folder / "subfolder").mkdir()
        scan = read_dicom_series(folder)
        np.testing.assert_array_equal(scan.hu, phantom_hu())
        assert sorted(caution.code for caution in scan.cautions) == [
            "series-localizer",
            "series-not-dicom",
            "series-other-object",
            "series-stray-slice",
        ]

    def test_a_broken_file_with_a_dicom_suffix_is_refused(self, tmp_path):
        write_series(tmp_path / "series")
        (tmp_path / "series" / "x.dcm").write_bytes(b"")
        with pytest.raises(Refusal, match="dicom-no-prefix"):
            read_dicom_series(tmp_path / "series")

    def test_a_missing_folder_and_an_empty_folder_are_refused(self, tmp_path):
        with pytest.raises(Refusal, match="series-folder"):
            read_dicom_series(tmp_path / "none")
        with pytest.raises(Refusal, match="series-empty"):
            read_dicom_series(tmp_path)

    def test_a_float_slice_makes_the_volume_float(self, tmp_path):
        def change(dataset, index):
            if index == 1:
                dataset.RescaleSlope, dataset.RescaleIntercept = 0.5, -1024.5

        write_series(tmp_path / "series", change=change)
        scan = read_dicom_series(tmp_path / "series")
        expected = phantom_hu().astype(np.float32)
        expected[1] = (expected[1] + 2048) * 0.5 - 1024.5
        np.testing.assert_array_equal(scan.hu, expected)

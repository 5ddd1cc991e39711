"""Compressed pixels of 10 to 16 bits have the HU of the uncompressed ones, whatever their sign.

The precision of a compressed stream may exceed BitsStored, and JPEG-LS does not record a sign.
"""

from __future__ import annotations

import importlib

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.refusals import Refusal
from tests.builders.ct_files import compress, compress_in_16_bits, phantom_hu, write_dicom

PACKAGES = {
    RLELossless: "pydicom",
    JPEG2000Lossless: "openjpeg",
    JPEGLSLossless: "jpeg_ls",
    JPEGLosslessSV1: "gdcm",
}
#: HU at which the values of 10 bits end; CT of so few bits has a slope.
SLOPE = {10: 4, 12: 1, 13: 1, 16: 1}


def stored_values(bits: int, signed: bool, padded: bool) -> tuple[np.ndarray, int, int]:
    """int32 [48, 64] stored values, intercept and padding value; soft tissue, air and bone."""
    slope = SLOPE[bits]
    intercept = -(100 if signed else 1100)
    hu = np.clip(phantom_hu(1, 48, 64)[0].astype(int), -1050, 900)
    stored = np.round((hu - intercept) / slope).astype(np.int32)
    padding = -(2 ** (bits - 1)) if signed else 2**bits - 1
    if bits > 12:
        padding = -2000 if signed else 4095
    if padded:
        stored[:2] = padding
    return stored, intercept, padding


def write_plain(path, bits: int, signed: bool, padded: bool) -> np.ndarray:
    """Write an uncompressed slice; returns its HU, padding as air."""
    stored, intercept, padding = stored_values(bits, signed, padded)

    def change(dataset):
        dataset.BitsStored, dataset.HighBit = bits, bits - 1
        dataset.PixelRepresentation = int(signed)
        dataset.RescaleSlope, dataset.RescaleIntercept = str(SLOPE[bits]), str(intercept)
        if padded:
            dataset.add_new("PixelPaddingValue", "SS" if signed else "US", padding)
        dataset.PixelData = stored.astype("<i2" if signed else "<u2").tobytes()

    write_dicom(path, np.zeros(stored.shape, np.int16), change=change)
    hu = stored * SLOPE[bits] + intercept
    return np.where(stored == padding, -1000, hu) if padded else hu


@pytest.mark.parametrize("padded", [False, True], ids=["plain", "padded"])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("bits", [10, 12, 13, 16])
@pytest.mark.parametrize(
    ("syntax", "wide"),
    [
        *((syntax, False) for syntax in PACKAGES),
        (JPEGLSLossless, True),
        (JPEG2000Lossless, True),
    ],
    ids=lambda value: value.keyword if hasattr(value, "keyword") else "16" * value,
)
def test_compressed_slices_have_the_hu_of_uncompressed_ones(
    tmp_path, syntax, wide, bits, signed, padded
):
    pytest.importorskip(
        PACKAGES[syntax], reason="a decoder is missing (pip install 'liver_tf[codecs]')"
    )
    plain, compressed = tmp_path / "plain.dcm", tmp_path / "compressed.dcm"
    expected = write_plain(plain, bits, signed, padded)
    compressed.write_bytes(plain.read_bytes())
    if wide:
        compress_in_16_bits(compressed, syntax)
    else:
        compress(compressed, syntax)
    for path in (plain, compressed):
        scan = read_dicom_slice(path)
        np.testing.assert_array_equal(scan.hu[0], expected)
        assert scan.cautions == ()
        if importlib.util.find_spec("SimpleITK") and not padded:
            np.testing.assert_array_equal(itk_values(path), expected)


def itk_values(path) -> np.ndarray:
    """[rows, columns] as SimpleITK (GDCM) rescales them; padding stays as stored."""
    import SimpleITK

    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))[0]


def test_simpleitk_extends_the_sign_of_wide_streams_too(tmp_path):
    pytest.importorskip("SimpleITK", reason="pip install 'liver_tf[itk]'")
    pytest.importorskip("jpeg_ls", reason="pip install 'liver_tf[codecs]'")
    path = tmp_path / "slice.dcm"
    expected = write_plain(path, 13, True, padded=True)
    compress_in_16_bits(path, JPEGLSLossless)
    inside = expected != -1000
    np.testing.assert_array_equal(itk_values(path)[inside], expected[inside])
    assert set(itk_values(path)[:2].ravel()) == {-2100}


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
def test_a_wide_stream_with_other_high_bits_is_refused(tmp_path, syntax):
    pytest.importorskip(PACKAGES[syntax], reason="pip install 'liver_tf[codecs]'")
    path = tmp_path / "slice.dcm"
    write_plain(path, 12, False, padded=False)
    dataset = pydicom.dcmread(path)
    values = np.frombuffer(dataset.PixelData, "<u2").copy()
    values[5] |= 1 << 13
    dataset.PixelData = values.tobytes()
    dataset.save_as(path)
    compress_in_16_bits(path, syntax)
    with pytest.raises(Refusal, match=r"\[dicom-bits\]"):
        read_dicom_slice(path)

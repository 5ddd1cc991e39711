"""Losslessly compressed slices keep their voxels in every transfer syntax that scanners use."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.refusals import Refusal
from tests.builders.ct_files import compress, phantom_hu, write_dicom

#: Package of the extra ``codecs`` that decodes each syntax; pydicom itself decodes RLE.
DECODERS = {
    RLELossless: "pydicom",
    JPEG2000Lossless: "openjpeg",
    JPEGLSLossless: "jpeg_ls",
    JPEGLossless: "gdcm",
    JPEGLosslessSV1: "gdcm",
}


def make_signed(dataset):
    """Store signed values in two's complement, as many scanners do."""
    stored = np.frombuffer(dataset.PixelData, "<u2").astype(np.int32) - 2048
    dataset.PixelRepresentation = 1
    dataset.RescaleIntercept = "0"
    dataset.PixelData = stored.astype("<i2").tobytes()


@pytest.mark.parametrize("change", [None, make_signed], ids=["unsigned", "signed"])
@pytest.mark.parametrize("syntax", DECODERS, ids=lambda syntax: syntax.keyword)
def test_lossless_slices_keep_their_voxels(tmp_path, syntax, change):
    pytest.importorskip(
        DECODERS[syntax], reason="a decoder is missing (pip install 'liver_tf[codecs]')"
    )
    hu = phantom_hu(2, 64, 96)[1]
    path = write_dicom(tmp_path / "slice.dcm", hu, change=change)
    compress(path, syntax)
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax
    scan = read_dicom_slice(path)
    np.testing.assert_array_equal(scan.hu[0], hu)
    assert scan.cautions == ()


@pytest.mark.parametrize("length", [0xFFFFFFFE, 0x7FFFFFFF, 1 << 20])
def test_pixel_data_shorter_than_they_state_are_refused(tmp_path, length):
    """Also if they are long enough for the rows and columns: the file is damaged or truncated."""
    path = write_dicom(tmp_path / "slice.dcm", phantom_hu()[2])
    data = path.read_bytes()
    at = data.rindex(b"\xe0\x7f\x10\x00OW") + 8
    path.write_bytes(data[:at] + length.to_bytes(4, "little") + data[at + 4 :])
    with pytest.raises(Refusal, match=rf"\[dicom-truncated\] expected {length} bytes"):
        read_dicom_slice(path)

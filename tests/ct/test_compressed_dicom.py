"""Slices compressed without loss come back voxel for voxel, in every syntax that scanners store."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from ct_files import phantom_hu, write_dicom
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from liver_tf.ct.dicom_slice import read_dicom_slice

#: Package that decodes it, of the extra ``codecs``; pydicom itself decodes RLE.
DECODERS = {
    RLELossless: "pydicom",
    JPEG2000Lossless: "openjpeg",
    JPEGLSLossless: "jpeg_ls",
    JPEGLossless: "gdcm",
    JPEGLosslessSV1: "gdcm",
}


def compress(path, syntax):
    """Rewrite a file with compressed pixels."""
    if syntax in (JPEGLossless, JPEGLosslessSV1):  # pydicom has no encoder for these
        import gdcm

        reader = gdcm.ImageReader()
        reader.SetFileName(str(path))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        kind = "JPEGLosslessProcess14"
        kind += "_1" if syntax == JPEGLosslessSV1 else ""
        change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, kind)))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.SetFileName(str(path))
        assert writer.Write()
        return
    dataset = pydicom.dcmread(path)
    dataset.compress(syntax, generate_instance_uid=False)
    dataset.save_as(path)


def signed(dataset):
    """Stored as two's complement with negative numbers, as many scanners do."""
    stored = np.frombuffer(dataset.PixelData, "<u2").astype(np.int32) - 2048
    dataset.PixelRepresentation = 1
    dataset.RescaleIntercept = "0"
    dataset.PixelData = stored.astype("<i2").tobytes()


@pytest.mark.parametrize("change", [None, signed], ids=["unsigned", "signed"])
@pytest.mark.parametrize("syntax", DECODERS, ids=lambda syntax: syntax.keyword)
def test_voxels_come_back(tmp_path, syntax, change):
    pytest.importorskip(DECODERS[syntax], reason="the extra codecs is not installed")
    hu = phantom_hu(2, 64, 96)[1]
    path = write_dicom(tmp_path / "slice.dcm", hu, change=change)
    compress(path, syntax)
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax
    scan = read_dicom_slice(path)
    np.testing.assert_array_equal(scan.hu[0], hu)
    assert scan.cautions == ()

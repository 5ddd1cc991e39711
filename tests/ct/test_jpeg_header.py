"""The size in a compressed image must equal the size in the DICOM header."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGExtended12Bit, JPEGLSLossless

from liver_tf.ct import dicom_decoding
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.jpeg_header import coded_size
from liver_tf.refusals import Refusal
from tests.builders.ct_files import phantom_hu, write_dicom

HU = phantom_hu(1, 48, 64)[0]


def encoded(form: str, shape: tuple[int, ...], **options) -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.zeros(shape, np.uint8)).save(data, form, **options)
    return data.getvalue()


@pytest.mark.parametrize("shape", [(48, 64), (200, 31), (40, 40, 3)])
@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "comment": b"before the frame"}),
        ("JPEG2000", {"no_jp2": True}),
        ("JPEG2000", {"no_jp2": False}),
        ("JPEG2000", {"no_jp2": True, "offset": (5, 3), "tile_size": (90, 90)}),
    ],
)
def test_the_size_equals_the_one_written_by_pillow(shape, form, options):
    components = shape[2] if len(shape) == 3 else 1
    assert coded_size(encoded(form, shape, **options)) == (*shape[:2], components)


def test_size_of_a_hand_written_jpeg_ls_header():
    frame = struct.pack(">2sBBHBHHBBBB", b"\xff\xd8", 0xFF, 0xF7, 11, 16, 48, 64, 1, 1, 0x11, 0)
    assert coded_size(frame) == (48, 64, 1)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\x4f\xff\x51" + b"\0" * 20, b"x" * 99])
def test_other_data_have_no_size(data):
    assert coded_size(data) is None


def jpeg_2000(dataset, size=None, frames=1):
    stored = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
    data = io.BytesIO()
    Image.fromarray(stored).save(data, "JPEG2000", no_jp2=True)
    frame = data.getvalue()
    if size is not None:  # image and tile size: a decoder would allocate memory for it
        width_height = struct.pack(">II", size[1], size[0])
        frame = frame[:8] + width_height + frame[16:24] + width_height + frame[32:]
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.PixelData = encapsulate([frame] * frames)
    dataset["PixelData"].is_undefined_length = True


def test_jpeg_2000_of_the_right_size_is_read(tmp_path):
    path = write_dicom(tmp_path / "s.dcm", HU, change=jpeg_2000)
    np.testing.assert_array_equal(read_dicom_slice(path).hu[0], HU)


@pytest.mark.parametrize("size", [(20000, 20000), (48, 63)])
def test_another_size_is_refused_before_decoding(tmp_path, monkeypatch, size):
    path = write_dicom(tmp_path / "s.dcm", HU, change=lambda dataset: jpeg_2000(dataset, size))
    monkeypatch.setattr(dicom_decoding, "decode_apart", lambda *_: pytest.fail("decoded"))
    with pytest.raises(
        Refusal, match=rf"dicom-pixels.*image of {size[0]} x {size[1]} with 1 sample"
    ):
        read_dicom_slice(path)


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEGExtended12Bit])
def test_a_codestream_without_a_size_is_refused(tmp_path, monkeypatch, syntax):
    def change(dataset):
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = encapsulate([b"\xff\xd8\xff\xf7" + b"\0" * 100])
        dataset["PixelData"].is_undefined_length = True

    class Decoder:
        is_available = True

    monkeypatch.setattr(dicom_decoding, "get_decoder", lambda _: Decoder())
    with pytest.raises(Refusal, match="dicom-pixels"):
        read_dicom_slice(write_dicom(tmp_path / "s.dcm", HU, change=change))

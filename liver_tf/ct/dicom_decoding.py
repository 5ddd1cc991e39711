"""Pixel data of a DICOM file as stored values, checked against the header before decoding."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, RLELossless

from liver_tf.counted import counted
from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.decoder_process import AS_DECODED, decode_apart
from liver_tf.ct.dicom_elements import broken_file, quiet_pydicom, uid_name, value_of, whole_number
from liver_tf.ct.jpeg_header import coded_size
from liver_tf.refusals import Refusal

MAX_SIDE = 8192

#: Length of an encapsulated element (PS3.5, 7.1).
_UNDEFINED_LENGTH = 0xFFFFFFFF


def decode_pixels(dataset: FileDataset, path: Path, frames: int) -> np.ndarray:
    """Stored pixel values [frames, rows, columns], without rescale, dtype of the decoder."""
    check_pixels(dataset, path, frames)
    return np.stack([decode_frame(dataset, path, index) for index in range(frames)])


def check_pixels(dataset: FileDataset, path: Path, frames: int) -> tuple[int, int]:
    """Check that pixel data of the size in the header can be decoded; return (rows, columns)."""
    stated = getattr(dataset.get_item("PixelData"), "length", _UNDEFINED_LENGTH)
    data = value_of(dataset, "PixelData", path)
    if not isinstance(data, bytes) or not data:
        found = "no PixelData, or a file that is truncated before it"
        raise bad_input("dicom-no-pixels", path, "pixel data", found)
    if stated != _UNDEFINED_LENGTH and stated > len(data):
        expected = f"{stated} bytes of pixel data, as the element states"
        raise bad_input("dicom-truncated", path, expected, f"{len(data)} bytes")
    rows = whole_number(dataset, "Rows", path) or 0
    columns = whole_number(dataset, "Columns", path) or 0
    if not (1 <= rows <= MAX_SIDE and 1 <= columns <= MAX_SIDE):
        expected = f"1 to {MAX_SIDE} rows and columns"
        raise bad_input("dicom-size", path, expected, f"{rows} x {columns}")
    try:
        with quiet_pydicom():
            syntax = UID(dataset.file_meta.TransferSyntaxUID)
        compressed = syntax.is_compressed
    except Exception:  # a missing or private transfer syntax
        raise broken_file(path) from None
    if compressed:
        _require_decoder(syntax, path)
        if syntax != RLELossless:  # RLE data do not state their size
            _refuse_other_size(data, path, (rows, columns), frames)
    else:
        bits = whole_number(dataset, "BitsAllocated", path) or 0
        needed = (frames * rows * columns * bits + 7) // 8
        if len(data) not in (needed, needed + needed % 2):
            expected = f"{needed} bytes of pixels for {frames} x {rows} x {columns}"
            raise bad_input("dicom-truncated", path, expected, f"{len(data)} bytes")
    return rows, columns


def decode_frame(dataset: FileDataset, path: Path, index: int) -> np.ndarray:
    """Stored values [rows, columns] of one frame, after :func:`check_pixels`.

    The other frames are not decoded.
    """
    rows, columns = dataset.Rows, dataset.Columns
    with _decoding_errors_as_refusals(path):
        syntax = UID(dataset.file_meta.TransferSyntaxUID)
        if dataset.BitsAllocated == 1 and not syntax.is_encapsulated and syntax.is_little_endian:
            # A frame of single bits may begin within a byte (PS3.5, 8.1.1); pydicom cannot read
            # such a frame alone.
            first = index * rows * columns
            data = dataset.PixelData[first // 8 : (first + rows * columns + 7) // 8]
            bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
            return bits[first % 8 :][: rows * columns].reshape(rows, columns)
        if syntax.is_compressed and syntax != RLELossless:  # pydicom decodes RLE in Python
            values = decode_apart(path, index)
        else:
            values, _ = get_decoder(syntax).as_array(dataset, index=index, raw=True, **AS_DECODED)
        bits_stored, signed = int(dataset.BitsStored), bool(dataset.PixelRepresentation)
        values = values.reshape(rows, columns).astype(values.dtype.newbyteorder("="), copy=False)
    return _value_of_bits(values, bits_stored, signed, path)


def _value_of_bits(values: np.ndarray, bits: int, signed: bool, path: Path) -> np.ndarray:
    """The integers that the lowest ``bits`` of each value stand for (PS3.5, 8.1.1).

    A compressed stream has a precision of its own, often 16 bits, and may not know that its values
    are signed, so its decoder cannot extend their sign.

    Raises:
      Refusal: ``dicom-bits`` if the higher bits hold anything but zeros or copies of the sign: an
        overlay of an old file, or BitsStored is wrong and the HU would change.
    """
    shift = values.dtype.itemsize * 8 - bits
    if shift <= 0:
        return values
    stored = np.dtype(f"{'i' if signed else 'u'}{values.dtype.itemsize}")
    held = values.view(stored)
    extended = (held << shift) >> shift
    differ = extended != held
    if differ.any() and (values.view(f"u{stored.itemsize}")[differ] >> bits).any():
        found = "values with higher bits set (overlay in the pixels, or wrong BitsStored)"
        raise bad_input("dicom-bits", path, f"stored values of {bits} bits", found)
    return extended


@contextmanager
def _decoding_errors_as_refusals(path: Path) -> Iterator[None]:
    try:
        with quiet_pydicom():
            yield
    except Exception:  # decoders may raise anything, with values in the text
        raise _bad_pixels(path, _UNDECODABLE) from None


def _refuse_other_size(data: bytes, path: Path, size: tuple[int, int], frames: int) -> None:
    """Refuse frames that would decode to another size, for which a decoder allocates memory."""
    try:
        with quiet_pydicom():
            sizes = [coded_size(frame) for frame in generate_frames(data, number_of_frames=frames)]
    except Exception:  # truncated or wrongly nested items
        sizes = []
    if len(sizes) != frames:
        raise _bad_pixels(path, _UNDECODABLE)
    for each in sizes:
        if each is None:
            raise _bad_pixels(path, _UNDECODABLE)
        rows, columns, samples = each
        if each != (*size, 1):
            values = counted(samples, "sample")
            found = f"a compressed image of {rows} x {columns} with {values} per pixel"
            raise _bad_pixels(path, found)


_UNDECODABLE = "data that cannot be decoded"


def _bad_pixels(path: Path, found: str) -> Refusal:
    expected = "pixel data with the rows, columns and frames of the header"
    return bad_input("dicom-pixels", path, expected, found)


def _require_decoder(syntax: UID, path: Path) -> None:
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        # A UID that the standard does not define could hold anything, so it is not printed.
        name = uid_name(str(syntax)) or "a private transfer syntax"
        expected = "uncompressed pixels, or an installed decoder for them"
        found = f"pixels compressed as {name}, without an installed decoder"
        raise bad_input("dicom-no-decoder", path, expected, found)

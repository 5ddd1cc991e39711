"""NRRD (.nrrd) and MetaImage (.mha, .mhd) files, which 3D Slicer and ITK write.

Parsed here because ITK's reader accepts damaged compressed voxels without an error. Definitions:
teem.sourceforge.net/nrrd/format.html and the MetaIO documentation of ITK.
"""

import gzip
import io
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np

from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.input_file import read_start, refuse_expansion, require_file, unreadable
from liver_tf.ct.nifti_header import MAX_SIDE, MAX_VOXELS, NiftiHeader, NiftiPlacement
from liver_tf.refusals import Refusal

_NRRD_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_META_TYPES = {
    "i1": ("MET_CHAR",),
    "u1": ("MET_UCHAR",),
    "i2": ("MET_SHORT",),
    "u2": ("MET_USHORT",),
    "i4": ("MET_INT", "MET_LONG"),
    "u4": ("MET_UINT", "MET_ULONG"),
    "f4": ("MET_FLOAT",),
    "f8": ("MET_DOUBLE",),
}
#: Signs that bring a space of NRRD to RAS+.
_SPACES = {
    **dict.fromkeys(("left-posterior-superior", "lps"), (-1, -1, 1)),
    **dict.fromkeys(("right-anterior-superior", "ras"), (1, 1, 1)),
    **dict.fromkeys(("left-anterior-superior", "las"), (-1, 1, 1)),
}
_LONGEST_HEADER = 1 << 20


def is_itk_file(path: Path) -> bool:
    """Whether a file begins like NRRD or MetaImage."""
    start = read_start(path, 64)
    return start.startswith(b"NRRD000") or (
        path.suffix.lower() in (".mha", ".mhd") and b"=" in start
    )


def read_itk(path: Path | str) -> tuple[NiftiHeader, np.ndarray]:
    """Read the header, in the terms of NIfTI, and the stored values [i, j, k] in native order.

    Raises:
      Refusal: ``file-…`` and ``itk-…`` of ``docs/bad_input.md``.
    """
    path = require_file(path)
    try:
        data = path.read_bytes()
    except OSError:
        raise unreadable(path) from None
    read = _nrrd if data.startswith(b"NRRD000") else _meta_image
    try:
        shape, dtype, affine, voxels = read(data, path)
    except (KeyError, ValueError, IndexError):  # a field that is missing, or not a number
        expected = "a complete header of three dimensions"
        raise bad_input("itk-header", path, expected, "a missing or unreadable field") from None
    if len(voxels) != dtype.itemsize * math.prod(shape):
        expected = f"{dtype.itemsize * math.prod(shape)} bytes of voxels"
        raise bad_input("itk-size", path, expected, f"{len(voxels)} bytes")
    columns = np.linalg.norm(affine[:3, :3], axis=0)
    if not (
        np.isfinite(affine).all()
        and (columns > 1e-3).all()
        and (columns < 1e3).all()
        and abs(np.linalg.det(affine[:3, :3] / columns)) > 0.1
    ):
        expected = "a finite origin and directions that span three axes"
        raise bad_input("itk-geometry", path, expected, "others")
    stored = np.frombuffer(voxels, dtype).reshape(shape, order="F")
    stored = stored.astype(dtype.newbyteorder("="), copy=False)
    header = nibabel.Nifti1Header()
    header.set_data_shape(shape)
    header.set_zooms(columns)
    header.set_xyzt_units("mm")
    header.set_sform(affine, 1)
    header.set_qform(affine, 1, strip_shears=True)
    placement = NiftiPlacement.of(header)
    return NiftiHeader(shape, stored.dtype, 0, 1.0, 0.0, affine, (), placement), stored


_Parts = tuple[tuple[int, int, int], np.dtype[Any], np.ndarray, bytes]


def _nrrd(data: bytes, path: Path) -> _Parts:
    head, found, body = data.partition(b"\n\n")
    if not found or len(head) > _LONGEST_HEADER:
        raise ValueError
    fields = {}
    for line in head.decode("utf-8", "replace").splitlines()[1:]:
        name, colon, value = line.partition(": ")
        if colon and not line.startswith("#"):
            fields[name.strip().lower()] = value.strip()
    if fields.keys() & {"data file", "datafile", "line skip", "byte skip", "lineskip", "byteskip"}:
        raise bad_input("itk-detached", path, "voxels in the file itself", "another place")
    shape = _shape(fields["sizes"].split(), path)
    dtype = _dtype(fields["type"].lower(), _NRRD_TYPES, path)
    dtype = dtype.newbyteorder("<" if dtype.itemsize == 1 else _ORDERS[fields["endian"].lower()])
    if "space" not in fields or fields["space"].lower() not in _SPACES:
        expected = "the space left-posterior-superior or right-anterior-superior"
        raise bad_input("itk-geometry", path, expected, "another or none")
    vectors = [_vector(text) for text in fields["space directions"].split(")") if text.strip()]
    affine = np.eye(4)
    affine[:3] = np.column_stack([*vectors, _vector(fields["space origin"])])
    affine[:3] *= np.array(_SPACES[fields["space"].lower()])[:, np.newaxis]
    encoding = fields["encoding"].lower()
    if encoding in ("gzip", "gz"):
        body = _gunzip(body, dtype.itemsize * math.prod(shape), path)
    elif encoding != "raw":
        raise bad_input("itk-type", path, "the encoding raw or gzip", "another encoding")
    return shape, dtype, affine, body


def _meta_image(data: bytes, path: Path) -> _Parts:
    fields: dict[str, str] = {}
    at = 0
    while "elementdatafile" not in fields:
        end = data.index(b"\n", at, _LONGEST_HEADER)
        name, _, value = data[at:end].decode("utf-8", "replace").partition("=")
        fields[name.strip().lower()] = value.strip()
        at = end + 1
    if fields["elementdatafile"].upper() == "LOCAL":
        body = data[at:]
    else:
        name = fields["elementdatafile"]
        if Path(name).name != name or fields.get("headersize", "0") != "0":
            expected = "voxels in the file itself, or in a file beside it"
            raise bad_input("itk-detached", path, expected, "another place")
        try:
            body = require_file(path.parent / name).read_bytes()
        except OSError:
            raise unreadable(path.parent / name) from None
    shape = _shape(fields["dimsize"].split(), path)
    dtype = _dtype(fields["elementtype"].upper(), _META_TYPES, path)
    if fields.get("elementnumberofchannels", "1") != "1" or not _true(fields["binarydata"]):
        raise bad_input("itk-type", path, "one binary value per voxel", "another encoding")
    big = fields.get("binarydatabyteordermsb", fields.get("elementbyteordermsb", "False"))
    matrix = {"transformmatrix", "orientation", "rotation"} & fields.keys()
    directions = _numbers(fields[min(matrix)], 9).reshape(3, 3)  # ValueError if none
    offset = {"offset", "origin", "position"} & fields.keys()
    affine = np.eye(4)
    affine[:3, :3] = directions.T * _numbers(fields["elementspacing"], 3)
    affine[:3, 3] = _numbers(fields[min(offset)], 3)
    affine[:2] *= -1  # LPS to RAS
    if _true(fields.get("compresseddata", "False")):
        body = _inflate(body, dtype.itemsize * math.prod(shape), path)
    return shape, dtype.newbyteorder(">" if _true(big) else "<"), affine, body


_ORDERS: dict[str, Literal["<", ">"]] = {"little": "<", "big": ">"}


def _true(value: str) -> bool:
    return {"true": True, "false": False, "1": True, "0": False}[value.lower()]


def _shape(sizes: list[str], path: Path) -> tuple[int, int, int]:
    sides = [int(size) for size in sizes]
    if len(sides) != 3 or min(sides) < 1 or max(sides) > MAX_SIDE or math.prod(sides) > MAX_VOXELS:
        expected = f"3 dimensions of 1 to {MAX_SIDE} voxels"
        raise bad_input("itk-dimensions", path, expected, " x ".join(map(str, sides)))
    return sides[0], sides[1], sides[2]


def _dtype(name: str, types: Mapping[str, tuple[str, ...]], path: Path) -> np.dtype[Any]:
    for code, names in types.items():
        if name in names:
            return np.dtype(code)
    expected = "integers of 8 to 32 bits or floats"
    raise bad_input("itk-type", path, expected, "another type of voxels")


def _vector(text: str) -> np.ndarray:
    return _numbers(text.strip().strip("()").replace(",", " "), 3)


def _numbers(text: str, count: int) -> np.ndarray:
    values = np.array([float(part) for part in text.split()])
    if len(values) != count:
        raise ValueError
    return values


def _gunzip(data: bytes, size: int, path: Path) -> bytes:
    refuse_expansion(path, size)
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            # One byte more than expected: the end of the stream, where its checksum is verified.
            return stream.read(size + 1)
    except (OSError, EOFError, zlib.error):
        raise _damaged(path) from None


def _inflate(data: bytes, size: int, path: Path) -> bytes:
    refuse_expansion(path, size)
    inflater = zlib.decompressobj(wbits=47)  # zlib or gzip
    try:
        voxels = inflater.decompress(data, size + 1)
    except zlib.error:
        raise _damaged(path) from None
    if not inflater.eof or inflater.unused_data:
        raise _damaged(path)
    return voxels


def _damaged(path: Path) -> Refusal:
    expected = "compressed voxels with a matching checksum"
    return bad_input("itk-damaged", path, expected, "a truncated or damaged stream")

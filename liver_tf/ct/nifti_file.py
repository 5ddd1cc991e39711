"""The bytes of a NIfTI file: a checked header, and voxels read to the last checksum.

nibabel reads many broken headers without a word and never looks at the end of a gzip stream, so
header fields are checked here one by one (NIfTI-1 and NIfTI-2 header definitions) and the stream
is read to its end, where gzip keeps the CRC. nibabel still does the arithmetic of qform and sform.
"""

from __future__ import annotations

import contextlib
import gzip
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from isal import igzip, igzip_lib

from liver_tf.ct.input_file import require_file, unreadable
from liver_tf.refusals import Caution, Refusal

_GZIP_MAGIC = b"\x1f\x8b"
_REAL_DATATYPES = {
    2: np.uint8,
    4: np.int16,
    8: np.int32,
    16: np.float32,
    64: np.float64,
    256: np.int8,
    512: np.uint16,
    768: np.uint32,
    1024: np.int64,
    1280: np.uint64,
}
_COMPLEX_OR_COLOUR = {32, 128, 1792, 2048, 2304}

MAX_SIDE = 8192
MAX_VOXELS = 2**31
MAX_VOX_OFFSET = 2**26
#: Deflate cannot shrink below about 1:1032 (zlib's technical notes); a little more for framing.
_MAX_DEFLATE_RATIO = 1100
_CHUNK = 1 << 22


#: Fields of a header that say where the voxels lie; none of them is text.
_PLACEMENT = (
    *("qform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z"),
    *("sform_code", "srow_x", "srow_y", "srow_z", "xyzt_units"),
)


@dataclass(frozen=True)
class NiftiPlacement:
    """How a NIfTI header places its voxels, field by field: qform, sform, voxel size, unit.

    An affine alone does not bring a header back: which of qform and sform is set, and with which
    code, decides how other programs read it.
    """

    fields: dict[str, np.ndarray]
    second: bool

    @classmethod
    def of(cls, header: nibabel.Nifti1Header) -> NiftiPlacement:
        fields = {name: np.array(header[name]) for name in _PLACEMENT}
        fields["pixdim"] = np.array(header["pixdim"][:4])
        return cls(fields, isinstance(header, nibabel.Nifti2Header))

    def new_header(self) -> nibabel.Nifti1Header:
        """A header of the same kind (NIfTI-1 or NIfTI-2) that holds this and nothing else."""
        header = nibabel.Nifti2Header() if self.second else nibabel.Nifti1Header()
        for name in _PLACEMENT:
            header[name] = self.fields[name]
        header["pixdim"][:4] = self.fields["pixdim"]
        return header


@dataclass(frozen=True)
class NiftiHeader:
    """Checked facts of a NIfTI header.

    Attributes:
      shape: [i, j, k] as stored.
      dtype: of the stored values, with the file's byte order.
      vox_offset: bytes before the first voxel.
      slope, inter: HU = stored * slope + inter.
      affine: float64 4 x 4, [i, j, k] to patient mm in RAS+.
      cautions: what was odd but accepted.
      placement: the header's own geometry, for whoever writes on the same grid.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    vox_offset: int
    slope: float
    inter: float
    affine: np.ndarray
    cautions: tuple[Caution, ...]
    placement: NiftiPlacement


def read_nifti(path: Path | str) -> tuple[NiftiHeader, np.ndarray]:
    """Header and stored values, [i, j, k] in Fortran order, dtype as stored in native byte order.

    Raises ``Refusal`` as :class:`NiftiFile`.
    """
    with NiftiFile(path) as file:
        return file.header, file.read()


class NiftiFile:
    """An open NIfTI file whose header is checked and whose voxels are read to the last checksum.

    Raises:
      Refusal: codes ``file-missing``, ``file-unreadable``, ``nifti-misnamed``, ``nifti-header``,
        ``nifti-truncated``, ``nifti-damaged``, ``nifti-size``, ``nifti-datatype``,
        ``nifti-dimensions``, ``nifti-spacing``, ``nifti-affine``, ``nifti-offset``,
        ``nifti-scale``, ``nifti-units``; some of them only while voxels are read.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = require_file(path)
        with contextlib.ExitStack() as opened, _refusals(self.path):
            size = self.path.stat().st_size
            raw = opened.enter_context(open(self.path, "rb"))
            zipped = raw.read(2) == _GZIP_MAGIC
            _refuse_misnamed(self.path, zipped)
            raw.seek(0)
            self._stream = raw
            if zipped:
                # Several times as fast as the standard library, and checks the CRC as well.
                self._stream = opened.enter_context(igzip.IGzipFile(fileobj=raw, mode="rb"))
                size *= _MAX_DEFLATE_RATIO
            self.header = self._read_header(size)
            self._opened = opened.pop_all()

    def __enter__(self) -> NiftiFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self._opened.close()

    def slabs(self) -> Iterator[np.ndarray]:
        """Stored values of one k after the other, [j, i], in native byte order; once only.

        The arrays are not to be written to.

        After the last one the file's end and, of gzip, its checksum are checked: a slab may be
        trusted only when the iteration has ended.
        """
        columns, rows, count = self.header.shape
        size = rows * columns * self.header.dtype.itemsize
        for _ in range(count):
            with _refusals(self.path):
                # Straight from the decompressor: no copy into an array of our own.
                data = self._stream.read(size)
            if len(data) < size:
                raise _truncated(self.path)
            yield _native(np.frombuffer(data, self.header.dtype).reshape(rows, columns))
        self._refuse_more()

    def read(self, buffer: np.ndarray | None = None) -> np.ndarray:
        """All stored values, [i, j, k] in Fortran order.

        Args:
          buffer: where to put them, of ``header.shape[::-1]`` and ``header.dtype``.
        """
        if buffer is None:
            buffer = np.empty(self.header.shape[::-1], self.header.dtype)
        self._fill(buffer)
        self._refuse_more()
        return _native(buffer).T

    def _read_header(self, most_bytes: int) -> NiftiHeader:
        """Check the header and go to the first voxel; ``most_bytes`` bound what can follow."""
        start = self._stream.read(4)
        sizes = {int.from_bytes(start, order) for order in ("little", "big")}
        if len(start) < 4 or not sizes & {348, 540}:
            raise _bad_header(self.path, "a file that does not start as a NIfTI header does")
        length = 348 if 348 in sizes else 540
        block = start + self._stream.read(length - 4)
        if len(block) < length:
            raise _bad_header(self.path, "a file that ends within its header")
        header = _check_header(block, self.path)
        size = math.prod(header.shape) * header.dtype.itemsize
        if size + header.vox_offset > most_bytes:
            raise _truncated(self.path)
        _skip(self._stream, header.vox_offset - length)
        return header

    def _fill(self, array: np.ndarray) -> None:
        view = memoryview(array.reshape(-1).view(np.uint8))
        done = 0
        with _refusals(self.path):
            while done < len(view):
                got = self._stream.readinto(view[done : done + _CHUNK])
                if not got:
                    raise _truncated(self.path)
                done += got

    def _refuse_more(self) -> None:
        with _refusals(self.path):
            more = self._stream.read(1)
        if more:
            raise Refusal(
                "nifti-size",
                self.path,
                expected="a file that ends with its last voxel",
                found="more data than the dimensions of its header make up",
                remedy="Write the file again: its header does not describe its voxels.",
            )


@contextlib.contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """Errors of reading as refusals."""
    try:
        yield
    except EOFError:
        raise _truncated(path) from None
    except (gzip.BadGzipFile, igzip_lib.IsalError):
        raise Refusal(
            "nifti-damaged",
            path,
            expected="a gzip stream whose checksum fits",
            found="a stream that is damaged or whose checksum does not fit",
            remedy="Copy or download the file again.",
        ) from None
    except OSError:
        raise unreadable(path) from None


def _native(values: np.ndarray) -> np.ndarray:
    if values.dtype.isnative:
        return values
    in_place = values.flags.writeable
    return values.byteswap(inplace=in_place).view(values.dtype.newbyteorder())


def _skip(stream, count: int) -> None:
    while count > 0:
        got = len(stream.read(min(count, _CHUNK)))
        if not got:
            raise EOFError
        count -= got


def _check_header(block: bytes, path: Path) -> NiftiHeader:
    kind = nibabel.Nifti1Header if len(block) == 348 else nibabel.Nifti2Header
    order = "<" if int.from_bytes(block[:4], "little") == len(block) else ">"
    header = kind(block, endianness=order, check=False)
    magic = bytes(header["magic"])
    if not magic.startswith((b"n+1", b"n+2")):
        raise _bad_header(path, "a header without the mark of a single-file NIfTI (n+1, n+2)")
    shape = _check_shape(header, path)
    dtype = _check_dtype(header, path, order)
    offset = float(header["vox_offset"])
    if not (math.isfinite(offset) and offset == int(offset)) or not (
        len(block) + 4 <= offset <= MAX_VOX_OFFSET
    ):
        raise Refusal(
            "nifti-offset",
            path,
            expected=f"voxels that begin after the header, at byte {len(block) + 4} or later",
            found=f"an offset of {offset:g}, so that other bytes would be read as voxels",
            remedy="Write the file again with a common NIfTI library.",
        )
    slope, inter, scale_cautions = _check_scale(header, path)
    affine, affine_cautions = _check_affine(header, path)
    return NiftiHeader(
        shape,
        dtype,
        int(offset),
        slope,
        inter,
        affine,
        scale_cautions + affine_cautions,
        NiftiPlacement.of(header),
    )


def _check_shape(header, path: Path) -> tuple[int, int, int]:
    dim = [int(value) for value in header["dim"]]
    if dim[0] != 3:
        raise Refusal(
            "nifti-dimensions",
            path,
            expected="a volume of 3 dimensions",
            found=f"{dim[0]} dimensions",
            remedy="Split a series over time into volumes; stack single slices into one.",
        )
    shape = tuple(dim[1:4])
    if min(shape) < 1 or max(shape) > MAX_SIDE or math.prod(shape) > MAX_VOXELS:
        raise Refusal(
            "nifti-dimensions",
            path,
            expected=f"1 to {MAX_SIDE} voxels along each axis and at most {MAX_VOXELS} in all",
            found=f"{shape[0]} x {shape[1]} x {shape[2]}",
            remedy="Write the file again: its header is damaged.",
        )
    return shape


def _check_dtype(header, path: Path, order: str) -> np.dtype:
    code = int(header["datatype"])
    if code not in _REAL_DATATYPES:
        found = "complex or colour values" if code in _COMPLEX_OR_COLOUR else "an unknown datatype"
        raise Refusal(
            "nifti-datatype",
            path,
            expected="integers of 8 to 64 bits or floats of 32 or 64 bits",
            found=f"{found} (code {code})",
            remedy="Convert the image to int16.",
        )
    dtype = np.dtype(_REAL_DATATYPES[code]).newbyteorder(order)
    if int(header["bitpix"]) != dtype.itemsize * 8:
        raise _bad_header(path, "a datatype and a number of bits that contradict each other")
    return dtype


def _check_scale(header, path: Path) -> tuple[float, float, tuple[Caution, ...]]:
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or math.isnan(slope):
        text = "scl_slope is 0 or NaN: the stored values are taken as they are"
        return 1.0, 0.0, (Caution("nifti-no-scale", text),)
    if not (math.isfinite(slope) and math.isfinite(inter)):
        raise Refusal(
            "nifti-scale",
            path,
            expected="a finite scl_slope and scl_inter",
            found="one that is NaN or infinite",
            remedy="Write the file again with the right scaling.",
        )
    return slope, inter, ()


def _check_affine(header, path: Path) -> tuple[np.ndarray, tuple[Caution, ...]]:
    pixdim = np.array(header["pixdim"][1:4], np.float64)
    if not np.isfinite(pixdim).all() or (pixdim <= 0).any():
        raise Refusal(
            "nifti-spacing",
            path,
            expected="a voxel size (pixdim) above 0 mm along each axis",
            found="one that is zero, negative, NaN or infinite",
            remedy="Write the file again with the voxel size of the scan.",
        )
    if int(header["xyzt_units"]) & 7 not in (0, 2):
        raise Refusal(
            "nifti-units",
            path,
            expected="millimetres as the unit of length",
            found="metres, micrometres or an unknown unit (xyzt_units)",
            remedy="Write the file again in millimetres.",
        )
    cautions = []
    try:
        affine = np.asarray(header.get_best_affine(), np.float64)
        columns = np.linalg.norm(affine[:3, :3], axis=0)
        usable = bool(np.isfinite(affine).all()) and bool((columns > 1e-6).all())
        usable = usable and abs(np.linalg.det(affine[:3, :3] / columns)) > 0.1
    except Exception:  # nibabel raises several kinds for an impossible quaternion
        usable = False
    if not usable:
        raise Refusal(
            "nifti-affine",
            path,
            expected="an sform or qform of finite numbers that spans three axes",
            found="one with NaN, only zeros, or axes that coincide",
            remedy="Write the file again with the geometry of the scan.",
        )
    if int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
        text = "neither sform nor qform is set: columns are taken to run from left to right"
        cautions.append(Caution("nifti-no-orientation", text))
    if _forms_disagree(header):
        text = "sform and qform place the voxels more than 1 mm apart: the sform is used"
        cautions.append(Caution("nifti-forms-disagree", text))
    if not np.allclose(columns, pixdim, rtol=0.01):
        text = (
            "pixdim says "
            + " x ".join(f"{value:g}" for value in pixdim)
            + " mm, the affine "
            + " x ".join(f"{value:g}" for value in columns)
            + " mm: the affine is used"
        )
        cautions.append(Caution("nifti-spacing-disagrees", text))
    return affine, tuple(cautions)


def _forms_disagree(header) -> bool:
    """Whether sform and qform are both set and differ, as where a program mended one of them."""
    if int(header["sform_code"]) <= 0 or int(header["qform_code"]) <= 0:
        return False
    try:
        apart = np.abs(header.get_sform() - header.get_qform())
    except Exception:  # an impossible quaternion
        return True
    corner = np.append(np.array(header["dim"][1:4], np.float64), 1.0)
    return not float((apart @ corner)[:3].max()) <= 1.0


def _refuse_misnamed(path: Path, zipped: bool) -> None:
    if zipped != path.name.lower().endswith(".gz"):
        raise Refusal(
            "nifti-misnamed",
            path,
            expected="a name that ends in .gz exactly if the file is compressed by gzip",
            found="a compressed file without .gz" if zipped else "a .gz that is not compressed",
            remedy="Rename the file, after checking where it came from.",
        )


def _bad_header(path: Path, found: str) -> Refusal:
    return Refusal(
        "nifti-header",
        path,
        expected="a NIfTI file (.nii or .nii.gz)",
        found=found,
        remedy="Check that the file is an image and was copied completely.",
    )


def _truncated(path: Path) -> Refusal:
    return Refusal(
        "nifti-truncated",
        path,
        expected="as many voxels as the header says",
        found="a file that ends before them",
        remedy="Copy or download the file again.",
    )

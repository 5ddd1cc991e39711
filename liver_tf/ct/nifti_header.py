"""A NIfTI header, checked field by field.

nibabel accepts many broken headers silently, so the fields are checked here (NIfTI-1 and NIfTI-2
header definitions). nibabel computes the affine from qform and sform.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np

from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.implanted_mark import IMPLANTED, IMPLANTED_MARK
from liver_tf.refusals import Caution, Refusal

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

#: Lengths of the headers of NIfTI-1 and NIfTI-2 in bytes.
HEADER_LENGTHS = (348, 540)
MAX_SIDE = 8192
MAX_VOXELS = 2**31
MAX_VOX_OFFSET = 2**26

#: The header fields that place the voxels. None of them is free text.
_PLACEMENT = (
    *("qform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z"),
    *("sform_code", "srow_x", "srow_y", "srow_z", "xyzt_units"),
)


@dataclass(frozen=True)
class NiftiPlacement:
    """The geometry fields of a NIfTI header: qform, sform, voxel size, unit.

    The affine alone is not enough to write an equivalent header: other programs choose between
    qform and sform by their codes.

    Attributes:
      fields: Values by name.
      second: Whether the header is NIfTI-2.
    """

    fields: dict[str, np.ndarray]
    second: bool

    @classmethod
    def of(cls, header: Any) -> "NiftiPlacement":
        """The geometry fields of a nibabel header."""
        fields = {name: np.array(header[name]) for name in _PLACEMENT}
        fields["pixdim"] = np.array(header["pixdim"][:4])
        return cls(fields, isinstance(header, nibabel.Nifti2Header))

    def new_header(self) -> Any:
        """A nibabel header of the same version with these fields and no others."""
        header = nibabel.Nifti2Header() if self.second else nibabel.Nifti1Header()
        for name in _PLACEMENT:
            header[name] = self.fields[name]
        header["pixdim"][:4] = self.fields["pixdim"]
        return header


@dataclass(frozen=True)
class NiftiHeader:
    """The checked content of a NIfTI header.

    Attributes:
      shape: [i, j, k] as stored.
      dtype: Of the stored values, with the byte order of the file.
      vox_offset: Bytes before the first voxel.
      slope, inter: HU = stored * slope + inter.
      affine: float64 [4, 4], [i, j, k] to patient mm in RAS+.
      cautions: Irregularities that were accepted.
      placement: The geometry fields, for writing a file on the same grid.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    vox_offset: int
    slope: float
    inter: float
    affine: np.ndarray
    cautions: tuple[Caution, ...]
    placement: NiftiPlacement


def check_header(block: bytes, path: Path) -> NiftiHeader:
    """Check a header of 348 or 540 bytes."""
    kind = nibabel.Nifti1Header if len(block) == HEADER_LENGTHS[0] else nibabel.Nifti2Header
    little = int.from_bytes(block[:4], "little") == len(block)
    order: Literal["<", ">"] = "<" if little else ">"
    header = kind(block, endianness=order, check=False)
    if not bytes(header["magic"]).startswith((b"n+1", b"n+2")):
        raise bad_header(path, "a header without the magic string of a single-file NIfTI")
    # As the reference implementation: 0 and everything else above or equal to 0 counts as 1.
    header["pixdim"][0] = -1.0 if header["pixdim"][0] < 0 else 1.0
    shape = _check_shape(header, path)
    dtype = _check_dtype(header, path, order)
    offset = float(header["vox_offset"])
    if not (math.isfinite(offset) and offset == int(offset)) or not (
        len(block) + 4 <= offset <= MAX_VOX_OFFSET
    ):
        expected = f"voxels that begin after the header, at byte {len(block) + 4} or later"
        found = f"vox_offset {offset:g}, with which other bytes would be read as voxels"
        raise bad_input("nifti-offset", path, expected, found)
    slope, inter, scale_cautions = _check_scale(header, path)
    affine, affine_cautions = _check_affine(header, path)
    return NiftiHeader(
        shape,
        dtype,
        int(offset),
        slope,
        inter,
        affine,
        scale_cautions + affine_cautions + _implanted(header),
        NiftiPlacement.of(header),
    )


def _implanted(header: Any) -> tuple[Caution, ...]:
    marked = bytes(header["descrip"]).startswith(IMPLANTED_MARK.encode())
    return (IMPLANTED,) if marked else ()


def bad_header(path: Path, found: str) -> Refusal:
    """The refusal ``nifti-header``."""
    return bad_input("nifti-header", path, "a NIfTI file (.nii or .nii.gz)", found)


def _check_shape(header: Any, path: Path) -> tuple[int, int, int]:
    dim = [int(value) for value in header["dim"]]
    if dim[0] != 3:
        expected = "a volume of 3 dimensions"
        raise bad_input("nifti-dimensions", path, expected, f"{dim[0]} dimensions")
    i, j, k = dim[1:4]
    if min(i, j, k) < 1 or max(i, j, k) > MAX_SIDE or i * j * k > MAX_VOXELS:
        expected = f"1 to {MAX_SIDE} voxels along each axis and at most {MAX_VOXELS} in total"
        raise bad_input("nifti-dimensions", path, expected, f"{i} x {j} x {k}")
    return i, j, k


def _check_dtype(header: Any, path: Path, order: Literal["<", ">"]) -> np.dtype[Any]:
    code = int(header["datatype"])
    if code not in _REAL_DATATYPES:
        found = "complex or colour values" if code in _COMPLEX_OR_COLOUR else "an unknown datatype"
        expected = "integers of 8 to 64 bits or floats of 32 or 64 bits"
        raise bad_input("nifti-datatype", path, expected, f"{found} (code {code})")
    dtype: np.dtype[Any] = np.dtype(_REAL_DATATYPES[code]).newbyteorder(order)
    if int(header["bitpix"]) != dtype.itemsize * 8:
        raise bad_header(path, "a bitpix that does not match the datatype")
    return dtype


def _check_scale(header: Any, path: Path) -> tuple[float, float, tuple[Caution, ...]]:
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or math.isnan(slope):
        text = "scl_slope is 0 or NaN: the stored values are used without scaling"
        return 1.0, 0.0, (Caution("nifti-no-scale", text),)
    if not (math.isfinite(slope) and math.isfinite(inter)):
        raise bad_input("nifti-scale", path, "a finite scl_slope and scl_inter", "NaN or infinity")
    return slope, inter, ()


def _check_affine(header: Any, path: Path) -> tuple[np.ndarray, tuple[Caution, ...]]:
    pixdim = np.array(header["pixdim"][1:4], np.float64)
    if not np.isfinite(pixdim).all() or (pixdim <= 0).any():
        expected = "a voxel size (pixdim) above 0 mm along each axis"
        raise bad_input("nifti-spacing", path, expected, "zero, a negative number, NaN or infinity")
    if int(header["xyzt_units"]) & 7 not in (0, 2):
        found = "metres, micrometres or an unknown unit (xyzt_units)"
        raise bad_input("nifti-units", path, "millimetres as the unit of length", found)
    try:
        affine = np.asarray(header.get_best_affine(), np.float64)
        columns = np.linalg.norm(affine[:3, :3], axis=0)
        usable = bool(np.isfinite(affine).all()) and bool((columns > 1e-6).all())
        usable = usable and abs(np.linalg.det(affine[:3, :3] / columns)) > 0.1
    except Exception:  # nibabel raises several types for an impossible quaternion
        usable = False
    if not usable:
        expected = "an sform or qform of finite numbers that spans three axes"
        raise bad_input("nifti-affine", path, expected, "NaN, only zeros, or axes that coincide")
    cautions = []
    if int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
        text = (
            "neither sform nor qform is set: the axes i, j, k are taken to run to the patient's "
            "left, front and head (LAS); ITK takes left, back and head (LPS)"
        )
        cautions.append(Caution("nifti-no-orientation", text))
    if _forms_disagree(header):
        text = "sform and qform place the voxels more than 1 mm apart: the sform is used"
        cautions.append(Caution("nifti-forms-disagree", text))
    if not np.allclose(columns, pixdim, rtol=0.01):
        sizes = (" x ".join(f"{value:g}" for value in sides) for sides in (pixdim, columns))
        text = "pixdim is {} mm but the affine has {} mm: the affine is used".format(*sizes)
        cautions.append(Caution("nifti-spacing-disagrees", text))
    return affine, tuple(cautions)


def _forms_disagree(header: Any) -> bool:
    """Whether sform and qform are both set and differ, as when a program corrected one of them."""
    if int(header["sform_code"]) <= 0 or int(header["qform_code"]) <= 0:
        return False
    try:
        apart = np.abs(header.get_sform() - header.get_qform())
    except Exception:  # an impossible quaternion
        return True
    corner = np.append(np.array(header["dim"][1:4], np.float64), 1.0)
    return not float((apart @ corner)[:3].max()) <= 1.0

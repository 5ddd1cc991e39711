"""Random valid CT files: DICOM series and NIfTI volumes, each with the HU and mm of its voxels."""

from __future__ import annotations

import gzip
import itertools
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.builders.ct_files import compress, compress_in_16_bits, ct_dataset

SYNTAXES = (
    *(ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian),
    *(DeflatedExplicitVRLittleEndian, RLELossless, JPEGLSLossless, JPEG2000Lossless),
    JPEGLosslessSV1,
)
DTYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "f4", "f8")
AIR_HU = -1000.0


@dataclass(frozen=True)
class DifferentialCase:
    """A valid input.

    Attributes:
      path: A folder of slices, or a NIfTI file.
      kind: Transfer syntax or data type, for the table.
      facts: What was drawn, to describe a difference.
      hu: float64 [slices, rows, columns] or [i, j, k] as stored; padding is air.
      padding: bool of the same shape.
      to_mm: float64 [4, 4], stored index to patient mm in RAS+.
    """

    path: Path
    kind: str
    facts: str
    hu: np.ndarray
    padding: np.ndarray
    to_mm: np.ndarray

    def padding_like(self, hu: np.ndarray, to_mm: np.ndarray) -> np.ndarray:
        """Whether each voxel of another reading of this case is padding, bool of its shape."""
        index = np.indices(hu.shape).reshape(3, -1)
        mm = to_mm[:3, :3] @ index + to_mm[:3, 3:]
        inverse = np.linalg.inv(self.to_mm)
        stored = np.rint(inverse[:3, :3] @ mm + inverse[:3, 3:]).astype(int)
        sides = np.array(self.hu.shape)[:, np.newaxis]
        return self.padding[tuple(np.clip(stored, 0, sides - 1))].reshape(hu.shape)


def make_case(seed: int, number: int, folder: Path) -> DifferentialCase:
    """Write the case with this number; it depends on seed and number only."""
    rng = np.random.default_rng((seed, number))
    folder.mkdir(parents=True)
    return (_dicom if number % 2 else _nifti)(rng, folder)


def _phantom(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """HU of air, fat, soft tissue and some bone, in blocks with noise."""
    tissues = np.array([-1000, -100, 40, 60, 110, 700])
    shares = [0.3, 0.2, 0.2, 0.1, 0.17, 0.03]
    coarse = rng.choice(tissues, [side // 3 + 1 for side in shape], p=shares)
    for axis in range(3):
        coarse = np.repeat(coarse, 3, axis)
    return coarse[tuple(slice(side) for side in shape)] + rng.integers(-15, 16, shape)


def _rotation(rng: np.random.Generator) -> np.ndarray:
    """None, or a small tilt about each body axis."""
    matrix = np.eye(3)
    if rng.random() < 0.5:
        return matrix
    for axis in range(3):
        angle = np.radians(rng.uniform(-12, 12))
        others = [other for other in range(3) if other != axis]
        turn = np.eye(3)
        turn[np.ix_(others, others)] = [
            [np.cos(angle), -np.sin(angle)],
            [np.sin(angle), np.cos(angle)],
        ]
        matrix = turn @ matrix
    return matrix


def _dicom(rng: np.random.Generator, folder: Path) -> DifferentialCase:
    syntax = SYNTAXES[rng.integers(len(SYNTAXES))]
    wide = syntax in (JPEGLSLossless, JPEG2000Lossless) and bool(rng.integers(2))
    bits, signed = int(rng.integers(12, 17)), bool(rng.integers(2))
    slope = float(rng.choice([1, 1, 1, 2, 0.5, 0.7]))
    lowest, highest = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    intercept = -1024.0 if not signed else float(rng.choice([0, -1024, -100]))
    if signed and lowest * slope + intercept > -1020:
        intercept = -1024.0
    # Encoders of JPEG 2000 need 32 pixels.
    shape = int(rng.integers(1, 7)), int(rng.integers(32, 45)), int(rng.integers(32, 45))
    wanted = (_phantom(rng, shape) - intercept) / slope
    stored = np.clip(np.rint(wanted), lowest, highest).astype(np.int64)
    padding = np.zeros(shape, bool)
    padding_value = None
    if rng.random() < 0.5 and (signed or intercept + highest * slope > 1600):
        padding_value = lowest if signed else highest
        padding[:, :2] = True
        # Nothing else may have this value.
        stored = np.clip(stored, lowest + 1, highest - 1)
        stored[padding] = padding_value
    axes = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)]
    pairs = [pair for pair in itertools.permutations(axes, 2) if np.dot(*pair) == 0]
    rotation = _rotation(rng)
    row, column = (rotation @ np.array(each, float) for each in pairs[rng.integers(len(pairs))])
    up = np.cross(row, column) * rng.choice([-1, 1])
    step, spacing = rng.uniform(0.7, 6), rng.uniform(0.5, 2, 2).round(6)
    origin = rng.uniform(-300, 300, 3)
    names = rng.permutation(shape[0])
    suffix = rng.choice(["", ".dcm", ".IMA"])
    padding_vr = rng.choice(["SS", "US"]) if signed else "US"
    for index in range(shape[0]):
        dataset = ct_dataset(np.zeros(shape[1:], np.int16), index)
        dataset.BitsStored, dataset.HighBit = bits, bits - 1
        dataset.PixelRepresentation = int(signed)
        dataset.RescaleSlope, dataset.RescaleIntercept = f"{slope:g}", f"{intercept:g}"
        dataset.SliceThickness = f"{step:.6f}"
        dataset.PixelSpacing = [float(each) for each in spacing]
        dataset.ImageOrientationPatient = [f"{each:.12f}"[:16] for each in (*row, *column)]
        dataset.ImagePositionPatient = [f"{each:.10f}"[:16] for each in origin + index * step * up]
        dataset.InstanceNumber = int(rng.integers(1, 1000))
        if padding_value is not None:
            written = padding_value + 65536 * (padding_vr == "US" and padding_value < 0)
            dataset.add_new("PixelPaddingValue", padding_vr, written)
        dataset.PixelData = stored[index].astype("<i2" if signed else "<u2").tobytes()
        path = folder / f"IM{names[index]}{suffix}"
        _save(dataset, path, syntax, wide)
    hu = stored * slope + intercept
    hu[padding] = AIR_HU
    to_mm = np.eye(4)
    to_mm[:3] = np.column_stack([up * step, column * spacing[0], row * spacing[1], origin])
    to_mm[:2] *= -1  # LPS to RAS
    facts = f"{bits} bits, signed {signed}, slope {slope:g}, padding {padding_value} {padding_vr}"
    kind = f"dicom {syntax.keyword}{' in 16 bits' * wide}"
    return DifferentialCase(folder, kind, facts, hu, padding, to_mm)


def _save(dataset: pydicom.Dataset, path: Path, syntax: str, wide: bool) -> None:
    plain = syntax if not syntax.is_encapsulated else ExplicitVRLittleEndian
    dataset.file_meta.TransferSyntaxUID = plain
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
        pydicom.dcmwrite(path, dataset, implicit_vr=False, little_endian=False, force_encoding=True)
    else:
        dataset.save_as(path, implicit_vr=plain.is_implicit_VR, enforce_file_format=True)
    if plain != syntax:
        (compress_in_16_bits if wide else compress)(path, syntax)


def _nifti(rng: np.random.Generator, folder: Path) -> DifferentialCase:
    dtype = np.dtype(rng.choice(DTYPES)).newbyteorder(rng.choice(["<", ">"]))
    shape = tuple(int(side) for side in rng.integers(9, 30, 3))
    # One byte holds a CT only with a large slope.
    slope, inter = (16.0, 600.0) if dtype.itemsize == 1 else (1.0, 0.0)
    if dtype.kind == "u":
        inter -= 1024.0 if dtype.itemsize > 1 else 2048.0 - 400.0
    elif dtype.itemsize > 1 and rng.random() < 0.5:
        slope, inter = float(rng.choice([0.5, 2, 1])), float(rng.choice([0, -1024, 10]))
    stored = np.rint((_phantom(rng, shape) - inter) / slope)
    if dtype.kind != "f":
        limits = np.iinfo(dtype)
        stored = np.clip(stored, limits.min, limits.max)
    stored = stored.astype(dtype)
    order = rng.permutation(3)
    linear = np.eye(3)[:, order] * rng.choice([-1, 1], 3)
    affine = np.eye(4)
    affine[:3, :3] = _rotation(rng) @ linear * rng.uniform(0.5, 4, 3)
    affine[:3, 3] = rng.uniform(-300, 300, 3)
    second = bool(rng.random() < 0.3)
    endianness = ">" if dtype.byteorder == ">" else "<"
    header = (nibabel.Nifti2Header if second else nibabel.Nifti1Header)(endianness=endianness)
    image = (nibabel.Nifti2Image if second else nibabel.Nifti1Image)(stored, affine, header)
    forms = rng.choice(["sform", "qform", "both"])
    image.set_sform(affine, 0 if forms == "qform" else int(rng.integers(1, 5)))
    image.set_qform(affine, 0 if forms == "sform" else int(rng.integers(1, 5)))
    image.header.set_slope_inter(slope, inter)
    if rng.random() < 0.3:
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"phantom"))
    data = image.to_bytes()
    packing = rng.choice(["plain", "gzip", "gzip of several members"])
    if packing == "gzip":
        data = gzip.compress(data, int(rng.integers(0, 10)))
    elif packing != "plain":
        cut = int(rng.integers(1, len(data)))
        data = gzip.compress(data[:cut]) + gzip.compress(data[cut:])
    path = folder / ("volume.nii" if packing == "plain" else "volume.nii.gz")
    path.write_bytes(data)
    hu = stored.astype(np.float64) * slope + inter
    facts = f"{dtype.str}, slope {slope:g}, inter {inter:g}, {forms}, NIfTI-{1 + second}, {packing}"
    padding = np.zeros(shape, bool)
    return DifferentialCase(path, f"nifti {dtype.name}", facts, hu, padding, affine)

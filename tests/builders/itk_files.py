"""NRRD and MetaImage files as 3D Slicer and ITK write them."""

from __future__ import annotations

import gzip
import zlib

import numpy as np

TYPES = {"i2": ("short", "MET_SHORT"), "f4": ("float", "MET_FLOAT"), "u1": ("uchar", "MET_UCHAR")}


def numbers(values) -> str:
    return " ".join(f"{value:.17g}" for value in values)


def nrrd(stored, affine, order="<", packed=False, space="left-posterior-superior") -> bytes:
    """An NRRD file as 3D Slicer writes it; ``affine`` is to RAS+."""
    signs = (
        {"left": -1, "right": 1}[space.split("-")[0]],
        {"posterior": -1, "anterior": 1}[space.split("-")[1]],
    )
    placed = np.diag([*signs, 1, 1]) @ affine
    vectors = ["(" + ",".join(f"{v:.17g}" for v in placed[:3, axis]) + ")" for axis in range(4)]
    lines = [
        "NRRD0004",
        "# Complete NRRD file format specification at:",
        f"type: {TYPES[stored.dtype.str[1:]][0]}",
        "dimension: 3",
        f"space: {space}",
        f"sizes: {' '.join(map(str, stored.shape))}",
        f"space directions: {' '.join(vectors[:3])}",
        "kinds: domain domain domain",
        f"endian: {'little' if order == '<' else 'big'}",
        f"encoding: {'gzip' if packed else 'raw'}",
        f"space origin: {vectors[3]}",
        "Segment0_Name:=liver",
    ]
    data = stored.astype(stored.dtype.newbyteorder(order)).tobytes(order="F")
    return "\n".join(lines).encode() + b"\n\n" + (gzip.compress(data, mtime=0) if packed else data)


def meta_image(stored, affine, order="<", packed=False, file="LOCAL", matrix="TransformMatrix"):
    """Header and voxels of a MetaImage; ``affine`` is to RAS+."""
    placed = np.diag([-1, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(placed[:3, :3], axis=0)
    data = stored.astype(stored.dtype.newbyteorder(order)).tobytes(order="F")
    data = zlib.compress(data) if packed else data
    lines = [
        "ObjectType = Image",
        "NDims = 3",
        "BinaryData = True",
        f"BinaryDataByteOrderMSB = {order == '>'}",
        f"CompressedData = {packed}",
        f"{matrix} = {numbers((placed[:3, :3] / spacing).T.ravel())}",
        f"Offset = {numbers(placed[:3, 3])}",
        "CenterOfRotation = 0 0 0",
        "AnatomicalOrientation = RAI",
        f"ElementSpacing = {numbers(spacing)}",
        f"DimSize = {' '.join(map(str, stored.shape))}",
        f"ElementType = {TYPES[stored.dtype.str[1:]][1]}",
        *([f"CompressedDataSize = {len(data)}"] if packed else []),
        f"ElementDataFile = {file}",
    ]
    return "\n".join(lines).encode() + b"\n", data

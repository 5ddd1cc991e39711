"""The files that the fuzz campaign damages: small valid files of every format, and their readers.

All file names, and every field that may describe a patient, contain :data:`CANARY`.
"""

from __future__ import annotations

import gzip
import importlib.util
import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from liver_tf.conversion.cases import CaseTask
from liver_tf.conversion.sources import find_lits, find_slices
from liver_tf.ct.dicom_seg import read_dicom_seg
from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.mask_file import read_mask
from liver_tf.ct.nifti_volume import read_nifti_labels, read_nifti_volume
from liver_tf.ct.segment_labels import labels_from_segments
from liver_tf.ct.slices_csv import read_slices_csv
from liver_tf.labels import LESION_TYPES
from liver_tf.refusals import Refusal
from tests.builders import ct_files
from tests.builders.itk_files import meta_image, nrrd
from tests.builders.mutations import HEADER, mutate

#: A text that contains this quotes the content of a file.
CANARY = "ZQXJ"
KEY = b"a key for the campaign, no secret"
MASK_VALUES = ((0, "background"), (1, "liver"), (2, "lesion"))
#: Large enough for the levels of JPEG 2000.
_SIZE = (48, 64)
SLICES_COLUMNS = "slice_id,patient_id,image,mask,diagnosis\n"


@dataclass(frozen=True)
class Reading:
    """The output of a reader: pixels, and all text."""

    pixels: np.ndarray
    text: str


@dataclass(frozen=True)
class Kind:
    """A format and its readers.

    Attributes:
      victim: The file to damage.
      donor: Bytes of a file of the same kind with other contents.
      read: Reads the victim with the plain reader.
      task: The case that the victim belongs to; None if there is none, or for a table, whose cases
        are searched each time.
      checked: Whether a checksum protects the pixels, so that changed ones must be refused.
      inner: Damages the data under the checksum and corrects the checksum, or None.
      header: Number of leading bytes that count as the header.
    """

    name: str
    victim: Path
    good: bytes
    donor: bytes
    read: Callable[[Path], Reading]
    task: CaseTask | None = None
    checked: bool = False
    inner: Callable[[bytes, np.random.Generator, bytes], bytes] | None = None
    header: int = HEADER


def make_kinds(folder: Path) -> dict[str, Kind]:
    """Write the valid files below ``folder``, identical in every call; return the kinds by name."""
    kinds = [
        *_pairs(folder),
        *_slices(folder),
        _series(folder),
        _table(folder),
        *_itk_volumes(folder),
    ]
    return {kind.name: kind for kind in kinds}


def find_table(table: Path) -> tuple[list[CaseTask], list[Refusal]]:
    """Cases and refusals of a table of slices, as in a conversion."""
    return find_slices(table, KEY, LESION_TYPES, MASK_VALUES)


def _pairs(folder: Path) -> list[Kind]:
    """NIfTI volumes and segmentations, plain and compressed."""
    kinds = []
    for number, (suffix, level) in enumerate(((".nii", None), (".nii.gz", 6), (".nii.gz", 0))):
        place = folder / f"{CANARY}-pair{number}"
        place.mkdir()
        # Files with the opposite slice order are read differently.
        pair, donor_pair = (_pair_bytes(place, slices, head_first=level == 0) for slices in (5, 4))
        packed = [
            data if level is None else gzip.compress(data, level, mtime=0)
            for data in (*pair, *donor_pair)
        ]
        volume, segmentation = place / f"volume-0{suffix}", place / f"segmentation-0{suffix}"
        volume.write_bytes(packed[0])
        segmentation.write_bytes(packed[1])
        (task,), _ = find_lits(place, KEY)
        scan = read_nifti_volume(volume)

        def read_labels(path: Path, scan=scan) -> Reading:
            labels, cautions = read_nifti_labels(path, scan)
            return Reading(labels, repr(cautions))

        label = {None: "nifti", 6: "nifti.gz", 0: "nifti.gz stored"}[level]
        gz = None if level is None else _in_gzip
        kinds.append(
            Kind(label, volume, packed[0], packed[2], _read_volume, task, gz is not None, gz)
        )
        if level != 0:
            kinds.append(
                Kind(
                    f"labels {label}",
                    segmentation,
                    packed[1],
                    packed[3],
                    read_labels,
                    task,
                    gz is not None,
                    gz,
                )
            )
    return kinds


def _itk_volumes(folder: Path) -> list[Kind]:
    """Compressed NRRD and MetaImage volumes. Their headers have no checksum."""
    kinds = []
    for name in ("nrrd", "mha"):
        good, donor = (
            _itk_bytes(name, *ct_files.as_lps_file(ct_files.phantom_hu(slices)))
            for slices in (5, 4)
        )
        path = folder / f"{CANARY}.{name}"
        path.write_bytes(good)
        kinds.append(Kind(name, path, good, donor, _read_volume))
    return kinds


def _itk_bytes(name: str, stored: np.ndarray, affine: np.ndarray) -> bytes:
    if name == "nrrd":
        return nrrd(stored, affine, packed=True).replace(b"liver", CANARY.encode())
    header, voxels = meta_image(stored, affine, packed=True)
    return header.replace(b"ObjectType", f"Comment = {CANARY}\nObjectType".encode()) + voxels


def _pair_bytes(place: Path, slices: int, head_first: bool) -> tuple[bytes, bytes]:
    result = []
    for labels in (False, True):
        values = ct_files.phantom_labels(slices) if labels else ct_files.phantom_hu(slices)
        stored, affine = ct_files.as_lps_file(values)
        if head_first:
            stored, affine[2, 2] = stored[:, :, ::-1], -affine[2, 2]
        path = ct_files.write_nifti(place / "made.nii", stored, affine)
        data = bytearray(path.read_bytes())
        for offset, length in ((14, 18), (148, 80), (228, 24)):  # db_name, descrip, aux_file
            data[offset : offset + length] = (CANARY * 20).encode()[:length]
        result.append(bytes(data))
        path.unlink()
    return tuple(result)


def _read_volume(path: Path) -> Reading:
    scan = read_nifti_volume(path)
    return Reading(_checked_hu(scan.hu), repr(scan.cautions) + repr(scan.details))


def _read_slice(path: Path) -> Reading:
    scan = read_dicom_slice(path)
    return Reading(_checked_hu(scan.hu), repr(scan.cautions) + repr(scan.details))


def _checked_hu(hu: np.ndarray) -> np.ndarray:
    if hu.dtype not in (np.int16, np.float32) or not np.isfinite(hu).all():
        raise AssertionError(f"HU of dtype {hu.dtype}, or not finite")
    return hu


def _plant_canary(dataset) -> None:
    for keyword in ("PatientName", "PatientID", "InstitutionName", "SeriesDescription", "StudyID"):
        setattr(dataset, keyword, f"{CANARY}-{keyword}"[:16])
    block = dataset.private_block(0x0009, f"{CANARY} CREATOR", create=True)
    block.add_new(0x01, "LO", f"{CANARY}-private")


def codecs() -> dict[str, str]:
    """Transfer syntaxes for which an encoder is installed, by name."""
    optional = (
        ("jpeg-ls", "jpeg_ls", JPEGLSLossless),
        ("jpeg lossless", "gdcm", JPEGLosslessSV1),
    )
    return {"rle": RLELossless, "jpeg 2000": JPEG2000Lossless} | {
        name: syntax
        for name, package, syntax in optional
        if importlib.util.find_spec(package) is not None
    }


def _in_jpeg_2000(path: Path) -> None:
    """Compress with Pillow, which needs no optional package for compressed DICOM."""
    dataset = pydicom.dcmread(path)
    stored = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
    coded = io.BytesIO()
    Image.fromarray(stored).save(coded, "JPEG2000", no_jp2=True)
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.PixelData = encapsulate([coded.getvalue()])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)


def _slices(folder: Path) -> list[Kind]:
    """DICOM slices, and masks of a slice: PNG, NIfTI, DICOM SEG."""
    kinds = []
    for name, syntax in {"plain": None, **codecs()}.items():
        place = folder / f"{CANARY}-{name.replace(' ', '')}"
        place.mkdir()
        image, data, donor = _slice(place, syntax, _SIZE)
        mask = _png(place / f"{CANARY}-mask.png", ct_files.phantom_labels(5, *_SIZE)[3])
        kinds.append(Kind(f"dicom {name}", image, data, donor, _read_slice, _row_task(image, mask)))
    for name, write, checked, inner, header in (
        ("png", _write_png, True, _in_png, 60),
        ("nifti mask", _write_nifti_mask, False, None, HEADER),
        ("seg", _write_seg, False, None, 4000),
    ):
        place = folder / f"{CANARY}-{name.replace(' ', '')}"
        place.mkdir()
        image, _, _ = _slice(place, None)
        mask, donor = write(place)
        scan = read_dicom_slice(image)
        read = _read_seg if name == "seg" else _read_mask
        kinds.append(
            Kind(
                name,
                mask,
                mask.read_bytes(),
                donor,
                lambda path, scan=scan, read=read: read(path, scan),
                _row_task(image, mask),
                checked,
                inner,
                header,
            )
        )
    return kinds


def _slice(
    place: Path, syntax: str | None, size: tuple[int, int] = (24, 32)
) -> tuple[Path, bytes, bytes]:
    """Path and bytes of a DICOM slice, and the bytes of the slice above it."""

    path = place / f"{CANARY}-slice.dcm"
    hu = ct_files.phantom_hu(5, *size)
    files = []
    for index in (4, 3):
        ct_files.write_dicom(path, hu[index], index, _plant_canary)
        if syntax == JPEG2000Lossless:
            _in_jpeg_2000(path)
        elif syntax is not None:
            ct_files.compress(path, syntax)
        files.append(path.read_bytes())
    donor, good = files
    return path, good, donor


def _row_task(image: Path, mask: Path) -> CaseTask:
    table = image.parent / "slices.csv"
    table.write_text(f"{SLICES_COLUMNS}{CANARY}1,{CANARY}2,{image.name},{mask.name},cyst\n")
    (task,), _ = find_table(table)
    return task


def _png(path: Path, labels: np.ndarray) -> Path:
    Image.fromarray(labels).save(path)
    return path


def _write_png(place: Path) -> tuple[Path, bytes]:
    path = place / f"{CANARY}-mask.png"
    donor = _png(path, ct_files.phantom_labels()[4][::-1].copy()).read_bytes()
    return _png(path, ct_files.phantom_labels()[3]), donor


def _write_nifti_mask(place: Path) -> tuple[Path, bytes]:
    path = place / f"{CANARY}-mask.nii"
    files = []
    for index in (4, 3):
        stored, affine = ct_files.as_lps_file(ct_files.phantom_labels()[index : index + 1])
        affine[2, 3] += index * ct_files.SPACING_MM[0]
        files.append(ct_files.write_nifti(path, stored, affine).read_bytes())
    return path, files[0]


def _write_seg(place: Path) -> tuple[Path, bytes]:
    path = place / f"{CANARY}-mask.dcm"
    labels = ct_files.phantom_labels()
    files = []
    for lesion in (np.roll(labels == 2, 1, axis=1), labels == 2):
        segments = {f"{CANARY} liver": labels == 1, f"{CANARY} lesion": lesion}
        files.append(ct_files.write_seg(path, segments, change=_plant_canary).read_bytes())
    return path, files[0]


def _read_mask(path: Path, scan) -> Reading:
    labels = read_mask(path, scan, {0: 0, 1: 1, 2: 2})
    return Reading(labels, "")


def _read_seg(path: Path, scan) -> Reading:
    segments = read_dicom_seg(path, scan)
    labels = labels_from_segments(segments, {1: 1, 2: 2}, path, lesions_over_liver=True)
    return Reading(labels, "")


def _series(folder: Path) -> Kind:
    place = folder / f"{CANARY}-series"
    paths = ct_files.write_series(place, change=lambda dataset, index: _plant_canary(dataset))

    def read(path: Path) -> Reading:
        scan = read_dicom_series(path.parent)
        return Reading(_checked_hu(scan.hu), repr(scan.cautions) + repr(scan.details))

    return Kind("dicom series", paths[2], paths[2].read_bytes(), paths[3].read_bytes(), read)


def _table(folder: Path) -> Kind:
    place = folder / f"{CANARY}-table"
    place.mkdir()
    image, _, _ = _slice(place, None)
    _png(place / f"{CANARY}-mask.png", ct_files.phantom_labels()[3])
    rows = []
    for number, diagnosis in enumerate(("cyst", "hemangioma", "metastasis", "healthy")):
        ct_files.write_dicom(place / f"{CANARY}{number}.dcm", ct_files.phantom_hu()[3], 3)
        liver_only = np.minimum(ct_files.phantom_labels()[3], 1 if diagnosis == "healthy" else 2)
        _png(place / f"{CANARY}{number}.png", liver_only)
        name = f"{CANARY}{number}"
        rows.append(f"{name},{CANARY}p{number // 2},{name}.dcm,{name}.png,{diagnosis}\n")
    image.unlink()
    table = place / f"{CANARY}.csv"
    good, donor = ((SLICES_COLUMNS + "".join(lines)).encode() for lines in (rows, reversed(rows)))
    table.write_bytes(good)

    def read(path: Path) -> Reading:
        table_rows, refusals = read_slices_csv(path)
        for refusal in refusals:
            raise refusal
        columns = [[row.line, row.diagnosis == "healthy"] for row in table_rows]
        return Reading(np.array(columns), "")

    return Kind("csv", table, good, donor, read)


def _in_gzip(data: bytes, random: np.random.Generator, donor: bytes) -> bytes:
    level = 0 if random.integers(2) else 6
    inner = mutate(gzip.decompress(data), random, gzip.decompress(donor))
    return gzip.compress(inner, level, mtime=0)


def _in_png(data: bytes, random: np.random.Generator, donor: bytes) -> bytes:
    """Damage a chunk of a PNG or its pixels, and correct the checksum of the chunk."""
    del donor
    chunks, offset = [], 8
    while offset < len(data):
        length = int.from_bytes(data[offset : offset + 4])
        chunks.append((data[offset + 4 : offset + 8], data[offset + 8 : offset + 8 + length]))
        offset += 12 + length
    index = int(random.integers(len(chunks)))
    name, body = chunks[index]
    if name == b"IDAT" and random.integers(2):
        body = zlib.compress(mutate(zlib.decompress(body), random))
    elif body:
        body = mutate(body, random)
    chunks[index] = (name, body)
    if not random.integers(6):
        chunks.append(chunks.pop(int(random.integers(len(chunks)))))
    return data[:8] + b"".join(
        len(body).to_bytes(4) + name + body + zlib.crc32(name + body).to_bytes(4)
        for name, body in chunks
    )

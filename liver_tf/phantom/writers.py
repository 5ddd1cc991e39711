"""Writes phantom files as scanners and challenges deliver them: NIfTI, DICOM and PNG masks.

Files are written atomically and do not depend on the time of day.
"""

import gzip
import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from liver_tf.atomic_files import atomic_write

#: Orientations of LiTS volumes: the direction of each array axis.
ORIENTATIONS = ("LPS", "RAS", "LAS")
IMPLEMENTATION_UID = UID("2.25.302043790172249692526321623266752743501")


@dataclass(frozen=True)
class Storage:
    """How a scanner model stores CT values.

    Attributes:
      signed: whether the 16-bit values are signed.
      slope, intercept: HU = slope x stored + intercept.
      padding: stored value outside the circular field of view; None without padding.
    """

    signed: bool
    slope: float
    intercept: float
    padding: int | None
    maker: str
    kvp: float


STORAGES = (
    Storage(False, 1.0, -1024.0, None, "PHANTOM A", 120.0),
    Storage(True, 1.0, -1024.0, -2000, "PHANTOM B", 120.0),
    Storage(True, 1.0, 0.0, None, "PHANTOM C", 100.0),
    Storage(False, 1.0, -8192.0, None, "PHANTOM D", 120.0),
)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def write_nifti(path: Path, slices: np.ndarray, affine_ras: np.ndarray, orientation: str) -> None:
    """Write a volume as ``.nii.gz``.

    Args:
      slices: int16 or uint8 [slices, rows, columns]: slices from feet to head, rows from front to
        back, columns from the patient's right to the left.
      affine_ras: 4 x 4 matrix from (column, row, slice) to patient mm in RAS+.
      orientation: of the file's axes, e.g. ``RAS``.
    """
    array = slices.transpose(2, 1, 0)
    change = ornt_transform(io_orientation(affine_ras), axcodes2ornt(orientation))
    stored = nib.orientations.apply_orientation(array, change)
    affine = affine_ras @ inv_ornt_aff(change, array.shape)
    image = nib.Nifti1Image(np.asfortranarray(stored), affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm", "sec")
    packed = BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=2, mtime=0) as file:
        file.write(image.to_bytes())
    write_bytes(path, packed.getvalue())


def write_mask(path: Path, labels: np.ndarray) -> None:
    """Write uint8 [rows, columns] labels as an 8-bit grey PNG."""
    packed = BytesIO()
    Image.fromarray(labels).save(packed, format="PNG", optimize=False)
    write_bytes(path, packed.getvalue())


def stable_uid(*names: str | int) -> UID:
    """A DICOM UID derived from the names by a hash (PS3.5 B.2)."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16], 'big')}")


def write_dicom(
    path: Path,
    hu: np.ndarray,
    *,
    storage: Storage,
    names: tuple[str | int, ...],
    patient_index: int,
    slice_number: int,
    pixel_mm: float,
    thickness_mm: float,
    corner_mm: tuple[float, float, float],
) -> None:
    """Write one axial slice as CT Image Storage (PS3.3 A.3), explicit little endian.

    Args:
      hu: int16 [rows, columns], rows from front to back, columns from right to left.
      names: identify the patient, for the UIDs.
      corner_mm: centre of the first pixel in patient mm, LPS.
    """
    ds = Dataset()
    ds.file_meta = meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = stable_uid(*names, "instance", slice_number)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    ds.StudyDate = ds.SeriesDate = ds.ContentDate = ds.AcquisitionDate = "20200101"
    ds.StudyTime = ds.SeriesTime = ds.ContentTime = ds.AcquisitionTime = "120000"
    ds.AccessionNumber = ds.ReferringPhysicianName = ds.PatientBirthDate = ""
    ds.PositionReferenceIndicator = ""
    ds.Modality = "CT"
    ds.Manufacturer = storage.maker
    ds.ManufacturerModelName = "computed, no patient"
    ds.StudyDescription = "PHANTOM ABDOMEN"
    ds.SeriesDescription = "PORTAL VENOUS"
    ds.PatientName = f"PHANTOM^{patient_index:03d}"
    ds.PatientID = f"PH{patient_index:03d}"
    ds.PatientSex = "O"
    ds.BodyPartExamined = "ABDOMEN"
    ds.SliceThickness = _decimal(thickness_mm)
    ds.KVP = _decimal(storage.kvp)
    ds.PatientPosition = "HFS"
    ds.StudyInstanceUID = stable_uid(*names, "study")
    ds.SeriesInstanceUID = stable_uid(*names, "series")
    ds.FrameOfReferenceUID = stable_uid(*names, "frame")
    ds.StudyID = "1"
    ds.SeriesNumber = ds.AcquisitionNumber = 1
    ds.InstanceNumber = slice_number + 1
    ds.ImagePositionPatient = [_decimal(v) for v in corner_mm]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.SliceLocation = _decimal(corner_mm[2])
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = hu.shape
    ds.PixelSpacing = [_decimal(pixel_mm)] * 2
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = int(storage.signed)
    ds.WindowCenter, ds.WindowWidth = 40, 400
    ds.RescaleIntercept = _decimal(storage.intercept)
    ds.RescaleSlope = _decimal(storage.slope)
    ds.RescaleType = "HU"
    stored = np.rint((hu - storage.intercept) / storage.slope).astype(np.int32)
    if storage.padding is not None:
        ds.add_new("PixelPaddingValue", "SS" if storage.signed else "US", storage.padding)
        stored[_outside_circle(hu.shape)] = storage.padding
    ds.PixelData = stored.astype("<i2" if storage.signed else "<u2").tobytes()
    packed = BytesIO()
    ds.save_as(packed, enforce_file_format=True)
    write_bytes(path, packed.getvalue())


def _decimal(value: float) -> str:
    """A decimal string of at most 16 characters."""
    return f"{value:.10g}"


def _outside_circle(shape: tuple[int, int]) -> np.ndarray:
    rows, columns = (np.arange(n) - (n - 1) / 2 for n in shape)
    return np.hypot(rows[:, None], columns[None, :]) > min(shape) / 2

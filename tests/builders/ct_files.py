"""Small CT files for tests: a phantom abdomen as NIfTI, DICOM and DICOM SEG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    SegmentationStorage,
)

SPACING_MM = (2.5, 0.8, 0.7)
SERIES_UID = "1.2.826.0.1.3680043.8.498.1"
LPS_AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def phantom_hu(slices: int = 5, rows: int = 24, columns: int = 32) -> np.ndarray:
    """int16 [slices, rows, columns] HU: air, body, liver on the image's left, spine at the back."""
    noise = np.random.default_rng(7).integers(-20, 21, (slices, rows, columns))
    hu = np.full((slices, rows, columns), -1000)
    hu[:, 2:-2, 2:-2] = 50
    hu[:, 6:16, 4:14] = 110
    hu[:, -7:-3, columns // 2 - 2 : columns // 2 + 2] = 500
    hu[-1, 4, 20] = 900  # one bright voxel in the slice nearest to the head
    return (hu + noise).astype(np.int16)


def phantom_labels(slices: int = 5, rows: int = 24, columns: int = 32) -> np.ndarray:
    """uint8 [slices, rows, columns]: liver 1, a lesion 2 in the upper slices."""
    labels = np.zeros((slices, rows, columns), np.uint8)
    labels[:, 6:16, 4:14] = 1
    labels[-2:, 8:11, 6:10] = 2
    return labels


def as_lps_file(canonical: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[i, j, k] array and affine of a NIfTI file whose voxels are in DICOM order (LPS)."""
    affine = np.diag([-SPACING_MM[2], -SPACING_MM[1], SPACING_MM[0], 1.0])
    affine[:3, 3] = (11.0, 12.0, -300.0)
    return canonical.transpose(2, 1, 0), affine


def write_nifti(path: Path, stored: np.ndarray, affine: np.ndarray) -> Path:
    nibabel.save(nibabel.Nifti1Image(stored, affine), path)
    return path


def write_nifti_pair(folder: Path, number: int = 0, suffix: str = ".nii") -> tuple[Path, Path]:
    """Write phantom volume and segmentation under LiTS file names."""
    volume = folder / f"volume-{number}{suffix}"
    segmentation = folder / f"segmentation-{number}{suffix}"
    write_nifti(volume, *as_lps_file(phantom_hu()))
    write_nifti(segmentation, *as_lps_file(phantom_labels()))
    return volume, segmentation


def ct_dataset(hu: np.ndarray, index: int = 0) -> FileDataset:
    """CT Image Storage of one slice, int16 HU [rows, columns], stored unsigned with an offset."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = f"{SERIES_UID}.{index + 1}"
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.SeriesInstanceUID = SERIES_UID
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Modality = "CT"
    dataset.Manufacturer = "SIEMENS"
    dataset.PatientName = "Phantom"
    dataset.InstanceNumber = 11
    dataset.KVP = 120
    dataset.SliceThickness = SPACING_MM[0]
    dataset.ImagePositionPatient = [-11.0, -12.0, -300.0 + SPACING_MM[0] * index]
    dataset.ImageOrientationPatient = list(LPS_AXIAL)
    dataset.PixelSpacing = [SPACING_MM[1], SPACING_MM[2]]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = hu.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    dataset.RescaleIntercept = "-2048"
    dataset.RescaleSlope = "1"
    dataset.RescaleType = "HU"
    dataset.PixelData = (hu.astype(np.int32) + 2048).astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def write_dicom(
    path: Path,
    hu: np.ndarray,
    index: int = 0,
    change: Callable[[FileDataset], object] | None = None,
) -> Path:
    """Write one DICOM slice; ``change`` edits the data set first."""
    dataset = ct_dataset(hu, index)
    if change is not None:
        change(dataset)
    dataset.save_as(path, enforce_file_format=True)
    return path


def compress(path: Path, syntax: str) -> None:
    """Rewrite a DICOM slice with compressed pixels; requires the package of the encoder."""
    dataset = pydicom.dcmread(path)
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
        # Copy only the pixels: the writer also adds the time and its own identifiers.
        dataset.PixelData = pydicom.dcmread(path).PixelData
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
    else:
        dataset.compress(syntax, generate_instance_uid=False)
    dataset.save_as(path)


def compress_in_16_bits(path: Path, syntax: str) -> None:
    """Rewrite a slice as a stream of 16 bits, unsigned, whatever its BitsStored."""
    dataset = pydicom.dcmread(path)
    data, size = dataset.PixelData, {"rows": dataset.Rows, "columns": dataset.Columns}
    if syntax == JPEGLSLossless:
        import jpeg_ls

        frame = bytes(jpeg_ls.encode_pixel_data(data, **size, samples_per_pixel=1, bits_stored=16))
    else:
        from openjpeg.utils import encode_buffer

        frame = encode_buffer(data, **size, samples_per_pixel=1, bits_stored=16, is_signed=False)
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path)


def write_series(folder: Path, hu: np.ndarray | None = None, change=None) -> list[Path]:
    """Write a series whose file names are not in slice order; return paths from feet to head."""
    folder.mkdir(parents=True, exist_ok=True)
    hu = phantom_hu() if hu is None else hu
    return [
        write_dicom(
            folder / f"{(index * 7) % 10}-{index}.dcm",
            hu[index],
            index,
            None if change is None else (lambda dataset, index=index: change(dataset, index)),
        )
        for index in range(len(hu))
    ]


def seg_dataset(
    segments: dict[str, np.ndarray], skip_empty: bool = True, shuffle: bool = True
) -> FileDataset:
    """Binary DICOM SEG for the series of :func:`write_series`; masks bool [slices, rows, columns].

    The frames are shuffled, so that a reader that relies on their order fails.
    """
    frames = [
        (number, index, mask[index])
        for number, mask in enumerate(segments.values(), start=1)
        for index in range(len(mask))
        if mask[index].any() or not skip_empty
    ]
    if shuffle:
        frames = [frames[i] for i in np.random.default_rng(3).permutation(len(frames))]
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SegmentationStorage
    meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.8.498.9"
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = SegmentationStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.Modality = "SEG"
    dataset.SegmentationType = "BINARY"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    first_mask = next(iter(segments.values()))
    dataset.Rows, dataset.Columns = first_mask.shape[1:]
    dataset.NumberOfFrames = len(frames)
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = dataset.PixelRepresentation = 0
    dataset.ReferencedSeriesSequence = [
        _item(
            SeriesInstanceUID=SERIES_UID,
            ReferencedInstanceSequence=[
                _item(ReferencedSOPInstanceUID=f"{SERIES_UID}.{index + 1}")
                for index in range(len(first_mask))
            ],
        )
    ]
    dataset.SegmentSequence = [
        _item(
            SegmentNumber=number,
            SegmentLabel=label,
            SegmentedPropertyTypeCodeSequence=[
                _item(CodeValue=f"T-{number}", CodingSchemeDesignator="SRT", CodeMeaning=label)
            ],
        )
        for number, label in enumerate(segments, start=1)
    ]
    dataset.SharedFunctionalGroupsSequence = [
        _item(
            PlaneOrientationSequence=[_item(ImageOrientationPatient=list(LPS_AXIAL))],
            PixelMeasuresSequence=[_item(PixelSpacing=[SPACING_MM[1], SPACING_MM[2]])],
        )
    ]
    dataset.PerFrameFunctionalGroupsSequence = [
        _item(
            SegmentIdentificationSequence=[_item(ReferencedSegmentNumber=int(number))],
            PlanePositionSequence=[
                _item(ImagePositionPatient=[-11.0, -12.0, -300.0 + SPACING_MM[0] * int(index)])
            ],
            DerivationImageSequence=[
                _item(
                    SourceImageSequence=[
                        _item(ReferencedSOPInstanceUID=f"{SERIES_UID}.{int(index) + 1}")
                    ]
                )
            ],
        )
        for number, index, _ in frames
    ]
    bits = np.stack([mask for _, _, mask in frames]).astype(np.uint8).ravel()
    data = np.packbits(bits, bitorder="little").tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB"
    return dataset


def write_seg(path: Path, segments: dict[str, np.ndarray], change=None, **options) -> Path:
    dataset = seg_dataset(segments, **options)
    if change is not None:
        change(dataset)
    dataset.save_as(path, enforce_file_format=True)
    return path


def _item(**elements) -> Dataset:
    item = pydicom.Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item

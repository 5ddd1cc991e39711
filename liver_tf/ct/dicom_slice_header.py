"""The header of a DICOM CT slice, checked: only single CT slices in HU pass (PS3.3 A.3)."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
)

from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.dicom_elements import number, numbers, text, uid_name, whole_number
from liver_tf.ct.hu_plausibility import SPACING_LIMITS_MM
from liver_tf.ct.implanted_mark import IMPLANTED, IMPLANTED_MARK
from liver_tf.ct.one_volume import SliceOrigin, origin_of
from liver_tf.ct.scanner_details import details_of
from liver_tf.refusals import Caution, Refusal

_ENHANCED = (EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
#: Storage classes for CT. The enhanced ones are refused as ``dicom-enhanced``.
CT_STORAGES = (CTImageStorage, *_ENHANCED)

#: Words of ImageType for maps of another quantity than HU, differences and renderings
#: (PS3.3 C.8.15.3.8 for multi-energy CT; the others are vendor-specific).
_NOT_HU = frozenset(
    (
        *("MAT_SPECIFIC", "MAT_FRACTIONAL", "MAT_VALUE_BASED", "EFF_ATOMIC_NUM", "MATERIAL"),
        *("ZEFF", "Z_EFF", "Z_EFFECTIVE", "EFFECTIVE_Z"),
        *("ELECTRON_DENSITY", "IODINE", "PERFUSION", "CBF", "CBV", "MTT", "TTP", "SUBTRACTION"),
        *("VRT", "SSD", "VOLUME_RENDER", "SURFACE_RENDER", "RENDERING", "SCREENSHOT"),
    )
)
#: Words for images in HU that are not those of the scanner.
_DERIVED = frozenset(
    (
        *("DERIVED", "MIP", "MAX_IP", "MINIP", "MIN_IP", "AVERAGE", "MPR", "REFORMATTED"),
        *("PROJECTION_IMAGE", "VMI", "MONO", "MONOENERGETIC", "VNC", "MAT_REMOVED"),
        "MAT_MODIFIED",
    )
)


@dataclass(frozen=True)
class SliceHeader:
    """The checked header of a DICOM CT slice; positions and directions in LPS+, mm.

    Attributes:
      path: The file.
      shape: (rows, columns) as stored.
      pixel_spacing_mm: (between rows, between columns), or None.
      thickness_mm: SpacingBetweenSlices, else SliceThickness, else None.
      position: Centre of the first pixel, or None.
      row_direction: First half of ImageOrientationPatient, a unit vector, or None.
      column_direction: Second half, or None if ``row_direction`` is None.
      slope, intercept: HU = stored * slope + intercept.
      series_uid, instance_uid: For matching only.
      origin: For deciding whether slices form one volume.
      cautions, details: As in :class:`liver_tf.ct.scan.Scan`.
    """

    path: Path
    shape: tuple[int, int]
    pixel_spacing_mm: tuple[float, float] | None
    thickness_mm: float | None
    position: np.ndarray | None
    row_direction: np.ndarray | None
    column_direction: np.ndarray | None
    slope: float
    intercept: float
    series_uid: str
    instance_uid: str
    instance_number: int | None
    origin: SliceOrigin
    cautions: tuple[Caution, ...]
    details: dict[str, str]


def check_header(dataset: pydicom.Dataset, path: Path) -> SliceHeader:
    """Check the header of a DICOM file that should hold a single CT slice in HU."""
    _refuse_other_images(dataset, path)
    slope, intercept = _rescale(dataset, path)
    cautions = []
    spacing = _pixel_spacing(dataset, path)
    if spacing is None:
        cautions.append(Caution("dicom-no-spacing", "PixelSpacing is missing: sizes are unknown"))
    position = numbers(dataset, "ImagePositionPatient", path, 3)
    row_direction, column_direction = _orientation(dataset, path)
    if row_direction is None:
        note = "ImageOrientationPatient is missing: the usual axial orientation is assumed"
        cautions.append(Caution("dicom-no-orientation", note))
    derived = sorted(_image_type_words(dataset, path) & _DERIVED)
    if derived:
        note = f"ImageType marks a derived image: {', '.join(derived)}"
        cautions.append(Caution("dicom-derived", note))
    if text(dataset, "DerivationDescription", path).startswith(IMPLANTED_MARK):
        cautions.append(IMPLANTED)
    if text(dataset, "LossyImageCompression", path) == "01":
        cautions.append(Caution("dicom-lossy", "the pixels are lossily compressed"))
    return SliceHeader(
        path=path,
        shape=(
            whole_number(dataset, "Rows", path) or 0,
            whole_number(dataset, "Columns", path) or 0,
        ),
        pixel_spacing_mm=spacing,
        thickness_mm=_thickness(dataset, path),
        position=None if position is None else np.array(position),
        row_direction=row_direction,
        column_direction=column_direction,
        slope=slope,
        intercept=intercept,
        series_uid=text(dataset, "SeriesInstanceUID", path),
        instance_uid=text(dataset, "SOPInstanceUID", path),
        # Refused if not a whole number: the header is damaged or was edited by hand.
        instance_number=whole_number(dataset, "InstanceNumber", path),
        origin=origin_of(dataset, path),
        cautions=tuple(cautions),
        details=details_of(dataset, path),
    )


def is_localizer(dataset: pydicom.Dataset, path: Path) -> bool:
    """Whether ImageType marks a localizer (scout view)."""
    return "LOCALIZER" in text(dataset, "ImageType", path).upper().split("\\")


def _image_type_words(dataset: pydicom.Dataset, path: Path) -> set[str]:
    """Values of ImageType, blanks as underscores, and the words in them, in upper case."""
    values = text(dataset, "ImageType", path).upper().split("\\")
    words = (word for value in values for word in re.split(r"[ _]+", value))
    return {*(value.replace(" ", "_") for value in values), *words}


def refuse_enhanced(storage: str, path: Path) -> None:
    """Raise ``Refusal`` ``dicom-enhanced`` for a storage class with many slices per file."""
    if storage in _ENHANCED:
        found = f"{uid_name(storage)}, many slices in one file"
        raise bad_input("dicom-enhanced", path, "CT Image Storage, one slice per file", found)


def _refuse_other_images(dataset: pydicom.Dataset, path: Path) -> None:
    storage = text(dataset, "SOPClassUID", path)
    refuse_enhanced(storage, path)
    if storage != CTImageStorage or text(dataset, "Modality", path) != "CT":
        known = uid_name(storage) or "another kind of object"
        found = known if storage != CTImageStorage else "another modality"
        raise bad_input("dicom-not-ct", path, "CT Image Storage with modality CT", found)
    if is_localizer(dataset, path):
        raise bad_input("dicom-localizer", path, "an axial slice", "a localizer (scout view)")
    maps = sorted(_image_type_words(dataset, path) & _NOT_HU)
    if maps:
        found = f"an ImageType of {', '.join(maps)}"
        raise bad_input("dicom-not-hu", path, "an image in HU", found)
    if text(dataset, "BurnedInAnnotation", path).upper() == "YES":
        found = "BurnedInAnnotation YES: the pixels may show the patient's name"
        raise bad_input("dicom-burned-in", path, "pixels without burned-in annotations", found)
    photometric = text(dataset, "PhotometricInterpretation", path).upper()
    if photometric != "MONOCHROME2" or whole_number(dataset, "SamplesPerPixel", path) not in (
        None,
        1,
    ):
        kinds = ("MONOCHROME1", "RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422")
        expected = "PhotometricInterpretation MONOCHROME2, one sample per pixel"
        found = photometric if photometric in kinds else "another one"
        raise bad_input("dicom-photometric", path, expected, found)
    if whole_number(dataset, "NumberOfFrames", path) not in (None, 1):
        found = "several frames, which CT Image Storage does not allow"
        raise bad_input("dicom-multiframe", path, "one slice per file", found)


def _rescale(dataset: pydicom.Dataset, path: Path) -> tuple[float, float]:
    """Slope and intercept to HU (PS3.3 C.11.1)."""
    if "ModalityLUTSequence" in dataset:
        expected = "RescaleSlope and RescaleIntercept"
        raise bad_input("dicom-rescale", path, expected, "a lookup table (ModalityLUTSequence)")
    kind = text(dataset, "RescaleType", path).upper()
    if kind not in ("", "HU", "US"):
        raise bad_input("dicom-not-hu", path, "RescaleType HU", "another quantity")
    slope = _rescale_value(dataset, "RescaleSlope", path)
    if slope == 0:
        raise bad_input("dicom-rescale", path, "a RescaleSlope other than 0", "0")
    return slope, _rescale_value(dataset, "RescaleIntercept", path)


def _rescale_value(dataset: pydicom.Dataset, keyword: str, path: Path) -> float:
    try:
        value, found = number(dataset, keyword, path), "none"
    except Refusal as refusal:
        value, found = None, refusal.found
    if value is None:
        raise bad_input("dicom-rescale", path, f"a finite {keyword}", found)
    return value


def _pixel_spacing(dataset: pydicom.Dataset, path: Path) -> tuple[float, float] | None:
    spacing = numbers(dataset, "PixelSpacing", path, 2)
    if spacing is None:
        return None
    if not all(SPACING_LIMITS_MM[0] <= mm <= SPACING_LIMITS_MM[1] for mm in spacing):
        expected = "a PixelSpacing from {:g} to {:g} mm".format(*SPACING_LIMITS_MM)
        raise bad_input("dicom-spacing", path, expected, f"{spacing[0]:g} x {spacing[1]:g} mm")
    return spacing[0], spacing[1]


def _thickness(dataset: pydicom.Dataset, path: Path) -> float | None:
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        thickness = number(dataset, keyword, path)
        if thickness is not None and thickness > 0:
            return thickness
    return None


def _orientation(
    dataset: pydicom.Dataset, path: Path
) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    values = numbers(dataset, "ImageOrientationPatient", path, 6)
    if values is None:
        return None, None
    row, column = np.array(values[:3]), np.array(values[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if np.abs(np.array(lengths) - 1).max() > 0.01 or abs(row @ column) > 0.01:
        expected = "two perpendicular unit vectors in ImageOrientationPatient"
        raise bad_input("dicom-orientation", path, expected, "other vectors")
    return row / lengths[0], column / lengths[1]

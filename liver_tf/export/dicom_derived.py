"""What DICOM objects made from a series (SEG, SR) share: source, patient and study, UIDs, times."""

from __future__ import annotations

import contextlib
import datetime
import logging
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom

from liver_tf.atomic_files import atomic_write
from liver_tf.ct.dicom_elements import read_dataset, text, whole_number
from liver_tf.ct.scan import Scan
from liver_tf.export.dicom_seg_codes import PRIVATE_SCHEME, PRIVATE_SCHEME_NAME
from liver_tf.export.valid_dicom_elements import empty_invalid, is_valid_uid, shorten_decimals
from liver_tf.extras import install_extra
from liver_tf.refusals import Refusal

if TYPE_CHECKING:
    from highdicom.base import SOPClass

#: References of a SEG to its source (PS3.3 C.7.2.1, C.7.3.1, C.7.4.1, C.12.1).
_REQUIRED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
_PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness")
_KIND = ("SOPClassUID", "Modality", "Rows", "Columns", "PositionReferenceIndicator")
_LOSSY = tuple(f"LossyImageCompression{part}" for part in ("", "Ratio", "Method"))
#: Required by highdicom, may be empty; replaced after writing.
_MAY_BE_EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("AccessionNumber", "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
UPDATED = "; updated"
#: Namespace of the UIDs, which are derived from names (RFC 4122, version 5; PS3.5 B.2).
_NAMESPACE = uuid.UUID("6f3c1d0e-5b0b-5f52-9a3e-6d2f0c7b9a41")


def has_highdicom() -> bool:
    """Whether highdicom is installed."""
    try:
        import highdicom  # noqa: F401
    except ImportError:
        return False
    return True


def require_highdicom(path: Path) -> None:
    """Raise ``Refusal`` (``seg-no-writer``) without highdicom; silence its log lines."""
    if not has_highdicom():
        raise Refusal(
            "seg-no-writer",
            path,
            expected="the package highdicom, which writes DICOM SEG",
            found="an installation without it",
            remedy=install_extra("dicom-seg"),
        )
    # They contain identifiers.
    logging.getLogger("highdicom").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True)
class SourceSeries:
    """The slices of a scan as highdicom needs them, with empty patient and study elements.

    Raises:
      Refusal: ``seg-source`` (when read) if a slice lacks required elements or has invalid UIDs;
        as ``read_dataset``.
    """

    scan: Scan

    @cached_property
    def slices(self) -> list[pydicom.Dataset]:
        """The elements that a SEG needs of each slice, from the feet to the head."""
        slices = [_source(path) for path in self.scan.source.files]
        for each in slices[1:]:  # their last digits may differ, which highdicom rejects
            for keyword in ("ImageOrientationPatient", "PixelSpacing"):
                each[keyword] = slices[0][keyword]
        return slices

    def copy_patient_and_study(self, derived: SOPClass) -> tuple[str, ...]:
        """As the function of this name, from the first slice."""
        return copy_patient_and_study(derived, self.scan.source.files[0])


def copy_patient_and_study(derived: SOPClass, path: Path) -> tuple[str, ...]:
    """Copy the valid elements of a slice, which highdicom modifies, unchanged.

    Returns:
      The keywords of elements with invalid values. Required ones are empty in ``derived``, the
      others are omitted.
    """
    first = read_dataset(path, pixels=False)
    shorten_decimals(first)
    invalid = empty_invalid(first)
    if text(first, "SpecificCharacterSet", path):
        derived["SpecificCharacterSet"] = first["SpecificCharacterSet"]
    before = {element.keyword for element in derived} - set(_MAY_BE_EMPTY)
    derived.copy_patient_and_study_information(first)
    omitted = [name for name in invalid if name in derived and name not in before]
    for name in omitted:
        if name not in _MAY_BE_EMPTY:
            del derived[name]
    return (*(name for name in invalid if name == "SpecificCharacterSet"), *omitted)


def series_description(text: str, source: Path, *, replaces: bool = False) -> str:
    """A description that distinguishes results in a viewer's list: at most 64 characters.

    A study often has one series per contrast phase, each with its own results.

    Args:
      source: A slice of the series.
      replaces: Whether earlier results, of part of the series, are replaced.
    """
    number = None
    with contextlib.suppress(Refusal):  # invalid
        header = read_dataset(source, pixels=False, only=["SeriesNumber"])
        number = whole_number(header, "SeriesNumber", source)
    if number is not None and 0 <= number < 100_000:
        text += f", series {number}"
    return text + UPDATED if replaces else text


def uid_of(identity: str, role: str) -> str:
    """A UID that depends on both texts only."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, f'{identity} {role}').int}"


def name_private_scheme(derived: pydicom.Dataset) -> None:
    """State what the private codes are (PS3.3 C.12.1.1.12)."""
    scheme = pydicom.Dataset()
    scheme.CodingSchemeDesignator = PRIVATE_SCHEME
    scheme.CodingSchemeName = PRIVATE_SCHEME_NAME
    derived.CodingSchemeIdentificationSequence = [scheme]


def save(path: Path | str, derived: SOPClass, made_at: datetime.datetime, source: Path) -> None:
    """Set the times of content, instance and series, and write the file, atomically."""
    date, time = made_at.strftime("%Y%m%d"), made_at.strftime("%H%M%S")
    for event in ("Content", "InstanceCreation", "Series"):
        setattr(derived, f"{event}Date", date)
        setattr(derived, f"{event}Time", time)
    for item in derived.get("ContributingEquipmentSequence", ()):
        item.ContributionDateTime = date + time
    with atomic_write(path) as temporary:
        try:
            derived.save_as(temporary, enforce_file_format=True)
        except (TypeError, ValueError, AttributeError, KeyError):
            raise unfit_source(source, "elements that cannot be encoded") from None


def unfit_source(path: Path, found: str) -> Refusal:
    """The refusal of a series from which no SEG can be made."""
    return Refusal(
        "seg-source",
        path,
        expected="a series with the elements that a DICOM SEG requires",
        found=found,
        remedy="Export the series again from the archive, with its UIDs and slice thickness. The "
        "other results are not affected.",
    )


def _source(path: Path) -> pydicom.Dataset:
    """The elements of a slice that the SEG needs, and no others."""
    needed = (*_REQUIRED, *_PLACE, *_KIND, *_LOSSY)
    dataset = read_dataset(path, pixels=False, only=needed)
    for keyword in _REQUIRED:
        value = text(dataset, keyword, path)
        if not is_valid_uid(value):
            raise unfit_source(
                path, f"a slice {'with an invalid' if value else 'without'} {keyword}"
            )
    shorten_decimals(dataset)
    empty_invalid(dataset)
    for keyword in _LOSSY:
        if keyword in dataset and dataset[keyword].is_empty:
            del dataset[keyword]
    if not text(dataset, "SliceThickness", path):
        raise unfit_source(path, "a slice without SliceThickness")
    for keyword in _MAY_BE_EMPTY:
        setattr(dataset, keyword, "")
    return dataset

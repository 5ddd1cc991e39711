"""Write a label map as DICOM Segmentation (PS3.3 A.51) that refers to the series of the scan.

Written with highdicom (extra ``dicom-seg``). One segment per class, numbered by the label of the
class, so that segments are the same in every scan. Empty frames are omitted.
"""

from __future__ import annotations

import datetime
import hashlib
import logging
import uuid
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pydicom

from liver_tf.atomic_files import atomic_write
from liver_tf.ct.dicom_elements import quiet_pydicom, read_dataset, text
from liver_tf.ct.orientation import from_canonical
from liver_tf.ct.scan import Scan, require_geometry
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.dicom_seg_codes import PRIVATE_SCHEME, PRIVATE_SCHEME_NAME, codes_of
from liver_tf.export.valid_dicom_elements import empty_invalid, is_valid_uid, shorten_decimals
from liver_tf.extras import install_extra
from liver_tf.labels import LIVER, LabelSet
from liver_tf.refusals import Refusal
from liver_tf.trained_on import UNVALIDATED

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription

SERIES_NUMBER = 900
SERIES_DESCRIPTION = "Liver lesions, automatic, for research"

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
#: Namespace of the UIDs, which are derived from names (RFC 4122, version 5; PS3.5 B.2).
_NAMESPACE = uuid.UUID("6f3c1d0e-5b0b-5f52-9a3e-6d2f0c7b9a41")


@dataclass(frozen=True)
class WrittenSeg:
    """The outcome of ``write_dicom_seg``.

    Attributes:
      frames: Number of frames; 0 if no file was written.
      not_copied: Keywords of patient and study elements with invalid values in the scan. Required
        ones are empty in the SEG, the others are omitted.
    """

    frames: int
    not_copied: tuple[str, ...] = ()


def write_dicom_seg(
    path: Path | str,
    labels: np.ndarray,
    scan: Scan,
    label_set: LabelSet,
    made_by: AlgorithmIdentity,
    made_at: datetime.datetime | None = None,
    *,
    types_unvalidated: bool = False,
) -> WrittenSeg:
    """Write the label map of a DICOM scan as DICOM SEG, atomically.

    The SEG is a new series in the study of the scan and copies the valid patient and study
    elements. Its UIDs are derived from those of the scan, the model and the labels, so an archive
    identifies a result that is written twice as the same object; only the creation times differ.
    No file is written for an empty label map, because a SEG must have a frame.

    Args:
      labels: uint8 [slices, rows, columns], canonical, of the shape of ``scan.hu``.
      types_unvalidated: State in the description of each lesion's segment that the types were not
        validated on real lesions.

    Raises:
      ValueError: ``labels`` has the wrong shape, dtype or values, or the scan is not DICOM.
      Refusal: ``no-geometry``; ``seg-source`` if the series lacks required elements, has invalid
        UIDs, or is rejected by highdicom; ``seg-no-writer`` if highdicom is not installed; as
        ``read_dataset``.
    """
    if not scan.source.kind.startswith("dicom-"):
        raise ValueError(f"expected a scan read from DICOM, found {scan.source.kind}")
    if labels.shape != scan.hu.shape or labels.dtype != np.uint8 or labels.max() >= len(label_set):
        raise ValueError(
            f"labels: expected uint8 of shape {scan.hu.shape} below {len(label_set)}, found "
            f"{labels.dtype} {labels.shape} up to {labels.max()}"
        )
    require_geometry(scan)
    if not labels.any():
        return WrittenSeg(0)
    with quiet_pydicom():
        seg, not_copied = _segmentation(labels, scan, label_set, made_by)
        if types_unvalidated:
            for item in seg.SegmentSequence:
                if item.SegmentNumber > LIVER:
                    item.SegmentDescription = f"Lesion type {UNVALIDATED}"
        _set_times(seg, made_at or datetime.datetime.now())
        with atomic_write(path) as temporary:
            try:
                seg.save_as(temporary, enforce_file_format=True)
            except (TypeError, ValueError, AttributeError, KeyError):
                raise _unfit_source(scan.source.path, "elements that cannot be encoded") from None
    return WrittenSeg(int(seg.NumberOfFrames), not_copied)


def _segmentation(
    labels: np.ndarray, scan: Scan, label_set: LabelSet, made_by: AlgorithmIdentity
) -> tuple[Segmentation, tuple[str, ...]]:
    try:
        import highdicom
    except ImportError:
        raise Refusal(
            "seg-no-writer",
            scan.source.path,
            expected="the package highdicom, which writes DICOM SEG",
            found="an installation without it",
            remedy=install_extra("dicom-seg"),
        ) from None
    # Its log lines contain identifiers.
    logging.getLogger("highdicom").setLevel(logging.CRITICAL + 1)
    first = read_dataset(scan.source.files[0], pixels=False)
    sources = [_source(path) for path in scan.source.files]
    for source in sources[1:]:  # their last digits may differ, which highdicom rejects
        for keyword in ("ImageOrientationPatient", "PixelSpacing"):
            source[keyword] = sources[0][keyword]
    stored = np.ascontiguousarray(from_canonical(labels, scan.source))
    identity = _identity(labels, scan, label_set, made_by)
    descriptions = _descriptions(label_set, made_by)
    try:
        seg = highdicom.seg.Segmentation(
            source_images=sources,
            pixel_array=stored,
            segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=descriptions,
            pixel_measures=highdicom.PixelMeasuresSequence(
                pixel_spacing=sources[0].PixelSpacing,
                slice_thickness=sources[0].SliceThickness,
                spacing_between_slices=round(scan.spacing_mm[0], 6) if len(sources) > 1 else None,
            ),
            series_instance_uid=_uid(identity, "series"),
            series_number=SERIES_NUMBER,
            sop_instance_uid=_uid(identity, "instance"),
            instance_number=1,
            manufacturer=made_by.name,
            manufacturer_model_name=f"{made_by.name} cascade",
            software_versions=made_by.version,
            device_serial_number=made_by.model or "unknown",
            content_label="LIVER_LESIONS",
            content_description="Found by a network; for research, not a medical device",
            series_description=SERIES_DESCRIPTION,
            omit_empty_frames=True,
            specific_character_set=None,
        )
        # highdicom modifies patient and study elements; restore the valid values of the scan.
        shorten_decimals(first)
        invalid = empty_invalid(first)
        if text(first, "SpecificCharacterSet", scan.source.path):
            seg["SpecificCharacterSet"] = first["SpecificCharacterSet"]
        not_copied = _copy_of_patient_and_study(first, seg, invalid)
    except Exception:  # types vary, and messages may quote patient data
        raise _unfit_source(scan.source.path, "elements that are invalid in a SEG") from None
    if any(codes_of(name).type.scheme == PRIVATE_SCHEME for name in label_set.classes[1:]):
        scheme = pydicom.Dataset()  # PS3.3 C.12.1.1.12
        scheme.CodingSchemeDesignator = PRIVATE_SCHEME
        scheme.CodingSchemeName = PRIVATE_SCHEME_NAME
        seg.CodingSchemeIdentificationSequence = [scheme]
    for item in (*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence):
        item.DimensionOrganizationUID = _uid(identity, "dimensions")
    return seg, not_copied


def _copy_of_patient_and_study(
    first: pydicom.Dataset, seg: Segmentation, invalid: list[str]
) -> tuple[str, ...]:
    """Copy the elements into the SEG; returns the invalid ones that were not copied."""
    before = {element.keyword for element in seg} - set(_MAY_BE_EMPTY)
    seg.copy_patient_and_study_information(first)
    omitted = [name for name in invalid if name in seg and name not in before]
    for name in omitted:
        if name not in _MAY_BE_EMPTY:
            del seg[name]
    return (*(name for name in invalid if name == "SpecificCharacterSet"), *omitted)


def _source(path: Path) -> pydicom.Dataset:
    """The elements of a slice that the SEG needs, and no others."""
    needed = (*_REQUIRED, *_PLACE, *_KIND, *_LOSSY)
    dataset = read_dataset(path, pixels=False, only=needed)
    for keyword in _REQUIRED:
        value = text(dataset, keyword, path)
        if not is_valid_uid(value):
            raise _unfit_source(
                path, f"a slice {'with an invalid' if value else 'without'} {keyword}"
            )
    shorten_decimals(dataset)
    empty_invalid(dataset)
    for keyword in _LOSSY:
        if keyword in dataset and dataset[keyword].is_empty:
            del dataset[keyword]
    if not text(dataset, "SliceThickness", path):
        raise _unfit_source(path, "a slice without SliceThickness")
    for keyword in _MAY_BE_EMPTY:
        setattr(dataset, keyword, "")
    return dataset


def _descriptions(label_set: LabelSet, made_by: AlgorithmIdentity) -> list[SegmentDescription]:
    import highdicom
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=made_by.name,
        family=codes.cid7162.ArtificialIntelligence,
        version=made_by.version,
        parameters={"model": made_by.model} if made_by.model else None,
    )
    descriptions = []
    for label, name in enumerate(label_set.classes[1:], 1):
        segment = codes_of(name)
        region = CodedConcept(*astuple(segment.region)) if segment.region else None
        colour = bytes.fromhex(label_set.colour(label).removeprefix("#"))
        descriptions.append(
            highdicom.seg.SegmentDescription(
                segment_number=label,
                segment_label=segment.label,
                segmented_property_category=CodedConcept(*astuple(segment.category)),
                segmented_property_type=CodedConcept(*astuple(segment.type)),
                algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
                algorithm_identification=algorithm,
                anatomic_regions=[region] if region else None,
                display_color=highdicom.color.CIELabColor.from_rgb(*colour),
            )
        )
    return descriptions


def _identity(
    labels: np.ndarray, scan: Scan, label_set: LabelSet, made_by: AlgorithmIdentity
) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(labels).data)
    names = (*label_set.classes, made_by.name, made_by.version, made_by.model)
    for part in (scan.source.series_uid, *scan.source.instance_uids, *names):
        digest.update(b"\0" + part.encode())
    return digest.hexdigest()


def _uid(identity: str, role: str) -> str:
    return f"2.25.{uuid.uuid5(_NAMESPACE, f'{identity} {role}').int}"


def _set_times(seg: Segmentation, made_at: datetime.datetime) -> None:
    date, time = made_at.strftime("%Y%m%d"), made_at.strftime("%H%M%S")
    for event in ("Content", "InstanceCreation", "Series"):
        setattr(seg, f"{event}Date", date)
        setattr(seg, f"{event}Time", time)
    for item in seg.get("ContributingEquipmentSequence", ()):
        item.ContributionDateTime = date + time


def _unfit_source(path: Path, found: str) -> Refusal:
    return Refusal(
        "seg-source",
        path,
        expected="a series with the elements that a DICOM SEG requires",
        found=found,
        remedy="Export the series again from the archive, with its UIDs and slice thickness. The "
        "other results are not affected.",
    )

"""A label map as DICOM Segmentation (PS3.3 A.51) that lies on the series it was made from.

Written by highdicom (extra ``dicom-seg``). One segment a class, whose number is the class's label,
so that it is the same in every scan; frames where there is something only.
"""

from __future__ import annotations

import datetime
import hashlib
import logging
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pydicom

from liver_tf.atomic_files import atomic_write
from liver_tf.ct.dicom_elements import quiet_pydicom, read_dataset, text
from liver_tf.ct.orientation import from_canonical
from liver_tf.ct.scan import Scan, require_geometry
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.dicom_seg_codes import (
    PRIVATE_SCHEME,
    PRIVATE_SCHEME_NAME,
    Code,
    SegmentCodes,
    codes_of,
)
from liver_tf.export.valid_dicom_elements import empty_invalid, is_valid_uid
from liver_tf.labels import LabelSet
from liver_tf.refusals import Refusal

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription

SERIES_NUMBER = 900
SERIES_DESCRIPTION = "Liver lesions, automatic, for research"

#: Without these a SEG cannot say what it was made from (PS3.3 C.7.2.1, C.7.3.1, C.7.4.1, C.12.1).
_MUST_HAVE = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
_PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness")
_KIND = ("SOPClassUID", "Modality", "Rows", "Columns", "PositionReferenceIndicator")
_LOSSY = (
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)
#: What highdicom asks of a source; must be there, may be empty, and is replaced afterwards.
_MAY_BE_EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("AccessionNumber", "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
#: UIDs are made from names below this one (RFC 4122, version 5), as PS3.5 B.2 has it.
_NAMESPACE = uuid.UUID("6f3c1d0e-5b0b-5f52-9a3e-6d2f0c7b9a41")


@dataclass(frozen=True)
class WrittenSeg:
    """What became of a DICOM SEG.

    Attributes:
      frames: how many it has; 0 where no file was written.
      not_copied: keywords of elements of the patient and the study that hold in the scan what
        DICOM does not allow. Those that must be there are empty, the others are left out.
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
) -> WrittenSeg:
    """Write the label map of a DICOM scan as DICOM SEG; whole or not at all.

    The file belongs to the patient and study of the scan, whose elements it copies as far as they
    are valid DICOM, and gets a series of its own. Its UIDs are made from those of the scan, the
    model and the labels: the same result twice is the same object to an archive. Only the times of
    creation differ then.

    Args:
      labels: uint8 [slices, rows, columns], canonical, of the shape of ``scan.hu``.
      scan: read from a DICOM series or slice.
      made_at: time of creation, by default now.

    Returns:
      What was written. Where no label is set nothing is, of 0 frames: a SEG of no frames is no
      valid one.

    Raises:
      ValueError: ``labels`` has another shape or dtype than it should, or holds a label that
        ``label_set`` lacks, or the scan is not DICOM.
      Refusal: ``no-geometry``; ``seg-source`` where the series lacks what a SEG must refer to, has
        UIDs that are none, or highdicom will not have it; ``seg-no-writer`` where highdicom is not
        installed; as :func:`liver_tf.ct.dicom_elements.read_dataset`.
    """
    if not scan.source.kind.startswith("dicom-"):
        raise ValueError(f"expected a scan read from DICOM, got {scan.source.kind}")
    if labels.shape != scan.hu.shape or labels.dtype != np.uint8 or labels.max() >= len(label_set):
        raise ValueError(
            f"labels: expected uint8 of shape {scan.hu.shape} below {len(label_set)}, got "
            f"{labels.dtype} {labels.shape} up to {labels.max()}"
        )
    require_geometry(scan)
    if not labels.any():
        return WrittenSeg(0)
    with quiet_pydicom():
        seg, not_copied = _segmentation(labels, scan, label_set, made_by, made_at)
        with atomic_write(path) as temporary:
            try:
                seg.save_as(temporary, enforce_file_format=True)
            except (TypeError, ValueError, AttributeError, KeyError):
                raise _unfit_source(scan.source.path, "elements that cannot be encoded") from None
    return WrittenSeg(int(seg.NumberOfFrames), not_copied)


def _segmentation(
    labels: np.ndarray,
    scan: Scan,
    label_set: LabelSet,
    made_by: AlgorithmIdentity,
    made_at: datetime.datetime | None,
) -> tuple[Segmentation, tuple[str, ...]]:
    try:
        import highdicom
    except ImportError:
        raise Refusal(
            "seg-no-writer",
            scan.source.path,
            expected="highdicom, which writes DICOM SEG",
            found="an environment without it",
            remedy="Install the extra: pip install 'liver_tf[dicom-seg]'.",
        ) from None
    # Its log lines repeat identifiers.
    logging.getLogger("highdicom").setLevel(logging.CRITICAL + 1)
    first = read_dataset(scan.source.files[0], pixels=False)
    sources = [_source(path) for path in scan.source.files]
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
        # What highdicom writes of the patient and the study it has checked against its own idea
        # of them; what was in the scan counts, where it is valid.
        invalid = empty_invalid(first)
        if text(first, "SpecificCharacterSet", scan.source.path):
            seg["SpecificCharacterSet"] = first["SpecificCharacterSet"]
        not_copied = _copy_of_patient_and_study(first, seg, invalid)
    except Exception:  # of many kinds, whose texts may quote values
        raise _unfit_source(scan.source.path, "elements that do not go into one") from None
    _name_private_scheme(seg, label_set)
    _set_times(seg, made_at or datetime.datetime.now())
    _set_dimension_uid(seg, _uid(identity, "dimensions"))
    return seg, not_copied


def _copy_of_patient_and_study(
    first: pydicom.Dataset, seg: Segmentation, invalid: list[str]
) -> tuple[str, ...]:
    """Copy them into the SEG; returns which of the invalid elements would have gone along."""
    before = {element.keyword for element in seg} - set(_MAY_BE_EMPTY)
    seg.copy_patient_and_study_information(first)
    lost = [name for name in invalid if name in seg and name not in before]
    for name in lost:
        if name not in _MAY_BE_EMPTY:
            del seg[name]
    return (*(name for name in invalid if name == "SpecificCharacterSet"), *lost)


def _source(path: Path) -> pydicom.Dataset:
    """What of a slice goes into a SEG, and no more."""
    wanted = (*_MUST_HAVE, *_PLACE, *_KIND, *_LOSSY)
    dataset = read_dataset(path, pixels=False, only=wanted)
    for keyword in _MUST_HAVE:
        value = text(dataset, keyword, path)
        if not is_valid_uid(value):
            raise _unfit_source(
                path, f"a slice {'with an invalid' if value else 'without'} {keyword}"
            )
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
    from pydicom.sr.codedict import codes

    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=made_by.name,
        family=codes.cid7162.ArtificialIntelligence,
        version=made_by.version,
        parameters={"model": made_by.model} if made_by.model else None,
    )
    found = []
    for label in range(1, len(label_set)):
        known: SegmentCodes = codes_of(label_set.classes[label])
        found.append(
            highdicom.seg.SegmentDescription(
                segment_number=label,
                segment_label=known.label,
                segmented_property_category=_concept(known.category),
                segmented_property_type=_concept(known.type),
                algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
                algorithm_identification=algorithm,
                anatomic_regions=None if known.region is None else [_concept(known.region)],
                display_color=_colour(label_set.colour(label)),
            )
        )
    return found


def _concept(code: Code):
    from highdicom.sr import CodedConcept

    return CodedConcept(code.value, code.scheme, code.meaning)


def _colour(hexadecimal: str):
    from highdicom.color import CIELabColor

    return CIELabColor.from_rgb(*bytes.fromhex(hexadecimal.removeprefix("#")))


def _name_private_scheme(seg: Segmentation, label_set: LabelSet) -> None:
    """Say what the private coding scheme is (PS3.3 C.12.1.1.12), where it is used."""
    if all(codes_of(name).type.scheme != PRIVATE_SCHEME for name in label_set.classes[1:]):
        return
    item = pydicom.Dataset()
    item.CodingSchemeDesignator = PRIVATE_SCHEME
    item.CodingSchemeName = PRIVATE_SCHEME_NAME
    seg.CodingSchemeIdentificationSequence = [item]


def _identity(
    labels: np.ndarray, scan: Scan, label_set: LabelSet, made_by: AlgorithmIdentity
) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(labels))
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


def _set_dimension_uid(seg: Segmentation, uid: str) -> None:
    for item in (*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid


def _unfit_source(path: Path, found: str) -> Refusal:
    return Refusal(
        "seg-source",
        path,
        expected="a series with all that a DICOM SEG has to take from it",
        found=found,
        remedy="Export the series again from the archive, with its UIDs and slice thickness; the "
        "other results do not depend on it.",
    )

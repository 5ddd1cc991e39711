"""Write a label map as DICOM Segmentation (PS3.3 A.51) that refers to the series of the scan.

Written with highdicom (extra ``dicom-seg``). By default one segment per class, numbered by the
label of the class, so that segments are the same in every scan. Empty frames are omitted.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pydicom

from liver_tf.ct.dicom_elements import quiet_pydicom, read_dataset
from liver_tf.ct.orientation import from_canonical
from liver_tf.ct.scan import Scan, require_geometry
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.dicom_derived import (
    SourceSeries,
    name_private_scheme,
    require_highdicom,
    save,
    series_description,
    uid_of,
    unfit_source,
)
from liver_tf.export.dicom_seg_codes import PRIVATE_SCHEME, codes_of
from liver_tf.export.dicom_seg_segments import (
    descriptions,
    segments_of_classes,
    segments_of_lesions,
)
from liver_tf.export.tracked_lesions import TrackedLesions
from liver_tf.labels import CLASS, LESION, LIVER, LabelSet
from liver_tf.trained_on import UNVALIDATED

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription

SERIES_NUMBER = 900
SERIES_DESCRIPTION = "Liver lesions, automatic, for research"


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
    lesions: TrackedLesions | None = None,
    segments: str = CLASS,
    source: SourceSeries | None = None,
    replaces: Sequence[Path] = (),
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
      lesions: Those of the label map. A segment that is exactly one of them carries its tracking
        identifiers.
      segments: ``class`` or ``lesion``; the latter requires ``lesions``.
      source: The slices of the scan, if they have been read.
      replaces: Earlier SEGs, of part of the scan; named as related series (PS3.3 C.7.3.1).

    Raises:
      ValueError: ``labels`` has the wrong shape, dtype or values, or the scan is not DICOM, or
        ``lesions`` are missing.
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
    identity = _identity(labels, scan, label_set, made_by)
    if segments == LESION:
        if lesions is None:
            raise ValueError("lesions: expected those of the label map, found none")
        numbers, planned = segments_of_lesions(labels, label_set, lesions)
        identity += " ".join(("", LESION, *lesions.types))
    else:
        numbers, planned = labels, segments_of_classes(labels, label_set, lesions)
    require_highdicom(scan.source.path)
    with quiet_pydicom():
        described = descriptions(planned, label_set, made_by)
        source = source or SourceSeries(scan)
        earlier = [read_dataset(each, pixels=False) for each in replaces]
        identity += "".join(f" {each.SOPInstanceUID}" for each in earlier)
        seg, not_copied = _segmentation(
            *(numbers, source, described, made_by, identity), replaces=bool(earlier)
        )
        if any(codes_of(name).type.scheme == PRIVATE_SCHEME for name in label_set.classes[1:]):
            name_private_scheme(seg)
        if earlier:
            seg.RelatedSeriesSequence = [_related(each) for each in earlier]
        if types_unvalidated:
            for item in seg.SegmentSequence:
                if item.SegmentNumber > LIVER:
                    item.SegmentDescription = f"Lesion type {UNVALIDATED}"
        save(path, seg, made_at or datetime.datetime.now(), scan.source.path)
    return WrittenSeg(int(seg.NumberOfFrames), not_copied)


def _segmentation(
    numbers: np.ndarray,
    source: SourceSeries,
    described: list[SegmentDescription],
    made_by: AlgorithmIdentity,
    identity: str,
    *,
    replaces: bool,
) -> tuple[Segmentation, tuple[str, ...]]:
    """The SEG of a map of segment numbers, and the elements that were not copied."""
    import highdicom

    scan, first = source.scan, source.slices[0]
    stored = np.ascontiguousarray(from_canonical(numbers, scan.source))
    try:
        seg = highdicom.seg.Segmentation(
            source_images=source.slices,
            pixel_array=stored,
            segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=described,
            pixel_measures=highdicom.PixelMeasuresSequence(
                pixel_spacing=first.PixelSpacing,
                slice_thickness=first.SliceThickness,
                spacing_between_slices=(
                    round(scan.spacing_mm[0], 6) if len(source.slices) > 1 else None
                ),
            ),
            series_instance_uid=uid_of(identity, "series"),
            series_number=SERIES_NUMBER,
            sop_instance_uid=uid_of(identity, "instance"),
            instance_number=1,
            **made_by.equipment,
            content_label="LIVER_LESIONS",
            content_description="Found by a network; for research, not a medical device",
            series_description=series_description(
                SERIES_DESCRIPTION, scan.source.files[0], replaces=replaces
            ),
            omit_empty_frames=True,
            specific_character_set=None,
        )
        seg.ContentCreatorName = None  # of type 2 (PS3.3 10.9): present, may be empty
        not_copied = source.copy_patient_and_study(seg)
    except Exception:  # types vary, and messages may quote patient data
        raise unfit_source(scan.source.path, "elements that are invalid in a SEG") from None
    for item in (*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid_of(identity, "dimensions")
    return seg, not_copied


def _related(seg: pydicom.Dataset) -> pydicom.Dataset:
    """Reference to the series of a SEG. No code exists for the purpose, which may be empty."""
    reference = pydicom.Dataset()
    reference.StudyInstanceUID = seg.StudyInstanceUID
    reference.SeriesInstanceUID = seg.SeriesInstanceUID
    reference.PurposeOfReferenceCodeSequence = []
    return reference


def _identity(
    labels: np.ndarray, scan: Scan, label_set: LabelSet, made_by: AlgorithmIdentity
) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(labels).data)
    names = (*label_set.classes, made_by.name, made_by.version, made_by.model)
    for part in (scan.source.series_uid, *scan.source.instance_uids, *names):
        digest.update(b"\0" + part.encode())
    return digest.hexdigest()

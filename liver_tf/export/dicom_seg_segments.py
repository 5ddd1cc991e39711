"""The segments of a DICOM SEG: one per class, or one per lesion (``--segments``)."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import numpy as np

from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.dicom_seg_codes import codes_of
from liver_tf.export.tracked_lesions import TrackedLesions
from liver_tf.labels import LIVER, LabelSet

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription


@dataclass(frozen=True)
class PlannedSegment:
    """A segment: its label in the label set, its name, and its lesion if it is exactly one."""

    label: int
    name: str
    tracking: tuple[str, str] | None = None


def segments_of_classes(
    labels: np.ndarray, label_set: LabelSet, lesions: TrackedLesions | None
) -> list[PlannedSegment]:
    """A segment for every class; its number is the label. A class of one lesion is tracked."""
    single = lesions.classes_of_one_lesion(labels) if lesions else {}
    return [
        PlannedSegment(
            label,
            codes_of(name).label,
            _tracking(lesions, single[label]) if lesions and label in single else None,
        )
        for label, name in enumerate(label_set.classes[1:], 1)
    ]


def segments_of_lesions(
    labels: np.ndarray, label_set: LabelSet, lesions: TrackedLesions
) -> tuple[np.ndarray, list[PlannedSegment]]:
    """Segment 1 is the liver, segment n + 1 lesion n; also the map of segment numbers, uint16."""
    numbers = (labels == LIVER).astype(np.uint16)
    lesions.components.paint(numbers, np.arange(len(lesions.uids)) + LIVER + 1)
    return numbers, [
        PlannedSegment(LIVER, codes_of(label_set.classes[LIVER]).label),
        *(
            PlannedSegment(label_set.index(name), _name(name, index), _tracking(lesions, index))
            for index, name in enumerate(lesions.types)
        ),
    ]


def descriptions(
    segments: list[PlannedSegment], label_set: LabelSet, made_by: AlgorithmIdentity
) -> list[SegmentDescription]:
    """The segments with codes and colours of their classes (PS3.3 C.8.20.2)."""
    import highdicom
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=made_by.name,
        family=codes.cid7162.ArtificialIntelligence,
        version=made_by.version,
        parameters={"model": made_by.model} if made_by.model else None,
    )
    described = []
    for number, segment in enumerate(segments, 1):
        coded = codes_of(label_set.classes[segment.label])
        region = CodedConcept(*astuple(coded.region)) if coded.region else None
        colour = bytes.fromhex(label_set.colour(segment.label).removeprefix("#"))
        identifier, uid = segment.tracking or (None, None)
        described.append(
            highdicom.seg.SegmentDescription(
                segment_number=number,
                segment_label=segment.name,
                segmented_property_category=CodedConcept(*astuple(coded.category)),
                segmented_property_type=CodedConcept(*astuple(coded.type)),
                algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
                algorithm_identification=algorithm,
                tracking_id=identifier,
                tracking_uid=uid,
                anatomic_regions=[region] if region else None,
                display_color=highdicom.color.CIELabColor.from_rgb(*colour),
            )
        )
    return described


def _name(class_name: str, index: int) -> str:
    number = str(index + 1)
    return f"{codes_of(class_name).label[: 63 - len(number)]} {number}"  # at most 64 characters


def _tracking(lesions: TrackedLesions, index: int) -> tuple[str, str]:
    return lesions.ids[index], lesions.uids[index]

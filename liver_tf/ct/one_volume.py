"""Whether slices form one volume: one patient, one study, one acquisition after the other.

Every command that stacks slices decides by these functions
(:func:`liver_tf.ct.dicom_slice_order.stack_slices`).
"""

import contextlib
import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pydicom

from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.dicom_elements import number, text
from liver_tf.ct.patient_identity import patient_key
from liver_tf.refusals import Caution, Refusal

#: Slice thicknesses that differ by less than this share are equal.
_SAME_THICKNESS = 0.01


@dataclass(frozen=True)
class SliceOrigin:
    """Where a slice comes from. For comparison only; never written or printed.

    Attributes:
      patient, study_uid, frame_uid: The same in all slices of a volume (PS3.3 C.7.1, C.7.4.1).
      acquisition, kernel, image_type, thickness_mm, patient_position: What changes the image. They
        may differ between parts of a volume, but not alternate.
    """

    patient: str = field(repr=False)
    study_uid: str = field(repr=False)
    frame_uid: str = field(repr=False)
    acquisition: str = field(repr=False)
    kernel: str = field(repr=False)
    image_type: str = field(repr=False)
    thickness_mm: float = field(repr=False)
    patient_position: str = field(repr=False)


#: What changes the image, with its name in messages.
_OF_THE_IMAGE = {
    "acquisition": "AcquisitionNumber",
    "kernel": "ConvolutionKernel",
    "image_type": "ImageType",
    "thickness_mm": "SliceThickness",
    "patient_position": "PatientPosition",
}


def origin_of(dataset: pydicom.Dataset, path: Path) -> SliceOrigin:
    """The origin of a slice; empty or 0 for elements that are missing or damaged."""
    thickness = 0.0
    with contextlib.suppress(Refusal):
        thickness = number(dataset, "SliceThickness", path) or 0.0

    def plain(keyword: str) -> str:
        with contextlib.suppress(Refusal):
            return text(dataset, keyword, path)
        return ""

    return SliceOrigin(
        patient=patient_key(plain("PatientID")),
        study_uid=plain("StudyInstanceUID"),
        frame_uid=plain("FrameOfReferenceUID"),
        acquisition=plain("AcquisitionNumber"),
        kernel=plain("ConvolutionKernel").upper(),
        image_type=plain("ImageType").upper(),
        thickness_mm=thickness,
        patient_position=plain("PatientPosition").upper(),
    )


def refuse_several_patients(patients: Collection[str], place: Path) -> None:
    """Refuse slices with several PatientIDs (``series-patients``), compared by their keys."""
    count = len({patient_key(patient) for patient in patients})
    if count > 1:
        raise bad_input("series-patients", place, "one PatientID in all slices", f"{count}")


def refuse_several_origins(origins: Sequence[SliceOrigin], place: Path) -> None:
    """Refuse slices of several patients, studies or frames of reference.

    Raises:
      Refusal: ``series-patients``, ``series-studies``, ``series-frames``.
    """
    refuse_several_patients([origin.patient for origin in origins], place)
    studies = {origin.study_uid for origin in origins} - {""}
    if len(studies) > 1:
        expected = "one StudyInstanceUID in all slices"
        raise bad_input("series-studies", place, expected, f"{len(studies)}")
    frames = {origin.frame_uid for origin in origins} - {""}
    if len(frames) > 1:
        expected = "one FrameOfReferenceUID in all slices"
        raise bad_input("series-frames", place, expected, f"{len(frames)}")


def refuse_repeated_instances(instance_uids: Sequence[str], place: Path) -> None:
    """Refuse slices that share a SOPInstanceUID (``series-instance-twice``)."""
    known = [uid for uid in instance_uids if uid]
    repeated = len(known) - len(set(known))
    if repeated:
        expected = "every SOPInstanceUID once"
        raise bad_input("series-instance-twice", place, expected, f"{repeated} repeated")


def refuse_alternation(origins: Sequence[SliceOrigin], place: Path) -> tuple[Caution, ...]:
    """Refuse slices, in their order in space, between which the image alternates.

    A part that follows another part, such as a lower and an upper acquisition, is accepted.

    Returns:
      The caution ``series-parts`` if kernel, ImageType, thickness or position change once.

    Raises:
      Refusal: ``series-alternates``, naming the element.
    """
    changing = []
    for name, keyword in _OF_THE_IMAGE.items():
        values = [getattr(origin, name) for origin in origins]
        if name == "thickness_mm":
            values = _rounded(values)
        runs = len(list(itertools.groupby(values)))
        kinds = sorted((values.count(value) for value in set(values)), reverse=True)
        if runs > len(kinds):
            expected = f"slices whose {keyword} does not alternate along the stack"
            counts = " and ".join(str(count) for count in kinds[:4])
            found = f"{len(kinds)} values in {counts} slices, which change {runs - 1} times"
            raise bad_input("series-alternates", place, expected, found)
        if runs > 1 and name != "acquisition":
            changing.append(keyword)
    if not changing:
        return ()
    note = f"{', '.join(changing)} differ between parts of the volume"
    return (Caution("series-parts", note),)


def _rounded(values: Sequence[float]) -> list[float]:
    """Values that are nearly equal become the smallest of them."""
    nearest: dict[float, float] = {}
    start = 0.0
    for value in sorted(set(values)):
        if value > start * (1 + _SAME_THICKNESS):
            start = value
        nearest[value] = start
    return [nearest[value] for value in values]

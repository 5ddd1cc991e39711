"""Write the lesions of a scan as a DICOM SR: a measurement report (PS3.16 TID 1500).

Written with highdicom (extra ``dicom-seg``) as Comprehensive SR (PS3.3 A.35.3), in a new series of
the study.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import pydicom

from liver_tf.ct.dicom_elements import quiet_pydicom, read_dataset
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
from liver_tf.export.scan_findings import ScanFindings
from liver_tf.export.tracked_lesions import TrackedLesions
from liver_tf.trained_on import UNVALIDATED

SERIES_NUMBER = 901
SERIES_DESCRIPTION = "Liver lesions, measurements, for research"
REPLACES_NOTE = "This report replaces an earlier one for part of the same series."
CAUTION = "Measured in the outlines of a network, not verified. For research; not a medical device."


def write_dicom_sr(
    path: Path | str,
    findings: ScanFindings,
    lesions: TrackedLesions,
    made_by: AlgorithmIdentity,
    seg_file: Path | None,
    made_at: datetime.datetime | None = None,
    source: SourceSeries | None = None,
    replaces: Sequence[Path] = (),
) -> tuple[str, ...]:
    """Write the measurements of at least one lesion of a DICOM scan, atomically.

    UIDs are derived from those of the scan, the model, the lesions and the SEG, as those of the
    SEG. The report is complete, preliminary and unverified (PS3.3 C.17.2).

    Args:
      seg_file: The SEG of the same scan. A lesion that is one of its segments refers to it.
      source: The slices of the scan, if they have been read.
      replaces: Earlier reports, of a part of the scan: the predecessors of this one (PS3.3 C.17.2).

    Returns:
      Keywords of patient and study elements with invalid values in the scan, as of
      ``write_dicom_seg``.

    Raises:
      Refusal: As ``write_dicom_seg``.
    """
    source = source or SourceSeries(findings.scan)
    folder = findings.scan.source.path
    require_highdicom(folder)
    with quiet_pydicom():
        seg = read_dataset(seg_file, pixels=False) if seg_file else None
        slices = source.slices
        earlier = [read_dataset(each, pixels=False) for each in replaces]
        try:
            report, not_copied = _report(findings, lesions, made_by, seg, source, slices, earlier)
        except Exception:  # types vary, and messages may quote patient data
            raise unfit_source(folder, "elements that are invalid in an SR") from None
        save(path, report, made_at or datetime.datetime.now(), folder)
    return not_copied


def _report(
    findings: ScanFindings,
    lesions: TrackedLesions,
    made_by: AlgorithmIdentity,
    seg: pydicom.Dataset | None,
    source: SourceSeries,
    slices: list[pydicom.Dataset],
    earlier: Sequence[pydicom.Dataset],
) -> tuple[pydicom.Dataset, tuple[str, ...]]:
    from highdicom import sr
    from pydicom.sr.codedict import codes

    from liver_tf.export.dicom_sr_content import MeasuredScan

    segments = {
        str(item.TrackingUID): int(item.SegmentNumber)
        for item in (seg.SegmentSequence if seg else ())
        if "TrackingUID" in item
    }
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=uid_of(f"{made_by.name} {made_by.version} {made_by.model}", "device"),
        name=made_by.name,
        manufacturer_name=made_by.name,
        model_name=f"{made_by.name} {made_by.version}",
        serial_number=made_by.model or None,
    )
    observer = sr.ObserverContext(codes.DCM.Device, device)
    content = sr.MeasurementReport(
        sr.ObservationContext(observer_device_context=observer),
        codes.LN.CTUnspecifiedBodyRegion,
        MeasuredScan(findings, lesions, made_by, slices, segments, seg).groups(),
    )
    content[0].ContentSequence.append(_notes(findings, (REPLACES_NOTE,) if earlier else ()))
    _separate(content)
    identity = _identity(findings, lesions, made_by, seg, earlier)
    report = sr.ComprehensiveSR(
        evidence=[*slices, *([_reference(seg)] if seg else ())],
        content=content,
        series_instance_uid=uid_of(identity, "report series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=uid_of(identity, "report"),
        instance_number=1,
        previous_versions=earlier or None,
        **made_by.equipment,
        is_complete=True,
        series_description=series_description(
            SERIES_DESCRIPTION, findings.scan.source.files[0], replaces=bool(earlier)
        ),
        specific_character_set=None,
    )
    name_private_scheme(report)
    return report, source.copy_patient_and_study(report)


def _notes(findings: ScanFindings, first: Sequence[str]) -> pydicom.Dataset:
    """Headline, cautions, and what the networks learned from, as texts (TID 1500, row 12)."""
    from highdicom import sr
    from pydicom.sr.codedict import codes

    name = sr.CodedConcept("C0034375", "UMLS", "Qualitative Evaluations")
    notes = sr.ContainerContentItem(name, relationship_type="CONTAINS")
    note = f"; types {UNVALIDATED}" if findings.trained_on.types_unvalidated else ""
    texts = [(codes.DCM.Summary, findings.headline + note)]
    comments = (*first, *_cautions(findings), findings.trained_on.notice, CAUTION)
    texts += [(codes.DCM.Comment, text) for text in comments if text]
    notes.ContentSequence = sr.ContentSequence(
        [sr.TextContentItem(*each, relationship_type="CONTAINS") for each in texts]
    )
    return notes


def _cautions(findings: ScanFindings) -> list[str]:
    cautions = (*findings.scan.cautions, *findings.cautions)
    return [f"Caution ({each.code}): {each.text}" for each in cautions]


def _separate(items: Iterable[pydicom.Dataset]) -> None:
    """Mark the content of containers as separate items, so that viewers show names with values."""
    for item in items:
        if "ContinuityOfContent" in item:
            item.ContinuityOfContent = "SEPARATE"
        _separate(item.get("ContentSequence", ()))


def _reference(seg: pydicom.Dataset) -> pydicom.Dataset:
    """The elements of a SEG that a reference needs."""
    reference = pydicom.Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        setattr(reference, keyword, seg[keyword].value)
    return reference


def _identity(
    findings: ScanFindings,
    lesions: TrackedLesions,
    made_by: AlgorithmIdentity,
    seg: pydicom.Dataset | None,
    earlier: Sequence[pydicom.Dataset],
) -> str:
    parts = (*lesions.uids, *map(repr, findings.lesions), findings.trained_on.notice)
    parts += (made_by.name, made_by.version, str(seg.SOPInstanceUID) if seg else "")
    parts += ("uncalibrated", *_cautions(findings), *(str(each.SOPInstanceUID) for each in earlier))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()

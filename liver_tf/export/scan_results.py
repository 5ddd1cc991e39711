"""The result folder of a scan: label map, DICOM SEG and SR, tables, overlays, the scan page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from liver_tf import atomic_files
from liver_tf.counted import counted
from liver_tf.ct.nifti_writer import write_nifti_labels, zeros_like_file
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.dicom_derived import SourceSeries, has_highdicom
from liver_tf.export.dicom_seg_writer import write_dicom_seg
from liver_tf.export.dicom_sr_writer import write_dicom_sr
from liver_tf.export.lesion_thumbnail import around, marks_within, thumbnail
from liver_tf.export.lesions_csv import (
    TRACKING,
    TYPE_NOTE,
    Scalar,
    centroids_of,
    lesion_rows,
    plain,
    write_lesions_csv,
)
from liver_tf.export.scan_findings import NO_LIVER, NO_LIVER_TITLE, NO_LIVER_WARNING, ScanFindings
from liver_tf.export.scan_page import scan_page
from liver_tf.export.scan_page_data import first_shown, lesion_places
from liver_tf.export.tracked_lesions import TrackedLesions
from liver_tf.labels import CLASS, LESION, LIVER
from liver_tf.refusals import Caution, Refusal
from liver_tf.report.overlays.draw_overlays import Panel, draw_overlay
from liver_tf.trained_on import UNVALIDATED

LABELS, LESION_IDS, SEG = "labels.nii.gz", "lesion_ids.nii.gz", "segmentation.dcm"
SR = "report.dcm"
JSON, CSV, PAGE = "lesions.json", "lesions.csv", "scan.html"
THUMBNAIL, _THUMBNAIL_SIDE, _THUMBNAIL_MARGIN = "thumbnail.jpg", 160, 20


@dataclass(frozen=True)
class ScanResults:
    """The result folder of a scan and its contents.

    Attributes:
      status: ``lesions-found``, ``no-lesion-found`` or ``no-liver-found``.
      diagnosis: The majority class among all lesion voxels, or ``healthy``.
      lesions: One row per lesion, with the columns of ``lesions.csv``.
      text: One-line summary for the terminal.
      cautions: On the scan, the liver and the files written.
      kept: Whether an earlier command wrote them.
    """

    folder: Path
    status: str
    diagnosis: str
    lesions: list[dict[str, Scalar]]
    text: str
    cautions: tuple[Caution, ...] = ()
    kept: bool = False


def refuse_existing(folder: Path) -> None:
    """Refuse an existing folder (``output-exists``)."""
    if folder.exists():
        raise Refusal(
            "output-exists",
            folder,
            expected="a folder that does not exist",
            found="an existing one, which may hold the results of another scan",
            remedy="Choose another --output, or delete the old results.",
        )


def write_results(
    folder: Path,
    findings: ScanFindings,
    made_by: AlgorithmIdentity,
    *,
    pictures: int,
    sr: bool = True,
    segments: str = CLASS,
    replaces: Sequence[Path] = (),
    for_archive: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> ScanResults:
    """Write the results of a scan into a new folder, atomically.

    Files that cannot be written (NIfTI without geometry; a DICOM SEG without lesions, or of a
    series that lacks required elements) are listed in the summary and in ``lesions.json``.

    Args:
      folder: A new folder; its name identifies the scan in the results.
      pictures: Maximum number of overlay images.
      sr: Write a DICOM SR of a DICOM scan, if highdicom is installed.
      segments: Segments of the DICOM SEG, ``class`` or ``lesion``.
      replaces: Result folders of parts of the scan, whose SEG and SR the new ones replace.
      for_archive: Omit what an archive does not store: NIfTI, table, thumbnail, scan page.
      facts: Further entries of ``lesions.json``, such as the settings of the cascade.

    Raises:
      Refusal: ``output-exists``.
    """
    refuse_existing(folder)
    labels, headline = findings.labels, findings.headline
    centroids = centroids_of(findings.components, findings.scan)
    note = UNVALIDATED if findings.trained_on.types_unvalidated else None
    rows = [{**row, TYPE_NOTE: note} for row in lesion_rows(findings.lesions, centroids)]
    spacing_mm = findings.scan.spacing_mm and [  # JSON has no NaN
        float(mm) if math.isfinite(mm) else None for mm in findings.scan.spacing_mm
    ]
    with atomic_files.atomic_folder(folder) as partial:
        missing = {} if for_archive else _write_labels(partial, findings)
        tracking_uids: tuple[str, ...] = ()
        unwritten: tuple[Caution, ...] = ()
        if findings.scan.source.kind != "nifti":
            lesions = TrackedLesions.of(findings, made_by)
            unwritten = _write_dicom(
                *(partial, findings, lesions, made_by, missing, sr, segments, replaces)
            )
            if (partial / SR).exists() or (segments == LESION and (partial / SEG).exists()):
                tracking_uids = lesions.uids
                rows = [row | {TRACKING: uid} for row, uid in zip(rows, tracking_uids, strict=True)]
        cautions = (*findings.scan.cautions, *findings.cautions, *unwritten)
        drawn = _draw_overlays(partial, findings, pictures)
        if not for_archive:
            write_lesions_csv(partial / CSV, rows, folder.name, findings.status)
            (partial / THUMBNAIL).write_bytes(_thumbnail(findings))
            atomic_files.write_text(
                partial / PAGE, scan_page(folder.name, findings, made_by, tracking_uids)
            )
        atomic_files.write_json(
            partial / JSON,
            {
                "status": findings.status,
                "headline": headline,
                "liver_found": findings.liver_found,
                "warning": NO_LIVER_WARNING if findings.status == NO_LIVER else None,
                "made_by": asdict(made_by),
                "trained_on": findings.trained_on.to_json(),
                **plain(facts or {}),
                **dict(zip(("slices", "rows", "columns"), labels.shape, strict=True)),
                "spacing_mm": spacing_mm,
                "liver_voxels_with_lesions": sum(int((each >= LIVER).sum()) for each in labels),
                "diagnosis": findings.diagnosis,
                "labels": dict(enumerate(findings.label_set.classes)),
                "lesions": [
                    plain({**asdict(lesion), **asdict(centroid), **uid})
                    for lesion, centroid, uid in zip(
                        *(findings.lesions, centroids, _uid_fields(findings, tracking_uids)),
                        strict=True,
                    )
                ],
                "cautions": [asdict(each) for each in cautions],
                "overlays": drawn,
                "files": sorted(path.name for path in partial.iterdir()),
                "not_written": missing,
            },
        )
    verdict = headline.upper() if findings.status == NO_LIVER else headline
    notes = [
        f"{folder}: {counted(len(labels), 'slice')}, {verdict}, {counted(len(drawn), 'overlay')}",
        *(f"no {name}: {reason['code']}" for name, reason in missing.items()),
        *([counted(len(cautions), "caution")] if cautions else []),
    ]
    return ScanResults(
        folder, findings.status, findings.diagnosis, rows, "; ".join(notes), cautions
    )


def _write_labels(folder: Path, findings: ScanFindings) -> dict[str, dict[str, str]]:
    """Write label map and lesion numbers as NIfTI; returns why they are missing, by name."""
    scan = findings.scan
    try:
        write_nifti_labels(folder / LABELS, findings.labels, scan)
        numbers = zeros_like_file(scan, findings.components.dtype)
        findings.components.paint(numbers)
        write_nifti_labels(folder / LESION_IDS, numbers, scan)
    except Refusal as refusal:
        return {LABELS: refusal.to_json(), LESION_IDS: refusal.to_json()}
    return {}


def _write_dicom(
    folder: Path,
    findings: ScanFindings,
    lesions: TrackedLesions,
    made_by: AlgorithmIdentity,
    missing: dict[str, dict[str, str]],
    sr: bool,
    segments: str,
    replaces: Sequence[Path],
) -> tuple[Caution, ...]:
    """Write DICOM SEG and SR; adds why files are missing, by name, and returns cautions."""
    sr = sr and has_highdicom()
    source = SourceSeries(findings.scan)
    try:
        written = write_dicom_seg(
            *(folder / SEG, findings.labels, findings.scan, findings.label_set, made_by),
            types_unvalidated=findings.trained_on.types_unvalidated,
            lesions=lesions,
            segments=segments,
            source=source,
            replaces=[each / SEG for each in replaces if (each / SEG).exists()],
        )
    except Refusal as refusal:
        missing |= dict.fromkeys([SEG, SR] if sr else [SEG], refusal.to_json())
        return ()
    if not written.frames:
        missing[SEG] = {
            "code": "nothing-found",
            "came": "neither liver nor lesion: a DICOM SEG must have at least one frame",
        }
    names, not_copied = [SEG] if written.frames else [], written.not_copied
    if sr and not findings.lesions:
        missing[SR] = {"code": "nothing-found", "came": "no lesion: a DICOM SR must measure one"}
    elif sr:
        try:
            not_copied = write_dicom_sr(
                *(folder / SR, findings, lesions, made_by, folder / SEG),
                source=source,
                replaces=[each / SR for each in replaces if (each / SR).exists()],
            )
            names.append(SR)
        except Refusal as refusal:
            missing[SR] = refusal.to_json()
    if not not_copied:
        return ()
    lacks = "lack" if len(names) > 1 else "lacks"
    text = f"{' and '.join(names)} {lacks} {', '.join(not_copied)}: not valid DICOM in the scan"
    return (Caution("seg-not-copied", text),)


def _uid_fields(findings: ScanFindings, uids: tuple[str, ...]) -> list[dict[str, str]]:
    return [{TRACKING: uid} for uid in uids] or [{} for _ in findings.lesions]


def _thumbnail(findings: ScanFindings) -> bytes:
    """The liver in the slice with most lesion, or the whole slice without a liver."""
    index = first_shown(findings.labels)
    hu, labels = findings.scan.hu[index], findings.labels[index]
    rows, columns = np.nonzero(labels >= LIVER)
    box = (0, 0, hu.shape[0] - 1, hu.shape[1] - 1)
    if len(rows):
        box = (int(rows.min()), int(columns.min()), int(rows.max()), int(columns.max()))
    part = around(box, hu.shape, _THUMBNAIL_MARGIN)
    marks = marks_within(part, lesion_places(findings.components), index)
    pixel_mm = findings.pixel_mm
    return thumbnail(hu[part], labels[part], findings.label_set, pixel_mm, _THUMBNAIL_SIDE, marks)[
        0
    ]


def _draw_overlays(folder: Path, findings: ScanFindings, most: int) -> list[dict[str, Any]]:
    """Draw overlays; returns what each shows: file, slice, InstanceNumber, numbers of lesions."""
    labels, numbers = findings.labels, findings.scan.source.instance_numbers
    places, whole = lesion_places(findings.components), (slice(0, None), slice(0, None))
    drawn: list[dict[str, Any]] = []
    chosen = overlay_slices(labels, most, [set(each) for each in places])
    note = f"; {NO_LIVER_TITLE}" if findings.status == NO_LIVER else ""
    if findings.trained_on.types_unvalidated:
        note += f"; types {UNVALIDATED}"
    for index in chosen:
        number = numbers[index] if numbers else None
        image = "" if number is None else f", image {number}"
        title = f"slice {index} (0 to {len(labels) - 1} from the feet){image}{note}"
        hu, predicted = findings.scan.hu[index], labels[index]
        marks = marks_within(whole, places, index)
        panel = Panel(hu, None, predicted, findings.label_set, title, findings.pixel_mm, marks)
        name = f"slice-{index:04d}.png"
        draw_overlay(panel, folder / name)
        drawn.append({"file": name, "slice": index, "instance_number": number, "lesions": [*marks]})
    return drawn


def overlay_slices(labels: np.ndarray, most: int, lesions: Sequence[set[int]]) -> list[int]:
    """The slices to draw: first as many lesions as possible, then as many lesion pixels.

    Without a lesion, the slice with the most liver; without liver, the middle one.

    Args:
      lesions: The slices of each lesion.
    """
    # Slice by slice: a mask of the scan would take half its memory.
    pixels = np.array([np.count_nonzero(each > LIVER) for each in labels])
    if not pixels.any():
        liver = np.array([np.count_nonzero(each == LIVER) for each in labels])
        return [int(liver.argmax()) if liver.any() else len(labels) // 2][:most]
    order = [int(index) for index in np.argsort(-pixels, kind="stable") if pixels[index]]
    chosen: list[int] = []
    unseen = list(lesions)
    while unseen and len(chosen) < most:  # else one large lesion could fill all images
        index = max(order, key=lambda each: sum(each in lesion for lesion in unseen))
        chosen.append(index)
        unseen = [lesion for lesion in unseen if index not in lesion]
    others = [index for index in order if index not in chosen]
    return sorted([*chosen, *others][:most])

"""All that is written of one scan: label map, DICOM SEG, tables, pictures and a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from liver_tf import atomic_files
from liver_tf.ct.nifti import write_nifti_labels, zeros_like_file
from liver_tf.ct.scan import Scan
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.dicom_seg_writer import write_dicom_seg
from liver_tf.export.lesion_centroids import centroids_of
from liver_tf.export.lesions_csv import plain, write_lesions_csv
from liver_tf.export.scan_page import scan_page
from liver_tf.export.scan_status import NO_LIVER, NO_LIVER_TITLE, NO_LIVER_WARNING, status_of
from liver_tf.inference.lesion_components import LesionComponents
from liver_tf.inference.lesion_properties import DetectedLesion, diagnosis
from liver_tf.labels import LIVER, LabelSet
from liver_tf.refusals import Caution, Refusal
from liver_tf.report.overlays.draw_overlays import draw_overlay

LABELS, LESION_IDS, SEG, JSON, CSV, PAGE = (
    "labels.nii.gz",
    "lesion_ids.nii.gz",
    "segmentation.dcm",
    "lesions.json",
    "lesions.csv",
    "scan.html",
)


@dataclass(frozen=True)
class ScanResults:
    """What was written of a scan, in short.

    Attributes:
      status: of :func:`liver_tf.export.scan_status.status_of`.
      lesions: how many. diagnosis: of :func:`liver_tf.inference.lesion_properties.diagnosis`.
      text: a line for people, with the folder.
    """

    status: str
    lesions: int
    diagnosis: str
    text: str


def refuse_existing(folder: Path) -> None:
    """Raise ``Refusal`` ``output-exists`` where results of another scan may lie already."""
    if folder.exists():
        raise Refusal(
            "output-exists",
            folder,
            expected="a folder that does not exist yet",
            found="one that does, perhaps with another scan's results",
            remedy="Name another --output, or remove the old results.",
        )


def write_results(
    folder: Path,
    scan: Scan,
    labels: np.ndarray,
    lesions: Sequence[DetectedLesion],
    label_set: LabelSet,
    made_by: AlgorithmIdentity,
    *,
    liver_found: bool,
    pictures: int,
    facts: Mapping[str, Any] | None = None,
) -> ScanResults:
    """Write the results of a scan into a new folder, which appears whole.

    What cannot be written (a NIfTI file without geometry; a DICOM SEG of a series that lacks what
    it must refer to, or of nothing) is left out and told in the summary and in ``lesions.json``.

    Args:
      labels: uint8 [slices, rows, columns], classes of ``label_set``, of the shape of ``scan.hu``.
      lesions: of the label map.
      liver_found: whether the liver network found any; without it nothing was looked for.
      pictures: overlays drawn, at most.
      facts: what else ``lesions.json`` shall tell of how they were found, by name.

    Raises:
      ValueError: ``lesions`` are not those of the label map.
      Refusal: ``output-exists``.
    """
    refuse_existing(folder)
    ids = LesionComponents.of_labels(labels)
    if ids.count != len(lesions):
        raise ValueError(f"expected the {ids.count} lesions of the label map, got {len(lesions)}")
    centroids = centroids_of(ids, scan)
    found = diagnosis(labels, label_set)
    status = status_of(liver_found, len(lesions))
    with atomic_files.atomic_folder(folder) as partial:
        missing, cautions = _write_placed(partial, scan, labels, ids, label_set, made_by)
        note = f"; {NO_LIVER_TITLE}" if status == NO_LIVER else ""
        drawn = _draw_overlays(partial, scan, labels, label_set, pictures, note)
        write_lesions_csv(partial / CSV, lesions, centroids, folder.name, status)
        page = scan_page(
            folder.name, scan, labels, lesions, found, label_set, made_by, liver_found=liver_found
        )
        atomic_files.write_text(partial / PAGE, page)
        atomic_files.write_json(
            partial / JSON,
            {
                "status": status,
                "liver_found": liver_found,
                "warning": NO_LIVER_WARNING if status == NO_LIVER else None,
                "made_by": asdict(made_by),
                **plain(facts or {}),
                **_grid_facts(scan),
                "liver_voxels_with_lesions": sum(int((one >= LIVER).sum()) for one in labels),
                "diagnosis": found,
                "labels": dict(enumerate(label_set.classes)),
                "lesions": [
                    plain({**asdict(lesion), **asdict(centroid)})
                    for lesion, centroid in zip(lesions, centroids, strict=True)
                ],
                "cautions": [asdict(caution) for caution in (*scan.cautions, *cautions)],
                "files": sorted(path.name for path in partial.iterdir()),
                "not_written": missing,
            },
        )
    told = "".join(f"; no {name}: {why['code']}" for name, why in missing.items())
    told += "".join(f"; {caution.text}" for caution in cautions)
    text = (
        f"{folder}: {len(labels)} slice(s), {_in_words(status, len(lesions), found)}, "
        f"{drawn} overlay(s){told}"
    )
    return ScanResults(status, len(lesions), found, text)


def _grid_facts(scan: Scan) -> dict[str, Any]:
    slices, rows, columns = scan.hu.shape
    spacing = None if scan.spacing_mm is None else [_known(mm) for mm in scan.spacing_mm]
    return {"slices": slices, "rows": rows, "columns": columns, "spacing_mm": spacing}


def _in_words(status: str, lesions: int, found: str) -> str:
    return (
        NO_LIVER_TITLE.upper() if status == NO_LIVER else f"{lesions} lesion(s), diagnosis {found}"
    )


def _write_placed(
    folder: Path,
    scan: Scan,
    labels: np.ndarray,
    ids: LesionComponents,
    label_set: LabelSet,
    made_by: AlgorithmIdentity,
) -> tuple[dict[str, dict[str, str]], tuple[Caution, ...]]:
    """Files that place voxels in the patient: those that could not be written, and cautions."""
    missing: dict[str, dict[str, str]] = {}
    cautions: tuple[Caution, ...] = ()
    try:
        write_nifti_labels(folder / LABELS, labels, scan)
        _write_lesion_ids(folder / LESION_IDS, ids, scan)
    except Refusal as refusal:
        missing[LABELS] = missing[LESION_IDS] = refusal.to_json()
    if scan.source.kind == "nifti":
        return missing, cautions
    try:
        written = write_dicom_seg(folder / SEG, labels, scan, label_set, made_by)
        if not written.frames:
            missing[SEG] = {
                "code": "nothing-found",
                "came": "no liver and no lesion: a DICOM SEG must have something in it",
            }
        if written.not_copied:
            text = f"{SEG} lacks {', '.join(written.not_copied)}: in the scan no valid DICOM values"
            cautions = (Caution("seg-not-copied", text),)
    except Refusal as refusal:
        missing[SEG] = refusal.to_json()
    return missing, cautions


def _write_lesion_ids(path: Path, ids: LesionComponents, scan: Scan) -> None:
    numbers = zeros_like_file(scan, ids.dtype)
    ids.paint(numbers)
    write_nifti_labels(path, numbers, scan)


def _draw_overlays(
    folder: Path, scan: Scan, labels: np.ndarray, label_set: LabelSet, most: int, note: str
) -> int:
    in_plane = None if scan.spacing_mm is None else tuple(scan.spacing_mm[1:])
    chosen = chosen_slices(labels, most)
    for index in chosen:
        draw_overlay(
            scan.hu[index],
            None,
            labels[index],
            label_set,
            folder / f"slice-{index:04d}.png",
            f"slice {index} of {len(labels)}, counted from the feet from 0{note}",
            in_plane,
        )
    return len(chosen)


def chosen_slices(labels: np.ndarray, most: int) -> list[int]:
    """The slices with most lesion pixels, else the one with most liver, else the middle one."""
    # Slice by slice: a mask of the whole scan would be half its size.
    pixels = np.array([np.count_nonzero(one > LIVER) for one in labels])
    if not pixels.any():
        liver = np.array([np.count_nonzero(one == LIVER) for one in labels])
        return [int(liver.argmax()) if liver.any() else len(labels) // 2][:most]
    order = np.argsort(-pixels, kind="stable")[:most]
    return sorted(int(index) for index in order if pixels[index])


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None

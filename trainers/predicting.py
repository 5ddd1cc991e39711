"""One scan through the cascade, and what is written of it."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np

from liver_tf import atomic_files
from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.nifti import read_nifti_volume, write_nifti_labels
from liver_tf.ct.scan import Scan, has_geometry
from liver_tf.evaluation.overlays import draw_overlay
from liver_tf.inference.cascade import Cascade, Prediction
from liver_tf.inference.lesions import diagnosis, find_lesions
from liver_tf.labels import LIVER
from liver_tf.refusals import Refusal


def read_scan(path: Path) -> Scan:
    """A folder is a DICOM series; a file ending in .nii or .nii.gz a volume; else a DICOM slice."""
    if path.is_dir():
        return read_dicom_series(path)
    if path.name.endswith((".nii", ".nii.gz")):
        return read_nifti_volume(path)
    return read_dicom_slice(path)


def predict_scan(cascade: Cascade, path: Path, folder: Path, *, pictures: int) -> str:
    """Write ``labels.nii.gz``, ``lesions.json`` and overlays of a scan; returns a summary.

    The folder appears whole. A scan whose file does not tell its geometry gets no NIfTI file.
    Raises ``Refusal`` where the scan cannot be read, and where the folder exists: results of two
    scans must never lie together.
    """
    if folder.exists():
        raise Refusal(
            "output-exists",
            folder,
            expected="a folder that does not exist yet",
            came="one that does, perhaps with another scan's results",
            remedy="Name another --output, or remove the old results.",
        )
    scan = read_scan(path)
    in_plane = None if scan.spacing_mm is None else tuple(scan.spacing_mm[1:])
    prediction = cascade.predict(scan.hu, in_plane)
    lesions = find_lesions(prediction.labels, scan.hu, scan.spacing_mm, cascade.label_set)
    found = diagnosis(prediction.labels, cascade.label_set)
    drawn = _chosen_slices(prediction, pictures)
    partial = folder.parent / f"{atomic_files.TEMPORARY_MARK}{folder.name}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if has_geometry(scan):
        write_nifti_labels(partial / "labels.nii.gz", prediction.labels, scan)
    for index in drawn:
        draw_overlay(
            scan.hu[index],
            None,
            prediction.labels[index],
            cascade.label_set,
            partial / f"slice-{index:04d}.png",
            f"slice {index} of {len(scan.hu)}, counted from the feet from 0",
            in_plane,
        )
    atomic_files.write_json(
        partial / "lesions.json",
        {
            "slices": len(scan.hu),
            "liver_voxels_with_lesions": int((prediction.labels >= LIVER).sum()),
            "diagnosis": found,
            "labels": dict(enumerate(cascade.label_set.classes)),
            "lesions": [asdict(lesion) for lesion in lesions],
            "cautions": [asdict(caution) for caution in scan.cautions],
        },
    )
    partial.rename(folder)
    return (
        f"{folder}: {len(scan.hu)} slice(s), {len(lesions)} lesion(s), diagnosis {found}, "
        f"{len(drawn)} overlay(s)"
    )


def _chosen_slices(prediction: Prediction, most: int) -> list[int]:
    """The slices with most lesion pixels, or, where there is no lesion, with most liver."""
    pixels = (prediction.labels > LIVER).sum(axis=(1, 2))
    if not pixels.any():
        return [int(prediction.liver.sum(axis=(1, 2)).argmax())][:most]
    order = np.argsort(-pixels, kind="stable")[:most]
    return sorted(int(index) for index in order if pixels[index])

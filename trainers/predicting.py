"""One scan through the cascade, and what is written of it."""

from __future__ import annotations

from pathlib import Path

from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.nifti import read_nifti_volume
from liver_tf.ct.scan import Scan
from liver_tf.export.made_by import MadeBy
from liver_tf.export.results import refuse_existing, write_results
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.lesions import find_lesions


def read_scan(path: Path) -> Scan:
    """A folder is a DICOM series; a file ending in .nii or .nii.gz a volume; else a DICOM slice."""
    if path.is_dir():
        return read_dicom_series(path)
    if path.name.endswith((".nii", ".nii.gz")):
        return read_nifti_volume(path)
    return read_dicom_slice(path)


def predict_scan(
    cascade: Cascade,
    path: Path,
    folder: Path,
    *,
    pictures: int,
    made_by: MadeBy | None = None,
) -> str:
    """Find the lesions of a scan and write the results into a new folder; returns a summary.

    The folder appears whole. Raises ``Refusal`` where the scan cannot be read, and where the folder
    exists: results of two scans must never lie together.
    """
    refuse_existing(folder)
    scan = read_scan(path)
    in_plane = None if scan.spacing_mm is None else tuple(scan.spacing_mm[1:])
    prediction = cascade.predict(scan.hu, in_plane)
    lesions = find_lesions(prediction.labels, scan.hu, scan.spacing_mm, cascade.label_set)
    return write_results(
        folder,
        scan,
        prediction.labels,
        lesions,
        cascade.label_set,
        made_by or MadeBy(),
        pictures=pictures,
    )

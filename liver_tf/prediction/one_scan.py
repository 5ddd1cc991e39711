"""One scan through the cascade, and what is written of it."""

from __future__ import annotations

from pathlib import Path

from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.nifti import read_nifti_volume
from liver_tf.ct.scan import Scan
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.scan_results import ScanResults, refuse_existing, write_results
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.lesion_properties import find_lesions

#: A lesion whose most likely type is less probable is called indeterminate: no better than even.
TYPE_THRESHOLD = 0.5


def read_scan(path: Path) -> Scan:
    """A folder is a DICOM series; a file ending in .nii or .nii.gz a volume; else a DICOM slice.

    Raises ``Refusal`` as :func:`read_dicom_series`, :func:`read_nifti_volume` and
    :func:`read_dicom_slice`; a folder of several series is ``series-mixed``.
    """
    if _is_folder(path):
        return read_dicom_series(path)
    if path.name.endswith((".nii", ".nii.gz")):
        return read_nifti_volume(path)
    return read_dicom_slice(path)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # too long a name, say; reading it as a file tells what is wrong
        return False


def predict_scan(
    cascade: Cascade,
    path: Path,
    folder: Path,
    *,
    pictures: int,
    made_by: AlgorithmIdentity | None = None,
    type_threshold: float = TYPE_THRESHOLD,
) -> ScanResults:
    """Find the lesions of a scan and write the results into a new folder.

    The folder appears whole. Raises ``Refusal`` where the scan cannot be read, and where the folder
    exists: results of two scans must never lie together.
    """
    refuse_existing(folder)
    scan = read_scan(path)
    in_plane = None if scan.spacing_mm is None else tuple(scan.spacing_mm[1:])
    prediction = cascade.predict(scan.hu, in_plane)
    lesions = find_lesions(
        prediction.labels,
        scan.hu,
        scan.spacing_mm,
        cascade.label_set,
        probabilities=prediction.probabilities,
        type_threshold=type_threshold,
    )
    return write_results(
        folder,
        scan,
        prediction.labels,
        lesions,
        cascade.label_set,
        made_by or AlgorithmIdentity(),
        liver_found=bool(prediction.liver.any()),
        pictures=pictures,
        facts={"method": {**cascade.facts(), "type_threshold": type_threshold}},
    )

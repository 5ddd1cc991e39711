"""Read a scan, predict it with the cascade and write its results."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from liver_tf.counted import counted
from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.dicom_elements import has_dicom_prefix
from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.file_format import format_of
from liver_tf.ct.itk_file import is_itk_file
from liver_tf.ct.nifti_volume import read_nifti_volume
from liver_tf.ct.reading_settings import AS_USUAL, ReadingSettings, refuse_cautions
from liver_tf.ct.scan import Scan
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.lesions_csv import plain
from liver_tf.export.scan_findings import ScanFindings
from liver_tf.export.scan_results import ScanResults, refuse_existing, write_results
from liver_tf.inference.cascade import Cascade, Prediction
from liver_tf.inference.lesion_plausibility import lesion_cautions
from liver_tf.inference.lesion_properties import find_lesions
from liver_tf.inference.liver_plausibility import (
    liver_cautions,
    outside_training,
    scan_values,
    unlike_training,
)
from liver_tf.labels import LESIONS, LIVER
from liver_tf.prediction.finished_scans import SCAN_HASH, finished_results, scan_hash
from liver_tf.prediction.prediction_settings import ResultSettings
from liver_tf.refusals import Caution, Refusal

_VOLUME_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd")


def predict_scan(
    cascade: Cascade,
    path: Path,
    folder: Path,
    settings: ResultSettings,
    made_by: AlgorithmIdentity | None = None,
    reading: ReadingSettings = AS_USUAL,
    replaces: Sequence[Path] = (),
    *,
    for_archive: bool = False,
) -> ScanResults:
    """Predict the lesions of a scan and write the results into a new folder, atomically.

    For ``replaces`` and ``for_archive`` see ``write_results``.
    With ``settings.skip_done``, finished results are kept; see ``finished_scans``.

    Raises:
      Refusal: The scan cannot be read (see ``read_scan``), or the folder exists with anything else
        (``output-exists``): the results of two scans never share a folder.
    """
    if not settings.skip_done:
        refuse_existing(folder)
    scan = read_scan(path, reading)
    return predict_open_scan(
        cascade, scan, folder, settings, made_by, replaces, for_archive=for_archive
    )


def predict_open_scan(
    cascade: Cascade,
    scan: Scan,
    folder: Path,
    settings: ResultSettings,
    made_by: AlgorithmIdentity | None = None,
    replaces: Sequence[Path] = (),
    *,
    for_archive: bool = False,
) -> ScanResults:
    """As ``predict_scan``, for a scan that has been read."""
    made_by = made_by or AlgorithmIdentity()
    method = {
        **cascade.facts(),
        "type_threshold": settings.type_threshold,
        "label_map": settings.label_map,
    }
    layout = {"sr": settings.sr, "segments": settings.segments}
    if not settings.skip_done:
        refuse_existing(folder)
    if folder.exists():
        return finished_results(
            folder, scan, {"made_by": asdict(made_by), "method": plain(method), "layout": layout}
        )
    prediction = cascade.predict(scan.hu, scan.spacing_mm)
    lesions = find_lesions(
        prediction.labels,
        scan.hu,
        scan.spacing_mm,
        cascade.label_set,
        probabilities=prediction.probabilities,
        type_threshold=settings.type_threshold,
    )
    liver_found = bool(prediction.liver.any())
    cautions = liver_cautions(scan.hu, prediction.liver, prediction.network_mask, scan.spacing_mm)
    cautions += _unlike_training(cascade, scan, prediction, cautions)
    cautions += lesion_cautions(lesions)
    findings = ScanFindings(
        *(scan, prediction.labels, lesions, cascade.label_set, liver_found),
        *(cascade.trained_on, cautions),
    )
    if settings.label_map == LESIONS:
        findings = findings.with_one_type_per_lesion()
    return write_results(
        folder,
        findings,
        made_by,
        pictures=settings.pictures,
        sr=settings.sr,
        segments=settings.segments,
        replaces=replaces,
        for_archive=for_archive,
        facts={SCAN_HASH: scan_hash(scan), "method": method, "layout": layout},
    )


def _unlike_training(
    cascade: Cascade, scan: Scan, prediction: Prediction, cautions: tuple[Caution, ...]
) -> tuple[Caution, ...]:
    """Cautions on a scan that is unlike the training data; ``cautions`` are those on its liver."""
    learned, ranges = cascade.liver.network.description, cascade.trained_on.ranges
    if ranges["liver network"] is None:
        return unlike_training(scan.hu, prediction.liver, learned.mean_hu, learned.sd_hu)
    whole = len(scan.hu) > 1 and "liver-cut" not in [each.code for each in cautions]
    lesion = prediction.labels > LIVER
    values = scan_values(
        *(scan.hu, prediction.liver, lesion, scan.spacing_mm), whole=whole, window=learned.window
    )
    return outside_training(ranges, values)


def read_scan(path: Path, reading: ReadingSettings = AS_USUAL) -> Scan:
    """Read a folder as DICOM series, a file as NIfTI, NRRD, MetaImage or DICOM slice.

    Raises:
      Refusal: ``file-format``; as ``read_dicom_series``, ``read_nifti_volume`` and
        ``read_dicom_slice``. A folder that holds several series is ``series-mixed``. ``caution``
        with ``reading.strict``.
    """
    scan = _read(path, reading)
    if reading.strict:
        refuse_cautions(scan.cautions, path)
    return scan


def _read(path: Path, reading: ReadingSettings) -> Scan:
    if os.path.isdir(path):  # unlike Path.is_dir, False for a name that is too long
        return _read_folder(path, reading)
    if path.name.lower().endswith((".nii", ".nii.gz")) or is_itk_file(path):
        return read_nifti_volume(path)
    known = "" if has_dicom_prefix(path) else format_of(path)
    if known and "DICOM" not in known:
        expected = "NIfTI, NRRD, MetaImage, or DICOM"
        raise bad_input("file-format", path, expected, known)
    return read_dicom_slice(path)


def _read_folder(folder: Path, reading: ReadingSettings) -> Scan:
    """Read a DICOM series; a folder of volumes is refused with the inputs to name instead.

    Its volumes are not taken for scans, because masks are often beside them.
    """
    try:
        return read_dicom_series(folder, allow_damaged=reading.allow_damaged)
    except Refusal as refusal:
        names = [path.name for path in folder.iterdir() if path.is_file()]
        endings = [end for end in _VOLUME_ENDINGS if any(name.endswith(end) for name in names)]
        if refusal.code != "series-empty" or not endings:
            raise
        volumes = sum(name.endswith(_VOLUME_ENDINGS) for name in names)
        inputs = " ".join(f"--input='FOLDER/*{end}'" for end in endings)
        raise Refusal(
            "series-empty",
            folder,
            expected=refusal.expected,
            found=f"{counted(volumes, 'volume')} ({', '.join(endings)})",
            remedy=f"Name the volumes, without masks: {inputs} (wildcards in quotes).",
        ) from None

"""Writes scans with computed lesions into a folder that ``build_tfrecords`` reads.

Patients are those of the hosts (numbers of volumes, PatientID): the leakage guard never lets a
network train on one and be tested on the other. The folder, every file and every record set made of
them are marked.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from liver_tf import __version__, atomic_files
from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.dicom_series_search import SeriesFiles
from liver_tf.ct.implanted_mark import IMPLANTED_MARK
from liver_tf.ct.lits_search import find_lits_cases
from liver_tf.ct.nifti_volume import read_nifti_labels, read_nifti_volume
from liver_tf.ct.nifti_writer import write_nifti_labels, write_nifti_volume
from liver_tf.ct.scan import Scan, require_geometry
from liver_tf.export.scan_results import refuse_existing
from liver_tf.implants.host import Host
from liver_tf.implants.implant_settings import ImplantSettings
from liver_tf.implants.overlays import Picture, overlay_page, picture_of
from liver_tf.implants.paint import ImplantedLesion, implant, with_lesions
from liver_tf.implants.series_hosts import find_series, labels_of, write_series
from liver_tf.labels import LIVER
from liver_tf.refusals import Refusal

#: Lesions keep this distance from the outline of a network.
RIM_MM = 3.0
#: The file that marks the folder, and the page.
DONE, PAGE = "implanted.json", "overlays.html"

FindLiver = Callable[[Scan], np.ndarray]


@dataclass(frozen=True)
class _Files:
    """A scan of the input.

    Attributes:
      name: In the output; no name of a patient.
      path: Volume, or folder of the series.
      outlines: Segmentation of the volume, if it has one; or all series that have a DICOM SEG, by
        UID.
    """

    name: str
    path: Path
    outlines: Path | dict[str, SeriesFiles] | None


def write_implanted(
    settings: ImplantSettings,
    progress: Callable[[Iterator, int], Iterator] = lambda steps, total: steps,
) -> tuple[int, list[Refusal]]:
    """Write scans with lesions into a new folder, atomically.

    Args:
      progress: Wraps the iterator over scans; its second argument is their number.

    Returns:
      Number of lesions, and a refusal for each scan that was left out.

    Raises:
      Refusal: ``output-exists``; ``implant-nothing`` if no scan can be used; as
        ``LiverFinder.of_run``.
    """
    refuse_existing(settings.output)
    hosts, refusals = _find_hosts(settings)
    find_liver = _liver_finder(settings.liver_run)
    facts, pictures = [], []
    with atomic_files.atomic_folder(settings.output) as folder:
        for host in progress(iter(hosts), len(hosts)):
            try:
                fact, drawn = _write_scan(folder, host, settings, find_liver)
            except Refusal as refusal:
                refusals.append(refusal)
                continue
            facts.append(fact)
            pictures += drawn
        if not facts:
            raise refusals[0] if refusals else _nothing(settings.input)
        options = {**asdict(settings), "input": None, "output": None, "segments": None}
        options["liver_run"] = settings.liver_run is not None
        atomic_files.write_text(folder / PAGE, overlay_page(pictures))
        atomic_files.write_json(
            folder / DONE,
            {
                "note": f"{IMPLANTED_MARK}. For training; not for tests on real lesions.",
                "version": __version__,
                "arguments": {name: value for name, value in options.items() if value is not None},
                "scans": facts,
            },
        )
    return sum(len(fact["lesions"]) for fact in facts), refusals


def _find_hosts(settings: ImplantSettings) -> tuple[list[_Files], list[Refusal]]:
    if settings.source == "series":
        folders, outlines = find_series(settings.input)
        return [_Files(f"series-{n:03d}", path, outlines) for n, path in enumerate(folders, 1)], []
    cases, refusals = find_lits_cases(settings.input)
    hosts = [_Files(str(case.number), case.volume, case.segmentation) for case in cases]
    if settings.liver_run is not None:
        alone = [each for each in refusals if each.code == "pair-no-segmentation" and each.path]
        refusals = [each for each in refusals if each not in alone]
        for each in alone:
            assert each.path is not None
            number = "".join(filter(str.isdigit, each.path.name.partition(".")[0]))
            hosts.append(_Files(str(int(number)), each.path, None))
    return sorted(hosts, key=lambda host: int(host.name)), refusals


def _liver_finder(run: Path | None) -> FindLiver | None:
    if run is None:
        return None
    from liver_tf.inference.liver_finder import LiverFinder

    finder = LiverFinder.of_run(run)
    return lambda scan: finder.find(scan.hu)


def _read(files: _Files, segments: Sequence[str]) -> tuple[Scan, np.ndarray | None]:
    """A scan, and its labels if it has an outline."""
    if isinstance(files.outlines, dict):
        scan = read_dicom_series(files.path)
        series = files.outlines.get(scan.source.series_uid)
        return scan, None if series is None else labels_of(series, segments)
    scan = read_nifti_volume(files.path)
    return scan, None if files.outlines is None else read_nifti_labels(files.outlines, scan)[0]


def _write_scan(
    folder: Path, files: _Files, settings: ImplantSettings, find_liver: FindLiver | None
) -> tuple[dict[str, Any], list[Picture]]:
    scan, outlined = _read(files, settings.segments)
    require_geometry(scan)
    assert scan.spacing_mm is not None
    labels = outlined
    if labels is None and find_liver is not None:
        labels = find_liver(scan).astype(np.uint8)
    if labels is None or not (labels == LIVER).any():
        raise _nothing(files.path)
    if settings.label_set.has_types and labels.max() > LIVER:
        raise _lesions(files.path)
    paintable = labels if outlined is not None else _narrowed(labels, scan.spacing_mm)
    host = Host(scan.hu, paintable, scan.spacing_mm)
    hu, lesions = implant(
        *(host, settings.seed, scan.source.series_uid or int(files.name)),
        kinds=settings.types,
        number=settings.lesions,
        near_vessels=settings.near_vessels,
        mass_effect=settings.mass_effect,
    )
    with_them = with_lesions(labels, lesions, settings.label_set)
    if settings.source == "series":
        write_series(folder / files.name, scan, hu, with_them, settings.label_set)
    else:
        name = f"{files.name}.nii.gz"
        write_nifti_volume(folder / f"volume-{name}", replace(scan, hu=hu), IMPLANTED_MARK)
        write_nifti_labels(folder / f"segmentation-{name}", with_them, scan)
    voxel_ml = float(np.prod(scan.spacing_mm)) / 1000
    fact = {
        "name": files.name,
        "liver_outlined_by": "network" if outlined is None else "segmentation",
        "lesions": [_fact(each, scan.hu, hu, voxel_ml) for each in lesions],
    }
    draw = partial(picture_of, files.name, scan.hu, hu, scan.spacing_mm)
    return fact, [draw(each) for each in lesions]


def _narrowed(liver: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """The liver without its rim in each slice: a network's outline may touch ribs or lung."""
    steps = max(1, round(RIM_MM / spacing_mm[1]))
    kept = ndimage.binary_erosion(liver, np.ones((1, 3, 3), bool), iterations=steps)
    return kept.astype(np.uint8) if kept.any() else liver


def _fact(
    lesion: ImplantedLesion, before: np.ndarray, after: np.ndarray, voxel_ml: float
) -> dict[str, Any]:
    change = after[lesion.window][lesion.mask].mean(dtype=np.float64)
    change -= before[lesion.window][lesion.mask].mean(dtype=np.float64)
    return {
        "type": lesion.kind,
        "diameter_mm": round(2 * lesion.form.mean_radius_mm, 1),
        "volume_ml": round(int(lesion.mask.sum()) * voxel_ml, 3),
        "change_hu": round(float(change), 1),
    }


def _nothing(path: Path) -> Refusal:
    return Refusal(
        "implant-nothing",
        path,
        expected="scans with an outlined liver",
        found="none",
        remedy="Add segmentations, or outline the livers with --liver_run.",
    )


def _lesions(path: Path) -> Refusal:
    return Refusal(
        "implant-lesions",
        path,
        expected="a liver without lesions, whose types would be unknown",
        found="outlined lesions",
        remedy="Remove the scan, or include untyped in --types.",
    )

"""Writes scans with computed lesions into a folder that ``build_tfrecords`` reads.

File names, and therefore patients, are those of the hosts: the leakage guard never lets a network
train on one and be tested on the other. The folder, every volume and every record set made of them
are marked.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from liver_tf import __version__, atomic_files
from liver_tf.ct.lits_search import find_lits_cases
from liver_tf.ct.nifti_header import IMPLANTED_MARK
from liver_tf.ct.nifti_volume import read_nifti_labels, read_nifti_volume
from liver_tf.ct.nifti_writer import write_nifti_labels, write_nifti_volume
from liver_tf.ct.scan import Scan, require_geometry
from liver_tf.export.scan_results import refuse_existing
from liver_tf.implants.host import Host
from liver_tf.implants.implant_settings import ImplantSettings
from liver_tf.implants.overlays import Picture, overlay_page, picture_of
from liver_tf.implants.paint import ImplantedLesion, implant, with_lesions
from liver_tf.refusals import Refusal

#: The file that marks the folder, and the page.
DONE, PAGE = "implanted.json", "overlays.html"
#: Label of lesions in LiTS.
_LESION = 2

FindLiver = Callable[[Scan], np.ndarray]


@dataclass(frozen=True)
class _HostFiles:
    """``volume-N``, and ``segmentation-N`` if there is one."""

    number: int
    volume: Path
    segmentation: Path | None


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
        options = {**asdict(settings), "input": None, "output": None}
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


def _find_hosts(settings: ImplantSettings) -> tuple[list[_HostFiles], list[Refusal]]:
    cases, refusals = find_lits_cases(settings.input)
    hosts = [_HostFiles(case.number, case.volume, case.segmentation) for case in cases]
    if settings.liver_run is not None:
        alone = [each for each in refusals if each.code == "pair-no-segmentation" and each.path]
        refusals = [each for each in refusals if each not in alone]
        for each in alone:
            assert each.path is not None
            number = int("".join(filter(str.isdigit, each.path.name.partition(".")[0])))
            hosts.append(_HostFiles(number, each.path, None))
    return sorted(hosts, key=lambda host: host.number), refusals


def _liver_finder(run: Path | None) -> FindLiver | None:
    if run is None:
        return None
    from liver_tf.inference.liver_finder import LiverFinder

    finder = LiverFinder.of_run(run)
    return lambda scan: finder.find(scan.hu)


def _write_scan(
    folder: Path, files: _HostFiles, settings: ImplantSettings, find_liver: FindLiver | None
) -> tuple[dict[str, Any], list[Picture]]:
    scan = read_nifti_volume(files.volume)
    require_geometry(scan)
    assert scan.spacing_mm is not None
    if files.segmentation is not None:
        labels, _ = read_nifti_labels(files.segmentation, scan)
    else:
        assert find_liver is not None
        labels = find_liver(scan).astype(np.uint8)
    if not (labels == 1).any():
        raise _nothing(files.volume)
    host = Host(scan.hu, labels, scan.spacing_mm)
    hu, lesions = implant(
        *(host, settings.seed, files.number),
        kinds=settings.types,
        number=settings.lesions,
        near_vessels=settings.near_vessels,
        mass_effect=settings.mass_effect,
    )
    name = f"{files.number}.nii.gz"
    write_nifti_volume(folder / f"volume-{name}", replace(scan, hu=hu), IMPLANTED_MARK)
    write_nifti_labels(
        folder / f"segmentation-{name}", with_lesions(labels, lesions, _LESION), scan
    )
    voxel_ml = float(np.prod(scan.spacing_mm)) / 1000
    fact = {
        "number": files.number,
        "liver_outlined_by": "network" if files.segmentation is None else "segmentation",
        "lesions": [_fact(each, scan.hu, hu, voxel_ml) for each in lesions],
    }
    draw = partial(picture_of, f"volume {files.number}", scan.hu, hu, scan.spacing_mm)
    return fact, [draw(each) for each in lesions]


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
        expected="volumes with an outlined liver",
        found="none",
        remedy="Add segmentations, or outline the livers with --liver_run.",
    )

"""Writes a phantom folder: a LiTS-like set and a Sheba-like set with its CSV."""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from liver_tf import __version__
from liver_tf.bounded_files import read_json
from liver_tf.csv_text import csv_text
from liver_tf.folder_lock import held_alone
from liver_tf.phantom.cohort import (
    Member,
    PhantomScan,
    neighbour_heights,
    typed_cohort,
    typed_study,
    volume_study,
)
from liver_tf.phantom.phantom_plan import FIRST_NUMBER, PLAIN, TEST_PATIENTS, VARIED, PhantomPlan
from liver_tf.phantom.random_streams import stream
from liver_tf.phantom.writers import (
    ORIENTATIONS,
    STORAGES,
    write_bytes,
    write_dicom,
    write_mask,
    write_nifti,
)
from liver_tf.refusals import Refusal, worker_died
from liver_tf.terminal_output import end_silently_on_interrupt

#: Raised when the same arguments give other files; folders without a number are of generator 1.
_GENERATOR = {PLAIN: 2, VARIED: 3}
DONE, BEGUN = "phantom.json", "phantom.begun.json"
COLUMNS = ("slice_id", "patient_id", "image", "mask", "diagnosis")
#: Image and true mask of the neighbours, as a table of slices; for measuring only.
TRUE_NEIGHBOURS = "sheba/true_neighbours.csv"


def write_phantom(
    output: Path,
    plan: PhantomPlan,
    workers: int = 1,
    progress: Callable[[Iterator, int], Iterator] = lambda steps, total: steps,
) -> bool:
    """Write a phantom folder, or resume one that was started with the same plan.

    Args:
      workers: number of processes; it does not affect the files.
      progress: wraps the iterator over units of work; its second argument is their number.

    Returns:
      False if the folder was complete and nothing was written.

    Raises:
      Refusal: ``phantom-other-arguments`` if the folder was made with another plan,
        ``phantom-foreign-folder`` if it contains other files, ``output-busy`` if another process
        writes to it.
    """
    arguments = {"version": __version__, "generator": _GENERATOR[plan.anatomy], **plan.identity()}
    if _is_complete(output, arguments):
        return False
    with held_alone(output):
        if _is_complete(output, arguments):
            return False
        _write(output, plan, arguments, workers, progress)
    return True


def _write(
    output: Path,
    plan: PhantomPlan,
    arguments: dict,
    workers: int,
    progress: Callable[[Iterator, int], Iterator],
) -> None:
    more = ("sheba/neighbours", "sheba/true_masks") if plan.neighbours else ()
    for folder in ("lits", "sheba/images", "sheba/masks", *more):
        (output / folder).mkdir(parents=True, exist_ok=True)
    write_bytes(output / BEGUN, _json(arguments))
    tested = typed_cohort(plan.seed, plan.test_patients, FIRST_NUMBER["test"])
    members = typed_cohort(plan.seed, plan.patients, plan.first) + tested
    units: list[int | Member] = [*plan.volumes, *members]
    steps = _run(output, plan, units, workers)
    for _ in progress(steps, len(units)):
        pass
    write_bytes(output / "sheba/slices.csv", _csv(output / "sheba", members, plan))
    if plan.neighbours:
        write_bytes(output / TRUE_NEIGHBOURS, _true_neighbours(output / "sheba", members))
    if tested:
        lines = [f"{_patient_id(member)}\n" for member in tested]
        write_bytes(output / TEST_PATIENTS, "".join(lines).encode())
    slices = dict.fromkeys(("cyst", "hemangioma", "metastasis", "healthy"), 0)
    for member in members:
        slices[member.diagnosis] += member.slices
    counts = {
        "lits_volumes": plan.lits_volumes,
        "lits_slices": plan.lits_volumes * plan.lits_slices,
        "sheba_patients": len(members),
        "sheba_slices": sum(slices.values()),
        "sheba_slices_by_diagnosis": slices,
    }
    note = "Computed phantom, no patient data."
    write_bytes(output / BEGUN, _json({"note": note, "arguments": arguments, "counts": counts}))
    os.replace(output / BEGUN, output / DONE)


def _stored(path: Path) -> dict:
    """What an earlier call wrote; empty if the file is damaged, so that it equals no plan."""
    try:
        stored = read_json(path)
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}


def _is_complete(output: Path, arguments: dict) -> bool:
    """Whether the folder is complete; refuse one of another plan or with other files."""
    for name in (DONE, BEGUN):
        if (output / name).exists():
            stored = _stored(output / name)
            stored = {"generator": 1, **stored.get("arguments", stored)}
            if stored != arguments:
                differing = {k: v for k, v in stored.items() if arguments.get(k) != v}
                raise Refusal(
                    "phantom-other-arguments",
                    output,
                    expected=f"a folder made with {arguments}",
                    found=f"a folder made with {differing}",
                    remedy="Choose another --output, or delete the folder.",
                )
            return name == DONE
    if output.exists() and any(output.iterdir()):
        raise Refusal(
            "phantom-foreign-folder",
            output,
            expected=f"an empty folder, or a phantom folder with a {DONE}",
            found="other files",
            remedy="Choose another --output.",
        )
    return False


def _run(
    output: Path, plan: PhantomPlan, units: list[int | Member], workers: int
) -> Iterator[None]:
    if workers <= 1:
        for unit in units:
            write_unit(output, plan, unit)
            yield
        return
    # Spawned, not forked: threads of the caller do not survive a fork.
    with ProcessPoolExecutor(workers, get_context("spawn"), end_silently_on_interrupt) as pool:
        futures = [pool.submit(write_unit, output, plan, unit) for unit in units]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise worker_died() from None
        finally:
            for future in futures:
                future.cancel()


def write_unit(output: Path, plan: PhantomPlan, unit: int | Member) -> None:
    """Write one volume pair (its index) or one typed patient, unless all its files exist."""
    if isinstance(unit, int):
        _write_volume(output / "lits", plan, unit)
    else:
        _write_patient(output / "sheba", plan, unit)


def _write_volume(folder: Path, plan: PhantomPlan, index: int) -> None:
    volume = folder / f"volume-{index}.nii.gz"
    segmentation = folder / f"segmentation-{index}.nii.gz"
    tissue_map = folder / f"tissues-{index}.nii.gz"
    files = [volume, segmentation, *([tissue_map] if plan.tissues else [])]
    if all(path.exists() for path in files):
        return
    study = volume_study(plan.seed, index, plan.lits_slices, plan.anatomy)
    images = [
        _take(study, plan, "lits", index, number, z) for number, z in enumerate(study.heights_mm)
    ]
    x0, y0, z0 = _corner_lps_mm(study, plan.matrix, study.heights_mm[0])
    pixel = study.scanner.pixel_mm(plan.matrix)
    affine = np.diag([-pixel, -pixel, study.heights_mm[1] - study.heights_mm[0], 1.0])
    affine[:3, 3] = -x0, -y0, z0
    rng = stream(plan.seed, "lits", index // len(ORIENTATIONS), "orientation")
    orientation = rng.permutation(ORIENTATIONS)[index % len(ORIENTATIONS)]
    write_nifti(volume, np.stack([hu for hu, _ in images]), affine, orientation)
    write_nifti(segmentation, np.stack([labels for _, labels in images]), affine, orientation)
    if plan.tissues:
        maps = [
            study.scanner.tissues(study.patient, study.lesions, z, plan.matrix)
            for z in study.heights_mm
        ]
        write_nifti(tissue_map, np.stack(maps), affine, orientation)


def _write_patient(folder: Path, plan: PhantomPlan, member: Member) -> None:
    names = [slice_name(member, number) for number in range(member.slices)]
    images = [folder / "images" / f"{name}.dcm" for name in names]
    masks = [folder / "masks" / f"{name}.png" for name in names]
    near: list[tuple[str, float]] = []
    study = None
    if plan.neighbours:
        study = typed_study(plan.seed, member, plan.anatomy)
        near = _neighbours(plan, member, study)
    images += [folder / "neighbours" / f"{name}.dcm" for name, _ in near]
    masks += [folder / "true_masks" / f"{name}.png" for name, _ in near]
    if all(path.exists() for path in images + masks):
        return
    study = study or typed_study(plan.seed, member, plan.anatomy)
    chosen = stream(plan.seed, "sheba", member.index, "storage").integers(len(STORAGES))
    for number, z in enumerate([*study.heights_mm, *(z for _, z in near)]):
        hu, labels = _take(study, plan, "sheba", member.index, number, z)
        write_dicom(
            images[number],
            hu,
            storage=STORAGES[chosen],
            names=("liver_tf phantom", plan.seed, plan.matrix, member.index),
            patient_index=member.index,
            slice_number=number,
            pixel_mm=study.scanner.pixel_mm(plan.matrix),
            thickness_mm=study.scanner.thickness_mm,
            corner_mm=_corner_lps_mm(study, plan.matrix, z),
        )
        write_mask(masks[number], labels)


def _take(study: PhantomScan, plan: PhantomPlan, cohort: str, index: int, number: int, z_mm: float):
    rng = stream(plan.seed, cohort, index, "noise", number)
    return study.scanner.take(rng, study.patient, study.lesions, z_mm, plan.matrix)


def _corner_lps_mm(study: PhantomScan, matrix: int, z_mm: float) -> tuple[float, float, float]:
    """Centre of the first pixel: x to the left, y to the back, z to the head."""
    x_mm, y_mm = study.scanner.axes_mm(matrix)
    return round(float(x_mm[0]), 4), round(float(y_mm[0]), 4), round(z_mm, 4)


def slice_name(member: Member, number: int) -> str:
    """Name of a typed slice: patient and slice number, not the diagnosis."""
    return f"{_patient_id(member)}_s{number}"


def _patient_id(member: Member) -> str:
    return f"p{member.index:03d}"


def _neighbours(plan: PhantomPlan, member: Member, study: PhantomScan) -> list[tuple[str, float]]:
    """Name and height of the neighbours of a patient's slices, in the order of the slices."""
    heights = neighbour_heights(plan.seed, member, study, plan.neighbours)
    return [
        (f"{slice_name(member, number)}_n{k}", z)
        for number, near in enumerate(heights)
        for k, z in enumerate(near)
    ]


def _csv(folder: Path, members: list[Member], plan: PhantomPlan) -> bytes:
    rows: list[tuple[str, ...]] = [(*COLUMNS, "neighbours") if plan.neighbours else COLUMNS]
    for member in members:
        for number in range(member.slices):
            name = slice_name(member, number)
            row = [name, _patient_id(member), f"images/{name}.dcm", f"masks/{name}.png"]
            row.append(member.diagnosis)
            if plan.neighbours:
                near = sorted(folder.glob(f"neighbours/{name}_n*.dcm"))
                row.append(";".join(f"neighbours/{path.name}" for path in near))
            rows.append(tuple(row))
    return csv_text(rows).encode()


def _true_neighbours(folder: Path, members: list[Member]) -> bytes:
    """The table of the neighbours with their true masks; without a lesion they are healthy."""
    rows: list[tuple[str, ...]] = [COLUMNS]
    for member in members:
        names = sorted(folder.glob(f"neighbours/{_patient_id(member)}_s*_n*.dcm"))
        for name in (path.stem for path in names):
            mask = f"true_masks/{name}.png"
            with Image.open(folder / mask) as image:
                diagnosis = member.diagnosis if np.asarray(image).max() > 1 else "healthy"
            rows.append((name, _patient_id(member), f"neighbours/{name}.dcm", mask, diagnosis))
    return csv_text(rows).encode()


def _json(content: dict) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()

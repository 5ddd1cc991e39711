"""Read random valid files with this program, SimpleITK and nibabel, and compare every voxel.

    python -m tests.campaigns.differential --cases=500 --seed=0

Compared are the HU of each voxel and its position in mm, with the values from which the file was
made, with SimpleITK (GDCM for DICOM) and, for NIfTI, with nibabel. Exits with status 1 if anything
differs. Known differences are explained in ``docs/bad_input.md``.
"""

from __future__ import annotations

import argparse
import collections
import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import nibabel
import numpy as np
from tqdm import tqdm

from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.nifti_volume import read_nifti_volume
from liver_tf.ct.scan import Scan
from liver_tf.refusals import Refusal
from tests.campaigns.differential_cases import DifferentialCase, make_case

#: float32 positions and DICOM's decimal strings of 16 characters.
TOLERANCE_MM = 0.01
TOLERANCE_HU = 1e-3

#: (name, HU, index to mm in RAS+); padding is not compared where a reader keeps it.
Reading = tuple[str, np.ndarray, np.ndarray]


def differences(case: DifferentialCase) -> list[str]:
    """What differs between this program's reading of a case and the others."""
    try:
        read = read_dicom_series if case.path.is_dir() else read_nifti_volume
        scan = read(case.path)
    except Refusal as refusal:
        return [f"refused: {refusal.text()}"]
    found = _compare(scan, ("as made", case.hu, case.to_mm))
    for name, hu, to_mm in other_readings(case):
        found += _compare(scan, (name, np.where(case.padding_like(hu, to_mm), -1000, hu), to_mm))
    return found


def other_readings(case: DifferentialCase) -> Iterable[Reading]:
    """The case as other libraries read it."""
    if case.path.is_dir():
        if has_simpleitk():
            for path in sorted(case.path.iterdir()):
                yield _simpleitk(path)
        return
    image = nibabel.load(case.path)
    yield "nibabel", np.asarray(image.dataobj, np.float64), image.affine
    if has_simpleitk() and not isinstance(image, nibabel.Nifti2Image):  # ITK reads NIfTI-1 only
        yield _simpleitk(case.path)


def has_simpleitk() -> bool:
    return importlib.util.find_spec("SimpleITK") is not None


def _simpleitk(path: Path) -> Reading:
    """[k, j, i] and the affine in RAS+; ITK's own is in LPS."""
    import SimpleITK

    image = SimpleITK.ReadImage(str(path))
    affine = np.eye(4)
    directions = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3] = np.column_stack([directions[:, ::-1], image.GetOrigin()])
    affine[:2] *= -1
    return "SimpleITK", SimpleITK.GetArrayFromImage(image).astype(np.float64), affine


def _compare(scan: Scan, other: Reading) -> list[str]:
    """Look up every voxel of the other reading, by its position in mm, in this program's."""
    name, hu, to_mm = other
    index = np.indices(hu.shape).reshape(3, -1)
    mm = to_mm[:3, :3] @ index + to_mm[:3, 3:]
    to_index = np.linalg.inv(scan.affine)
    ours = to_index[:3, :3] @ mm + to_index[:3, 3:]
    nearest = np.rint(ours).astype(int)
    apart = scan.affine[:3, :3] @ nearest + scan.affine[:3, 3:] - mm
    furthest = float(np.linalg.norm(apart, axis=0).max())
    if furthest > TOLERANCE_MM:
        return [f"{name}: a voxel is {furthest:.3f} mm away"]
    if (nearest < 0).any() or (nearest >= np.array(scan.hu.shape)[:, np.newaxis]).any():
        return [f"{name}: a voxel is outside the volume"]
    values = scan.hu[tuple(nearest)].astype(np.float64)
    differ = np.abs(values - hu.ravel()) > TOLERANCE_HU
    if differ.any():
        first = int(differ.argmax())
        return [
            f"{name}: {int(differ.sum())} of {hu.size} voxels differ, the first is "
            f"{hu.ravel()[first]:g} HU there and {values[first]:g} HU here"
        ]
    return []


def campaign(
    cases: range,
    seed: int,
    progress: Callable = lambda numbers: numbers,
) -> tuple[collections.Counter, list[str]]:
    """Number of cases by kind, and every difference."""
    kinds: collections.Counter = collections.Counter()
    found: list[str] = []
    for number in progress(cases):
        with tempfile.TemporaryDirectory() as folder:
            case = make_case(seed, number, Path(folder) / "case")
            kinds[case.kind] += 1
            found += [
                f"{case.kind} ({case.facts}): {text}\n"
                f"  again: python -m tests.campaigns.differential --seed={seed} --only={number}"
                for text in differences(case)
            ]
    return kinds, found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=500, help="number of files or series")
    parser.add_argument("--seed", type=int, default=0, help="seed of the cases")
    parser.add_argument("--only", type=int, help="read only the case with this number")
    options = parser.parse_args(arguments)
    only = options.only
    cases = range(options.cases) if only is None else range(only, only + 1)
    began = time.monotonic()
    kinds, found = campaign(
        cases, options.seed, lambda numbers: tqdm(numbers, desc="differential", unit="case")
    )
    for kind, count in sorted(kinds.items()):
        print(f"{kind:<40}{count:>6}")
    print("\n".join(found))
    seconds = time.monotonic() - began
    others = "SimpleITK and nibabel" if has_simpleitk() else "nibabel (SimpleITK is missing)"
    print(
        f"{len(cases)} cases, seed {options.seed}, compared with {others}: "
        f"{len(found)} differences, {seconds:.0f} s"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

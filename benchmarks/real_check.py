"""Liver network on real CT: checks that need few or no masks. Exit status 1 if one does not hold.

    python -m benchmarks.real_check [--liver_run=RUN]

Without ``--liver_run`` the network in the package is checked. Needs the real data
(``LIVER_TF_REAL_DATA``, or ``../shared/data`` next to the project). See ``docs/real_ct.md``.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from absl import app, flags

from liver_tf.bundled_networks import LIVER, bundled
from liver_tf.ct.nifti_volume import read_nifti_labels, read_nifti_volume
from liver_tf.ct.scan import Scan

FLAGS = flags.FLAGS
ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("LIVER_TF_REAL_DATA", ROOT.parent / "shared" / "data"))
BUNDLED = bundled(LIVER)

#: Two volumes of the same liver may differ by this share of their mean.
VOLUME_SHARE = 0.05
#: Thickness to which slices are averaged, in mm.
THICK_MM = 6.0

Find = Callable[[Scan], np.ndarray]


@dataclass(frozen=True)
class Check:
    """One line of the table."""

    what: str
    value: str
    expected: str
    holds: bool


def checks(find: Find, data: Path, least_dice: float) -> Iterator[Check]:
    """All checks, one by one; ``find`` gives the liver of a scan, bool like its HU."""
    phases = [_volume(data / "hcc_tace", f"hcc015_{phase}") for phase in ("p1", "p2")]
    yield _equal_volumes("two phases of hcc015", [_ml(find(scan), scan) for scan in phases])
    example = data / "totalsegmentator_example"
    for folder, name in ((data / "chaos_ct3", "3"), (example, "tsexample")):
        scan = _volume(folder, name)
        truth = read_nifti_labels(folder / f"segmentation-{name}.nii.gz", scan)[0] > 0
        liver = find(scan)
        dice = 2 * np.count_nonzero(liver & truth) / (liver.sum() + truth.sum())
        yield Check(f"3-D Dice, {name}", f"{dice:.3f}", f"≥ {least_dice}", bool(dice >= least_dice))
        thick = thick_slices(scan)
        volumes = [_ml(liver, scan), _ml(find(thick), thick)]
        yield _equal_volumes(f"{name} in slices of {thick.spacing_mm[0]:g} mm", volumes)
    mirrored = _ml(find(mirror_image(scan)), scan)
    values = f"{_ml(liver, scan):.1f}, {mirrored:.1f} ml"
    yield Check(f"mirror image of {name}", values, "equal", _ml(liver, scan) == mirrored)


def mirror_image(scan: Scan) -> Scan:
    """The same patient, in a file whose columns run the other way, with the matching affine."""
    import nibabel

    image = nibabel.load(scan.source.path)
    voxels = np.asarray(image.dataobj)[::-1]
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = len(voxels) - 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mirrored.nii"
        nibabel.save(nibabel.Nifti1Image(voxels, image.affine @ flip), path)
        return read_nifti_volume(path)


def thick_slices(scan: Scan) -> Scan:
    """Averages of neighbouring slices; slices that are left over at the head are omitted."""
    number = max(2, round(THICK_MM / scan.spacing_mm[0]))
    whole = len(scan.hu) // number * number
    hu = scan.hu[:whole].reshape(-1, number, *scan.hu.shape[1:]).mean(axis=1, dtype=np.float32)
    spacing = (scan.spacing_mm[0] * number, *scan.spacing_mm[1:])
    return replace(scan, hu=hu, spacing_mm=spacing)


def table(rows: list[Check]) -> str:
    """The checks as Markdown."""
    head = ["| check | value | expected | holds |", "| --- | --- | --- | --- |"]
    lines = [
        f"| {r.what} | {r.value} | {r.expected} | {'yes' if r.holds else 'NO'} |" for r in rows
    ]
    return "\n".join([*head, *lines])


def _equal_volumes(what: str, ml: list[float]) -> Check:
    share = abs(ml[0] - ml[1]) / max(sum(ml) / 2, 1e-9)
    value = f"{ml[0]:.0f}, {ml[1]:.0f} ml ({share:.1%})"
    holds = min(ml) > 0 and share <= VOLUME_SHARE
    return Check(what, value, f"within {VOLUME_SHARE:.0%}", holds)


def _volume(folder: Path, name: str) -> Scan:
    return read_nifti_volume(folder / f"volume-{name}.nii.gz")


def _ml(liver: np.ndarray, scan: Scan) -> float:
    return int(liver.sum()) * float(np.prod(scan.spacing_mm)) / 1000


def main(argv: list[str]) -> int:
    del argv
    run = Path(FLAGS.liver_run or BUNDLED)
    for needed in (run, *(DATA / name for name in ("chaos_ct3", "hcc_tace"))):
        if not needed.is_dir():
            sys.exit(
                f"{needed} is missing: name the run in --liver_run, data in LIVER_TF_REAL_DATA"
            )
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    from liver_tf.inference.liver_finder import LiverFinder

    finder = LiverFinder.of_run(run)
    rows = list(checks(lambda scan: finder.find(scan.hu), DATA, FLAGS.least_dice))
    print(table(rows))
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    flags.DEFINE_string("liver_run", None, "Run of the liver network; else that of the package.")
    flags.DEFINE_float("least_dice", 0.9, "Least 3-D Dice where there is a mask.")
    app.run(main)

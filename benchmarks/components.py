"""Largest 3-D component of a liver-like mask: time and memory compared with other libraries.

    python -m benchmarks.components

The mask is an ellipsoid of the size of a liver with holes, and islands around it. Every method runs
in a separate process on one core; the methods take turns. Memory is the peak above the process with
its libraries and the mask loaded, including the result (one byte per voxel).
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import app, flags

from benchmarks.kept import Rounds, define_flag, keep

FLAGS = flags.FLAGS


def liver_like_mask(slices: int, side: int, islands: int, seed: int = 0) -> np.ndarray:
    """bool [slices, side, side]: a liver with a hundred holes, and islands of all sizes."""
    generator = np.random.default_rng(seed)
    mask = np.zeros((slices, side, side), bool)
    radii = np.array([0.32 * slices, 0.24 * side, 0.27 * side])
    centre = np.array([0.5 * slices, 0.45 * side, 0.36 * side])
    z, y, x = np.ogrid[:slices, :side, :side]
    mask |= sum(((g - c) / r) ** 2 for g, c, r in zip((z, y, x), centre, radii, strict=True)) < 1
    for _ in range(100):
        _ball(mask, centre + generator.uniform(-0.5, 0.5, 3) * radii, generator.uniform(1, 9), 0)
    for _ in range(islands):
        _ball(mask, generator.uniform(0, mask.shape), generator.uniform(1, 12), 1)
    return mask


def _ball(mask: np.ndarray, centre: np.ndarray, radius: float, value: int) -> None:
    low = np.maximum(np.floor(centre - radius), 0).astype(int)
    high = np.minimum(np.ceil(centre + radius) + 1, mask.shape).astype(int)
    part = tuple(slice(first, last) for first, last in zip(low, high, strict=True))
    grid = np.ogrid[part]
    distance = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True))
    mask[part][distance <= radius**2] = value


def _ours(fill_holes: bool) -> Callable:
    from liver_tf.inference.largest_component_3d import largest_component

    return lambda mask: largest_component(mask, fill_holes=fill_holes)


def _largest_of(labelled: np.ndarray) -> np.ndarray:
    """The largest component of a labelled volume, sparing memory: counted slice by slice."""
    sizes = np.zeros(int(labelled.max()) + 1, np.int64)
    for one in labelled:
        sizes += np.bincount(one.reshape(-1), minlength=len(sizes))
    return labelled == sizes[1:].argmax() + 1


def _cc3d() -> Callable:
    import cc3d

    return lambda mask: _largest_of(cc3d.connected_components(mask, connectivity=26))


def _cc3d_largest_k() -> Callable:
    import cc3d

    return lambda mask: cc3d.largest_k(mask, k=1, connectivity=26) > 0


def _scipy() -> Callable:
    from scipy import ndimage

    return lambda mask: _largest_of(ndimage.label(mask, np.ones((3, 3, 3)))[0])


def _scikit_image() -> Callable:
    from skimage import measure

    return lambda mask: _largest_of(measure.label(mask, connectivity=3))


def _scipy_filled() -> Callable:
    from scipy import ndimage

    largest = _scipy()

    def filled(mask):
        return np.stack([ndimage.binary_fill_holes(one) for one in largest(mask)])

    return filled


#: Name in the table, method, whether holes are filled too.
METHODS = {
    "liver_tf": (lambda: _ours(False), False),
    "connected-components-3d, labels": (_cc3d, False),
    "connected-components-3d, largest_k": (_cc3d_largest_k, False),
    "scipy.ndimage": (_scipy, False),
    "scikit-image": (_scikit_image, False),
    "liver_tf, holes filled": (lambda: _ours(True), True),
    "scipy.ndimage, holes filled": (_scipy_filled, True),
}


def measure(name: str, path: Path) -> dict:
    """Seconds, MiB and voxels of one method, in this process, on one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    method = METHODS[name][0]()
    mask = np.load(path)
    method(np.ones((2, 8, 8), bool))
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    started = time.perf_counter()
    kept = method(mask)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "mib": _memory("VmHWM") - before, "voxels": int(kept.sum())}


def _memory(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def main(argv: list[str]) -> int:
    del argv
    if FLAGS.method:
        print(json.dumps(measure(FLAGS.method, Path(FLAGS.mask))))
        return 0
    found: dict[str, list[dict]] = {name: [] for name in METHODS}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mask.npy"
        mask = liver_like_mask(FLAGS.slices, FLAGS.side, FLAGS.islands)
        np.save(path, mask)
        for _ in range(FLAGS.rounds):
            for name, results in found.items():
                command = [sys.executable, "-m", "benchmarks.components"]
                command += [f"--method={name}", f"--mask={path}"]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                results.append(json.loads(done.stdout.splitlines()[-1]))
    print(
        f"{FLAGS.slices} x {FLAGS.side} x {FLAGS.side} voxels ({mask.nbytes >> 20} MiB), "
        f"{mask.sum():,} of them set, one core, medians of {FLAGS.rounds} rounds"
    )
    print("| method | seconds | of ours | MiB over the mask | voxels kept |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, results in found.items():
        ours = found["liver_tf, holes filled" if METHODS[name][1] else "liver_tf"]
        ratio = statistics.median(
            one["seconds"] / our["seconds"] for one, our in zip(results, ours, strict=True)
        )
        seconds, mib = (statistics.median(r[key] for r in results) for key in ("seconds", "mib"))
        print(f"| {name} | {seconds:.2f} | {ratio:.1f} | {mib:.0f} | {results[0]['voxels']:,} |")
    for what, holes in (("largest component", False), ("the same, holes filled", True)):
        keep(
            Rounds(
                f"{what}, {FLAGS.slices} x {FLAGS.side} x {FLAGS.side}, one core",
                "s",
                False,
                "liver_tf, holes filled" if holes else "liver_tf",
                {
                    name: [one["seconds"] for one in results]
                    for name, results in found.items()
                    if METHODS[name][1] == holes
                },
            )
        )
    return 0


if __name__ == "__main__":
    flags.DEFINE_integer("slices", 400, "Slices of the mask.")
    flags.DEFINE_integer("side", 512, "Rows and columns of the mask.")
    flags.DEFINE_integer("islands", 400, "Islands beside the liver.")
    flags.DEFINE_integer("rounds", 5, "Interleaved rounds.")
    flags.DEFINE_string("method", None, "Measure this one in this process (used by the command).")
    flags.DEFINE_string("mask", None, "With --method: file of the mask.")
    define_flag()
    app.run(main)

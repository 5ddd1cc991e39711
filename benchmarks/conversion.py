"""Time from NIfTI pairs to records, compared with only decompressing them by Python's gzip.

    python -m benchmarks.conversion --work=DIR

Writes pairs of 512 x 512 x 200 int16 (.nii.gz) to DIR once: real CT if available (CHAOS, repeated
forwards and backwards to 200 slices), otherwise a phantom. Then interleaved rounds; ratios are
computed per round, and the median is printed. Peak memory is that of a separate process, next to
one that loads the program and reads nothing.
"""

import gzip
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
from absl import app, flags

from benchmarks.kept import Rounds, define_flag, keep

FLAGS = flags.FLAGS
KEY = b"a key for measurements only"
SLICES = 200
MEMORY = "--memory-of"
#: Of this process and those that it waited for, by way; filled by ``rounds_of``.
PROCESSOR_SECONDS: dict[str, list[float]] = {}


def main(argv: list[str]) -> int:
    del argv
    work = Path(FLAGS.work)
    one, four = work / "one", work / "four"
    for folder, count in ((one, 1), (four, 4)):
        for number in range(count):
            write_pair(folder, number)
    ways: dict[str, Callable[[], object]] = {
        "Python's gzip, 1 MiB at a time": lambda: unpack(one),
        "convert, 1 worker, raw": lambda: convert(one, work / "out", "raw", 1),
        "convert, 1 worker, zlib": lambda: convert(one, work / "out", "zlib", 1),
        "convert, 1 worker, png": lambda: convert(one, work / "out", "png", 1),
        "4 pairs: Python's gzip": lambda: unpack(four),
        "4 pairs: convert, 2 workers, raw": lambda: convert(four, work / "out", "raw", 2),
        "4 pairs: convert, 2 workers, zlib": lambda: convert(four, work / "out", "zlib", 2),
    }
    seconds = rounds_of(ways, work)
    if not FLAGS.skip_plain:
        # Afterwards: once TensorFlow is loaded the converter starts its workers another way.
        import tensorflow  # noqa: F401

        name = "nibabel get_fdata + tf.train.Example"
        seconds |= rounds_of({name: lambda: plainly(one, work / "plain.tfrecord")}, work)
    print(f"{FLAGS.rounds} interleaved rounds; seconds: median (lowest to highest); ratio: median")
    print("| | seconds | x gzip | processor seconds |\n| --- | ---: | ---: | ---: |")
    for name, found in seconds.items():
        base = seconds["4 pairs: Python's gzip" if name.startswith("4") else next(iter(seconds))]
        ratio = statistics.median(a / b for a, b in zip(found, base, strict=True))
        print(
            f"| {name} | {statistics.median(found):.3f} ({min(found):.3f} to {max(found):.3f}) "
            f"| {ratio:.2f} | {statistics.median(PROCESSOR_SECONDS[name]):.2f} |"
        )
    for work_done, ours, first in (
        ("a pair of 512 x 512 x 200 to records", "convert, 1 worker, zlib", ""),
        ("four such pairs", "4 pairs: convert, 2 workers, zlib", "4"),
    ):
        ways_of_it = {n: s for n, s in seconds.items() if n.startswith("4") == bool(first)}
        keep(Rounds(work_done, "s", False, ours, ways_of_it))
    volume = 512 * 512 * SLICES * 2
    print(f"\nPeak memory of one worker; the volume is {volume / 2**20:.0f} MiB as int16")
    for name in ("nothing", "raw", "zlib", "png"):
        command = [sys.executable, "-m", "benchmarks.conversion", MEMORY, name, str(work)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        print(f"  {name}: {done.stdout.strip()}")
    return 0


def rounds_of(ways: dict[str, Callable[[], object]], work: Path) -> dict[str, list[float]]:
    """Seconds of each way, round by round."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(FLAGS.rounds):
        for name, way in ways.items():
            shutil.rmtree(work / "out", ignore_errors=True)
            started, before = time.perf_counter(), sum(os.times()[:4])
            way()
            seconds[name].append(time.perf_counter() - started)
            PROCESSOR_SECONDS.setdefault(name, []).append(sum(os.times()[:4]) - before)
    return seconds


def write_pair(folder: Path, number: int) -> None:
    """A pair in LiTS naming, 512 x 512 x 200, both int16; real CT if there is any."""
    volume, segmentation = (
        folder / f"{kind}-{number}.nii.gz" for kind in ("volume", "segmentation")
    )
    if segmentation.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    real = Path(os.environ.get("LIVER_TF_REAL_DATA", "../shared/data")) / "chaos_ct3"
    if not real.is_dir():
        write_phantom_pair(folder / "phantom", volume, segmentation)
        return
    for name, path in (("volume-3", volume), ("segmentation-3", segmentation)):
        image = nibabel.load(real / f"{name}.nii.gz")
        voxels = np.asanyarray(image.dataobj)
        there_and_back = [*range(voxels.shape[2]), *reversed(range(voxels.shape[2]))]
        order = [there_and_back[k % len(there_and_back)] for k in range(SLICES)]
        save(voxels[:, :, order], image.affine, path)


def write_phantom_pair(scratch: Path, volume: Path, segmentation: Path) -> None:
    from liver_tf.phantom.phantom_folder import write_phantom
    from liver_tf.phantom.phantom_plan import PhantomPlan

    write_phantom(scratch, PhantomPlan(lits_volumes=1, lits_slices=SLICES, patients=0, matrix=512))
    for kind, path in (("volume", volume), ("segmentation", segmentation)):
        image = nibabel.load(next((scratch / "lits").rglob(f"{kind}-*.nii*")))
        save(np.asanyarray(image.dataobj), image.affine, path)


def save(voxels: np.ndarray, affine: np.ndarray, path: Path) -> None:
    image = nibabel.Nifti1Image(voxels.astype(np.int16), affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def unpack(folder: Path) -> None:
    for path in sorted(folder.glob("*.nii.gz")):
        with gzip.open(path) as stream:
            while stream.read(1 << 20):
                pass


def convert(folder: Path, output: Path, encoding: str, workers: int) -> None:
    from liver_tf.conversion.convert_cases import Target, convert_cases, local_engine
    from liver_tf.conversion.sources import find_lits
    from liver_tf.labels import LITS

    tasks, _ = find_lits(folder, KEY)
    _, refusals = convert_cases(
        tasks,
        Target(output, encoding=encoding),
        label_set=LITS,
        made_by={},
        early_refusals=[],
        engine=local_engine(workers),
    )
    assert not refusals, refusals


def plainly(folder: Path, output: Path) -> None:
    """What one writes at first: whole arrays in float64, TensorFlow's own record writer."""
    import tensorflow as tf

    volume, labels = (nibabel.load(p).get_fdata() for p in sorted(folder.glob("*"), reverse=True))
    with tf.io.TFRecordWriter(str(output)) as writer:
        for k in range(volume.shape[2]):
            image = np.clip(volume[:, :, k].T, -160, 240).astype(np.int16)
            features = {
                "image": image.tobytes(),
                "labels": labels[:, :, k].T.astype("u1").tobytes(),
            }
            example = tf.train.Example()
            for name, value in features.items():
                example.features.feature[name].bytes_list.value.append(value)
            writer.write(example.SerializeToString())


def memory_of(encoding: str, work: Path) -> None:
    import liver_tf.conversion.convert_cases  # noqa: F401

    if encoding != "nothing":
        shutil.rmtree(work / "out", ignore_errors=True)
        convert(work / "one", work / "out", encoding, 1)
    # Not getrusage: its peak may be that of the process from which this one was started.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    print(f"{int(kilobytes) / 1024:.0f} MiB")


if __name__ == "__main__":
    if MEMORY in sys.argv:
        memory_of(sys.argv[2], Path(sys.argv[3]))
    else:
        flags.DEFINE_string("work", None, "Folder for the pairs and the output.", required=True)
        flags.DEFINE_integer("rounds", 7, "Interleaved rounds.", lower_bound=1)
        flags.DEFINE_boolean("skip_plain", False, "Skip the simple implementation.")
        define_flag()
        app.run(main)

"""Our cascade compared with nnU-Net v2 and MONAI's BasicUNet, trained on the same phantoms.

    python3 -m venv PEERS && PEERS/bin/pip install torch nnunetv2 monai
    python -m benchmarks.peer_networks --work=DIR --peer_python=PEERS/bin/python

Each gets the same LiTS-like training volumes and the same number of minutes on one core, and is
measured on the same unseen phantoms by the same code. Ours uses the flag files in
``flags/recommended``; its minutes are those of training both networks. Converting, planning and
preprocessing are not counted for anyone. A way that is complete in DIR is not repeated.
**Phantom results: they do not tell how any of these performs on patients.**
"""

import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from absl import app, flags

FLAGS = flags.FLAGS
ROOT = Path(__file__).resolve().parents[1]
WAYS = {"ours": "liver_tf", "nnunet": "nnU-Net v2, 2-D", "monai": "MONAI BasicUNet"}


@dataclass(frozen=True)
class ScanScore:
    """Voxels and lesions of one scan.

    Attributes:
      liver, lesion: voxels of truth, of prediction, and of both; liver includes lesions.
      lesions, hit: true lesions, and those that the prediction overlaps.
      found, right: predicted lesions, and those that overlap a true one.
    """

    liver: tuple[int, int, int]
    lesion: tuple[int, int, int]
    lesions: int
    hit: int
    found: int
    right: int


def main(argv: list[str]) -> int:
    del argv
    work = Path(FLAGS.work).resolve()
    data = work / "data"
    phantoms(data / "train", "training", FLAGS.volumes)
    phantoms(data / "test", "test", FLAGS.test_volumes)
    print(
        "| network | liver Dice, mean (least) | lesion Dice, pooled | lesion recall | "
        "lesion precision | false lesions a scan | core-minutes of training |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    )
    for way in FLAGS.ways:
        output = work / way
        if not (output / "done.json").exists():
            train = ours if way == "ours" else peer
            train(way, data, output)
        minutes = json.loads((output / "done.json").read_text())["core_minutes"]
        scores = [
            score(labels(path), labels(output / path.name))
            for path in sorted((data / "test" / "lits").glob("segmentation-*.nii.gz"))
        ]
        print(f"| {WAYS[way]} | {row(scores)} | {minutes:.0f} |", flush=True)
    return 0


def phantoms(output: Path, cohort: str, volumes: int) -> None:
    """LiTS-like volumes in ``output/lits``; does nothing if they are there."""
    run(
        "data_prep.phantom",
        *(f"--output={output}", f"--cohort={cohort}", f"--lits_volumes={volumes}"),
        *(f"--seed={FLAGS.seed}", "--lits_slices=40", "--patients=4", "--matrix=256"),
    )


def ours(way: str, data: Path, output: Path) -> None:
    """Train the cascade with the recommended settings and predict the test volumes."""
    del way
    run(
        "data_prep.build_tfrecords",
        *("--source=lits", f"--input={data}/train/lits", f"--output={output}/lits"),
    )
    spent = 0.0
    for network, records, epochs in (
        ("liver", "lits", FLAGS.liver_epochs),
        ("lesion", "roi", FLAGS.lesion_epochs),
    ):
        if network == "lesion":
            run(
                "data_prep.make_rois",
                *(f"--records={output}/lits", f"--liver_run={output}/liver"),
                f"--output={output}/roi",
            )
        spent += run(
            "trainers.pretrain",
            *(f"--flagfile=flags/recommended/{network}.flags",),
            *(f"--records={output}/{records}", f"--run={output}/{network}"),
            f"--epochs={epochs}",
        )
    run(
        "trainers.predict",
        *(f"--model={output}/lesion", f"--liver_run={output}/liver", f"--output={output}/scans"),
        *(f"--input={path}" for path in test_volumes(data)),
    )
    for number, path in enumerate(test_volumes(data), 1):
        name = path.name.replace("volume", "segmentation")
        found = output / "scans" / f"scan-{number:03d}" / "labels.nii.gz"
        (output / name).write_bytes(found.read_bytes())
    done(output, spent)


def peer(way: str, data: Path, output: Path) -> None:
    """Train a peer with the Python of its environment; it writes label maps itself."""
    for part in ("train", "test"):
        (output / "data").mkdir(parents=True, exist_ok=True)
        if not (output / "data" / part).is_symlink():
            (output / "data" / part).symlink_to(data / part / "lits")
    command = [
        *(FLAGS.peer_python, str(ROOT / "benchmarks" / "peer_training.py"), way),
        *(f"--data={output}/data", f"--output={output}", f"--minutes={FLAGS.minutes}"),
    ]
    subprocess.run(one_core(command), check=True, stdout=sys.stderr, env=quiet())
    done(output, FLAGS.minutes)


def done(output: Path, core_minutes: float) -> None:
    """Marks a way as complete."""
    (output / "done.json").write_text(json.dumps({"core_minutes": core_minutes}))


def run(*arguments: str) -> float:
    """Run a command of the project on one core; returns its minutes of processor time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = one_core([sys.executable, "-m", *arguments])
    subprocess.run(command, check=True, cwd=ROOT, stdout=sys.stderr, env=quiet())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 60


def one_core(command: list[str]) -> list[str]:
    return ["taskset", "--cpu-list", str(FLAGS.core), *command]


def quiet() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}


def test_volumes(data: Path) -> list[Path]:
    return sorted((data / "test" / "lits").glob("volume-*.nii.gz"))


def labels(path: Path) -> np.ndarray:
    """Labels of a file in the order of its voxels, uint8 [x, y, z]."""
    return np.asarray(nib.load(path).dataobj).astype(np.uint8)


def score(truth: np.ndarray, found: np.ndarray) -> ScanScore:
    """Compare two label maps of the same grid: 0 background, 1 liver, 2 and above lesion."""
    from liver_tf.measures.lesion_matching import match_components

    pairs = [(truth >= first, found >= first) for first in (1, 2)]
    liver, lesion = [(int(a.sum()), int(b.sum()), int((a & b).sum())) for a, b in pairs]
    true_numbers, found_numbers, _, _ = match_components(*pairs[1])
    return ScanScore(
        liver,
        lesion,
        lesions=int(true_numbers.max()),
        hit=np.unique(true_numbers[pairs[1][1] & pairs[1][0]]).size,
        found=int(found_numbers.max()),
        right=np.unique(found_numbers[pairs[1][1] & pairs[1][0]]).size,
    )


def row(scores: list[ScanScore]) -> str:
    """The cells of the table."""

    def dice(voxels: tuple[int, int, int]) -> float:
        return 2 * voxels[2] / max(1, voxels[0] + voxels[1])

    livers = [dice(one.liver) for one in scores]
    pooled = dice(tuple(np.sum([one.lesion for one in scores], axis=0).tolist()))
    found = sum(one.found for one in scores)
    right = sum(one.right for one in scores)
    recall = sum(one.hit for one in scores) / max(1, sum(one.lesions for one in scores))
    return (
        f"{np.mean(livers):.3f} ({min(livers):.3f}) | {pooled:.3f} | {recall:.2f} | "
        f"{right / max(1, found):.2f} | {(found - right) / len(scores):.1f}"
    )


if __name__ == "__main__":
    flags.DEFINE_string("work", None, "Folder for phantoms and networks.", required=True)
    flags.DEFINE_string("peer_python", None, "Python that has torch, nnunetv2 and monai.")
    flags.DEFINE_list("ways", list(WAYS), "Which to train and measure.")
    flags.DEFINE_float("minutes", 60, "Minutes of training on one core.")
    flags.DEFINE_integer("liver_epochs", 8, "Epochs of our liver network; the budget is a third.")
    flags.DEFINE_integer("lesion_epochs", 16, "Epochs of our lesion network: two thirds.")
    flags.DEFINE_integer("core", 0, "Number of the core that is used.")
    flags.DEFINE_integer("seed", 7, "Seed of the phantoms.")
    flags.DEFINE_integer("volumes", 60, "Training volumes of 40 slices.")
    flags.DEFINE_integer("test_volumes", 20, "Test volumes of 40 slices.")
    app.run(main)

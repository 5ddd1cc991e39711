"""End-to-end check on real CT: convert CHAOS, train a liver network on it, measure on its voxels.

    python -m benchmarks.real_ct --work=DIR

Needs the real data (``LIVER_TF_REAL_DATA``, or ``../shared/data`` next to the project). One
patient is used for training and for measuring: the figure shows that data, geometry and network
fit together, and nothing about other patients.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from absl import app, flags

FLAGS = flags.FLAGS


def real_data() -> Path:
    """Folder of the real data; ends the program with a message where there is none."""
    default = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("LIVER_TF_REAL_DATA", default))
    if not (folder / "chaos_ct3").is_dir():
        sys.exit(f"no chaos_ct3 in {folder}; name the folder in LIVER_TF_REAL_DATA")
    return folder / "chaos_ct3"


def run(*arguments: str) -> None:
    """Run a command of the project, printed first; ends the program if it fails."""
    print("$ python -m " + " ".join(arguments), flush=True)
    if subprocess.run([sys.executable, "-m", *arguments]).returncode:
        sys.exit(1)


def main(argv: list[str]) -> int:
    del argv
    chaos, work = real_data(), Path(FLAGS.work)
    run(
        "data_prep.build_tfrecords",
        "--source=lits",
        f"--input={chaos}",
        f"--output={work}/records",
        f"--site_key_file={_key(work)}",
    )
    run(
        "trainers.pretrain",
        *("--network=liver", f"--records={work}/records", f"--run={work}/liver"),
        *("--image_size=128", "--base_filters=8", "--norm_momentum=0.95"),
        *("--learning_rate=3e-3", "--epochs=25", "--validate_on_training"),
    )
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    from liver_tf.ct.nifti_volume import read_nifti_labels, read_nifti_volume
    from liver_tf.inference.liver_finder import LiverFinder

    scan = read_nifti_volume(chaos / "volume-3.nii.gz")
    labels, _ = read_nifti_labels(chaos / "segmentation-3.nii.gz", scan)
    found = LiverFinder.of_run(work / "liver").find(scan.hu)
    truth = labels > 0
    dice = 2 * (found & truth).sum() / (found.sum() + truth.sum())
    voxel_ml = float(np.prod(scan.spacing_mm)) / 1000
    print(
        f"| figure | value |\n| --- | ---: |\n| liver Dice, 3-D, source voxels | {dice:.3f} |\n"
        f"| liver volume found, ml | {found.sum() * voxel_ml:.0f} |\n"
        f"| liver volume outlined by experts, ml | {truth.sum() * voxel_ml:.0f} |"
    )
    return 0


def _key(work: Path) -> Path:
    """A key for public data, which have no identifiers to keep."""
    path = work / "site.key"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("public-data-need-no-secret\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    flags.DEFINE_string("work", None, "Folder for records and run.", required=True)
    app.run(main)

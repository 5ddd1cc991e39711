"""Transfer to real CT: a liver network of phantoms, fine-tuned on a few slices of one real scan.

The scan is split into parts that are far apart. Networks pre-trained on phantoms (all protocols
and controls) and networks from scratch are trained on the same 4, 8 and 16 slices, and tested at
the other end of the liver. The scan is of ONE PATIENT: the results show the method on real pixels
and say nothing about other patients. An interrupted study resumes with the same command. See
docs/real_ct.md.
"""

from __future__ import annotations

import os
from pathlib import Path

from absl import app, flags

from liver_tf.studies.grid import PROTOCOLS
from liver_tf.studies.transfer.scan_split import ENDS, HEAD, SplitDistances
from trainers import flag_groups

FLAGS = flags.FLAGS

#: Variable with the folder of real data, as in the tests.
DATA_VARIABLE = "LIVER_TF_REAL_DATA"


def main(argv: list[str]) -> int:
    from liver_tf.studies.protocol_files import read_protocols, read_settings
    from liver_tf.studies.transfer.transfer_study import TransferStudy, run_transfer_study

    del argv
    volume, segmentation = _scan_files()
    study = TransferStudy(
        folder=Path(FLAGS.folder),
        output=Path(FLAGS.output),
        volume=volume,
        segmentation=segmentation,
        pretrained=Path(FLAGS.pretrained),
        protocols=read_protocols(FLAGS.protocols),
        settings=read_settings([FLAGS.settings]),
        seeds=flag_groups.whole_numbers("seeds"),
        counts=flag_groups.whole_numbers("slices"),
        ends=FLAGS.ends,
        distances=SplitDistances(
            FLAGS.training_mm, FLAGS.validation_mm, FLAGS.before_validation_mm, FLAGS.before_test_mm
        ),
        validation_slices=FLAGS.validation_slices,
        workers=FLAGS.workers,
    )
    return int(not run_transfer_study(study, report_only=FLAGS.report_only))


def _scan_files() -> tuple[Path, Path]:
    default = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    data = FLAGS.data or Path(os.environ.get(DATA_VARIABLE, default)) / "chaos_ct3"
    volume, segmentation = (Path(data) / f"{name}-3.nii.gz" for name in ("volume", "segmentation"))
    if not (volume.is_file() and segmentation.is_file()):
        raise app.UsageError(
            f"--data: expected the CHAOS scan as {volume.name} and {segmentation.name} in {data}"
        )
    return volume, segmentation


def _define_flags() -> None:
    flags.DEFINE_string("folder", "transfer_study", "Folder for everything but the report.")
    flags.DEFINE_string(
        "output", "transfer_study/report", "Folder for transfer.md and its pictures."
    )
    flags.DEFINE_string(
        "data",
        None,
        "Folder with volume-3.nii.gz and segmentation-3.nii.gz of CHAOS. Default: chaos_ct3 in the "
        f"folder given by {DATA_VARIABLE}, else in ../shared/data.",
    )
    flags.DEFINE_string(
        "pretrained",
        "phantom_study/runs/liver",
        "Run of the liver network that was trained on phantoms.",
    )
    flags.DEFINE_string(
        "settings", "flags/study/transfer.flags", "Flag file with the settings of all trainings."
    )
    controls = ["baseline", "flags/study/baseline_long.flags"]
    protocols = [*controls, *(name for name in PROTOCOLS if name not in controls)]
    flags.DEFINE_list("protocols", protocols, "As in trainers.reproduce.")
    flags.DEFINE_list("seeds", ["0", "1", "2"], "Training seeds.")
    flags.DEFINE_list("slices", ["4", "8", "16"], "Numbers of training slices.")
    flags.DEFINE_multi_enum(
        "ends",
        [HEAD],
        list(ENDS),
        "End of the liver used for training. May be repeated; the other end can be added later.",
    )
    for name, default, text in (
        ("training_mm", SplitDistances.training, "Length of the training part."),
        ("validation_mm", SplitDistances.validation, "Length of the validation part."),
        (
            "before_validation_mm",
            SplitDistances.before_validation,
            "Minimum distance from training to validation slices.",
        ),
        (
            "before_test_mm",
            SplitDistances.before_test,
            "Minimum distance from training and validation to test slices.",
        ),
    ):
        flags.DEFINE_float(name, default, text, lower_bound=0.0)
    flags.DEFINE_integer("validation_slices", 3, "Number of validation slices.", lower_bound=2)
    flags.DEFINE_boolean("report_only", False, "Write the report of the finished networks only.")
    flags.DEFINE_integer("workers", 2, "Networks trained at a time.", lower_bound=1)


if __name__ == "__main__":
    flag_groups.run(main, _define_flags, tensorflow=False)

"""The paper's comparison on phantoms, from nothing to the report: what ``make reproduce`` runs.

The full phantom cohort (332 slices of 140 patients, as many as the paper's), all protocols and
controls, every fold. Every step is a command of this program, printed before it runs; what was
done is not done again.
"""

from __future__ import annotations

import time
from pathlib import Path

from absl import app, flags

from liver_tf.studies import study
from liver_tf.studies.steps import Step, minutes, run_chain

FLAGS = flags.FLAGS

DATA_LABEL = "PHANTOM data (not patients)"


def steps(
    folder: Path,
    flag_files: Path,
    *,
    cohort: tuple[str, ...],
    protocols: str,
    seeds: str,
    workers: int,
) -> list[Step]:
    """All steps in order.

    Args:
      folder: in which everything is made. flag_files: with liver.flags, lesion.flags and
        finetune.flags. cohort: flags of data_prep.phantom.
    """
    data, records, runs = folder / "data", folder / "tfrecords", folder / "runs"
    liver = f"--liver_run={runs}/liver"
    return [
        Step(
            "phantom",
            "write a phantom LiTS and a phantom Sheba",
            ("data_prep.phantom", f"--output={data}", *cohort),
            32,
            f"{data}/phantom.json",
        ),
        *(
            Step(
                f"build_{name}",
                f"convert the {source}",
                (
                    *("data_prep.build_tfrecords", f"--source={source}", f"--input={files}"),
                    f"--output={records}/{name}",
                ),
                12,
                f"{records}/{name}/manifest.json",
            )
            for name, source, files in (
                ("lits", "lits", data / "lits"),
                ("sheba", "slices", data / "sheba" / "slices.csv"),
            )
        ),
        Step(
            "pretrain_liver",
            "train the liver network",
            (
                *("trainers.pretrain", f"--flagfile={flag_files}/liver.flags"),
                *(f"--records={records}/lits", f"--run={runs}/liver"),
            ),
            110,
            f"{runs}/liver/weights.npz",
        ),
        *(
            Step(
                f"rois_{name}",
                f"cut ROIs around the liver that the network finds: {name}",
                (
                    *("data_prep.make_rois", f"--input={records}/{name}", liver),
                    f"--output={records}/{name}_roi",
                ),
                12,
                f"{records}/{name}_roi/manifest.json",
            )
            for name in ("lits", "sheba")
        ),
        Step(
            "pretrain_lesion",
            "pre-train the lesion network (background, liver, lesion)",
            (
                *("trainers.pretrain", f"--flagfile={flag_files}/lesion.flags"),
                *(f"--records={records}/lits_roi", f"--run={runs}/lesion"),
            ),
            260,
            f"{runs}/lesion/weights.npz",
        ),
        Step(
            "reproduce",
            "fine-tune and measure every protocol on every fold, and report",
            (
                *("trainers.reproduce", f"--output={folder}/study"),
                *(f"--settings={flag_files}/finetune.flags", f"--protocols={protocols}"),
                *(f"--seeds={seeds}", f"--workers={workers}"),
                *(f"--records={records}/sheba", f"--roi_records={records}/sheba_roi"),
                f"--folds_file={records}/sheba/folds.json",
                *(f"--pretrained={runs}/lesion", liver, f"--data_label={DATA_LABEL}"),
            ),
            4500,
            f"{folder}/study/report/report.html",
            always=True,
        ),
    ]


def main(argv: list[str]) -> int:
    del argv
    folder = Path(FLAGS.folder)
    plan = steps(
        folder,
        Path(FLAGS.flag_files),
        cohort=(
            *(f"--patients={FLAGS.patients}", f"--lits_volumes={FLAGS.lits_volumes}"),
            *(f"--matrix={FLAGS.matrix}", f"--workers={FLAGS.workers}"),
        ),
        protocols=",".join(FLAGS.protocols),
        seeds=",".join(FLAGS.seeds),
        workers=FLAGS.workers,
    )
    began = time.monotonic()
    ran = run_chain(plan, folder, "the study")
    print(
        f"\n{len(ran)} of {len(plan)} steps ran, {minutes(time.monotonic() - began)}. Phantoms, "
        f"not patients: look at {folder}/study/report/report.html."
    )
    return 0


def _define_flags() -> None:
    flags.DEFINE_string("folder", "phantom_study", "Everything is made in it.")
    flags.DEFINE_string(
        "flag_files", "flags/study", "Folder with liver.flags, lesion.flags and finetune.flags."
    )
    flags.DEFINE_integer("patients", 140, "Of the typed set; 140 have the paper's 332 slices.")
    flags.DEFINE_integer("lits_volumes", 30, "Volumes to pre-train on.")
    flags.DEFINE_integer("matrix", 256, "Rows and columns of an image.")
    flags.DEFINE_list("protocols", list(study.PROTOCOLS), "Of trainers.reproduce.")
    flags.DEFINE_list("seeds", ["0"], "Of trainers.reproduce.")
    flags.DEFINE_integer(
        "workers", 2, "Phantoms, and cells of the study, at a time.", lower_bound=1
    )


if __name__ == "__main__":
    _define_flags()
    app.run(main)

"""The paper's comparison on phantoms, from nothing to the report: what ``make reproduce`` runs.

The full phantom cohort (332 slices of 140 patients, as many as the paper's), all protocols and
controls, every fold. Every step is a command of this program, printed before it runs; finished
steps are skipped.
"""

from __future__ import annotations

from pathlib import Path

from absl import app, flags

from liver_tf.studies.phantom_study import PhantomStudy, run_phantom_study

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    del argv
    run_phantom_study(
        PhantomStudy(
            folder=Path(FLAGS.folder),
            flag_files=Path(FLAGS.flag_files),
            patients=FLAGS.patients,
            lits_volumes=FLAGS.lits_volumes,
            matrix=FLAGS.matrix,
            protocols=tuple(FLAGS.protocols),
            seeds=tuple(FLAGS.seeds),
            workers=FLAGS.workers,
        )
    )
    return 0


def _define_flags() -> None:
    default = PhantomStudy()
    flags.DEFINE_string("folder", str(default.folder), "Folder for everything the study writes.")
    flags.DEFINE_string(
        "flag_files",
        str(default.flag_files),
        "Folder with liver.flags, lesion.flags and finetune.flags.",
    )
    flags.DEFINE_integer(
        "patients", default.patients, "Patients of the typed set; 140 have the paper's 332 slices."
    )
    flags.DEFINE_integer("lits_volumes", default.lits_volumes, "Volumes for pre-training.")
    flags.DEFINE_integer("matrix", default.matrix, "Rows and columns of an image.")
    flags.DEFINE_list("protocols", list(default.protocols), "As in trainers.reproduce.")
    flags.DEFINE_list("seeds", list(default.seeds), "As in trainers.reproduce.")
    flags.DEFINE_integer(
        "workers", default.workers, "Phantoms, and runs of the study, at a time.", lower_bound=1
    )


if __name__ == "__main__":
    _define_flags()
    app.run(main)

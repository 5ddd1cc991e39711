"""Choose threshold, hole filling and least lesion size on a run's validation patients.

What is chosen stays with the run, in postprocessing.json, and is used by predict, evaluate and
export. The patients of the test are not read.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from liver_tf import run_files
from trainers import flag_groups

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    from liver_tf.assessment.choose_postprocessing import choice_summary, choose_postprocessing
    from liver_tf.folder_lock import locked_folder
    from liver_tf.inference import postprocessing

    records, liver = Path(FLAGS.records), Path(FLAGS.liver_run)
    for run in map(Path, FLAGS.run):
        how, chosen = choose_postprocessing(run, liver, records, in_liver_only=FLAGS.in_liver_only)
        with locked_folder(run):
            postprocessing.save(run, how, chosen)
        print(f"{run / run_files.POSTPROCESSING}: {how.text()}\n{choice_summary(how, chosen)}")
    return 0


def _define_flags() -> None:
    flags.DEFINE_multi_string("run", None, "Fine-tuned run; may be repeated.", required=True)
    flags.DEFINE_string("liver_run", "runs/liver", "Run of the liver network.")
    flags.DEFINE_string(
        "records", "tfrecords/sheba", "Record set of whole slices from which the ROIs were cut."
    )
    flags.DEFINE_boolean(
        "in_liver_only", True, "Drop what the lesion network finds outside the liver found first."
    )


if __name__ == "__main__":
    flag_groups.run(main, _define_flags)

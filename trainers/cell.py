"""One cell of a study: fine-tune, choose the post-processing, measure, in one process.

The same as trainers.finetune, trainers.choose_postprocessing and trainers.evaluate (without its
report) one after the other, but started once. trainers.reproduce runs its cells by this.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from absl import flags

from liver_tf import run_files
from trainers import finetune, flag_groups

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    return train_and_measure(argv, _measure)


def train_and_measure(argv: list[str], measure: Callable[[Path], object]) -> int:
    """Fine-tune, then ``measure`` the run while no other process works on it; returns a status."""
    from liver_tf.folder_lock import locked_folder

    status = finetune.main(argv)
    if status or FLAGS.dry_run:
        return status
    run = finetune.run_of_flags()
    with locked_folder(run):
        measure(run)
    print(f"{run}: measured")
    return 0


def _measure(run: Path) -> None:
    from liver_tf.assessment.evaluate import evaluate_runs
    from liver_tf.results.stored_results import has_results

    liver, records = Path(FLAGS.liver_run), Path(FLAGS.whole_records)
    # What was measured once has its post-processing: it is not chosen after a look.
    if not has_results(run, "test"):
        _choose(run, liver, records)
    evaluate_runs([run], liver, records)


def _choose(run: Path, liver: Path, records: Path) -> None:
    from liver_tf.assessment.choose_postprocessing import choice_summary, choose_postprocessing
    from liver_tf.inference import postprocessing
    from liver_tf.refusals import Refusal

    try:
        how, chosen = choose_postprocessing(run, liver, records)
    except Refusal as refusal:
        if refusal.code != "validation-no-lesion":
            raise
        print(f"no post-processing: {refusal.text()}")
        return
    postprocessing.save(run, how, chosen)
    print(f"{run / run_files.POSTPROCESSING}: {how.text()}\n{choice_summary(how, chosen)}")


def _define_flags() -> None:
    finetune._define_flags()
    flags.adopt_module_key_flags(finetune)
    flags.DEFINE_string("liver_run", "runs/liver", "Run of the liver network.")
    flags.DEFINE_string(
        "whole_records",
        "tfrecords/sheba",
        "Record set of whole slices, from which the ROIs (--records) were cut.",
    )


if __name__ == "__main__":
    flag_groups.run(main, _define_flags)

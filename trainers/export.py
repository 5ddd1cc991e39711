"""Export a fine-tuned run, with its liver network, as a SavedModel for TF Serving."""

from __future__ import annotations

from pathlib import Path

from absl import flags

from trainers import flag_groups

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    from liver_tf.export.model_card_facts import measures_of, provenance_of
    from liver_tf.export.saved_model import CARD, EXTRA, export
    from liver_tf.inference.cascade import Cascade

    runs, output = [Path(run) for run in FLAGS.run], Path(FLAGS.output)
    liver_run = Path(FLAGS.liver_run)
    cascade = Cascade.of_runs(
        liver_run,
        runs,
        flips=FLAGS.flips,
        use_chosen=FLAGS.postprocessing,
        in_liver_only=FLAGS.in_liver_only,
    )
    measures = None
    if FLAGS.measures:
        measures = measures_of(Path(FLAGS.measures), runs, liver_run, cascade)
    left_out = export(
        cascade,
        output,
        provenance_of(runs, liver_run),
        measures,
        found_as_uint8=FLAGS.found_as_uint8,
    )
    for told in left_out:
        print(told)
    print(f"{output}: SavedModel; see {output / EXTRA / CARD}")
    return 0


def _define_flags() -> None:
    flags.DEFINE_multi_string(
        "run",
        None,
        "Fine-tuned run; of several, repeated, the probabilities are averaged.",
        required=True,
    )
    flags.DEFINE_string("liver_run", "runs/liver", "Run of the liver network.")
    flags.DEFINE_boolean(
        "postprocessing",
        True,
        "Export with the threshold, holes and least size that trainers.choose_postprocessing kept "
        "with the run, if it did.",
    )
    flags.DEFINE_string(
        "output", "saved_models/liver/1", "Folder of the version; its name is a whole number."
    )
    flags.DEFINE_string(
        "measures",
        None,
        "measures.json of trainers.evaluate, so that the model card tells what was measured.",
    )
    flags.DEFINE_boolean(
        "found_as_uint8",
        False,
        "found_liver and found_lesion as 0 or 1 in uint8: OpenVINO Model Server sends no bool.",
    )
    flags.DEFINE_boolean("flips", False, "Average over the mirror image too.")
    flags.DEFINE_boolean(
        "in_liver_only", True, "Drop what the lesion network finds outside the liver found first."
    )


if __name__ == "__main__":
    flag_groups.run(main, _define_flags)

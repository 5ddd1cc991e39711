"""Export a fine-tuned run, with its liver network, as a SavedModel for TF Serving."""

from __future__ import annotations

from pathlib import Path

from absl import flags

from trainers import flag_groups

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    from liver_tf.export.saved_model import export
    from liver_tf.inference.cascade import Cascade

    run, output = Path(FLAGS.run), Path(FLAGS.output)
    cascade = Cascade.of_runs(Path(FLAGS.liver_run), run, use_chosen=FLAGS.postprocessing)
    export(cascade, output, {"protocol": run.resolve().name})
    print(f"{output}: SavedModel with signature serving_default(hu, spacing_mm)")
    return 0


def _define_flags() -> None:
    flags.DEFINE_string("run", None, "Fine-tuned run.", required=True)
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


if __name__ == "__main__":
    flag_groups.run(main, _define_flags)

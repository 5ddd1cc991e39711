"""Outline and type the lesions of scans: NIfTI volumes, DICOM series folders, DICOM slices."""

from __future__ import annotations

import sys
from pathlib import Path

from absl import app, flags

from trainers import flag_groups

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    from liver_tf.export.algorithm_identity import AlgorithmIdentity
    from liver_tf.inference.cascade import Cascade
    from liver_tf.prediction.many_scans import ScanOutcome, predict
    from liver_tf.prediction.named_scans import named_scans
    from liver_tf.prediction.one_scan import ResultSettings

    def show(outcome: ScanOutcome) -> None:
        if outcome.results is not None:
            print(outcome.results.text, flush=True)
        else:
            print(f"{outcome.scan}: refused", file=sys.stderr)

    models = [Path(model) for model in FLAGS.model]
    if len({model.resolve() for model in models}) < len(models):
        raise app.UsageError("--model: a run is named twice; it would count twice in the average")
    if "" in FLAGS.input or not FLAGS.output:
        raise app.UsageError("--input, --output: the path is empty; is a shell variable unset?")
    if Path(FLAGS.output).exists() and not Path(FLAGS.output).is_dir():
        raise app.UsageError("--output: expected a folder, found a file")
    scans = named_scans(FLAGS.input, FLAGS.input_list)
    if not scans:
        raise app.UsageError("name at least one scan with --input, or several in --input_list")
    liver = Path(FLAGS.liver_run)
    cascade = Cascade.of_runs(
        liver,
        models,
        in_liver_only=FLAGS.in_liver_only,
        flips=FLAGS.flips,
        use_chosen=FLAGS.postprocessing,
    )
    print(f"post-processing: {cascade.how.text()}")
    predicted = predict(
        cascade,
        scans,
        Path(FLAGS.output),
        ResultSettings(FLAGS.type_threshold, FLAGS.pictures, FLAGS.paths_in_table),
        AlgorithmIdentity.of_runs((liver, *models)),
        show,
    )
    for line in predicted.error_lines():
        print(line, file=sys.stderr)
    return 1 if predicted.refused else 0


def _define_flags() -> None:
    flags.DEFINE_multi_string(
        "model",
        None,
        "Fine-tuned run; repeat to average several, such as those of all folds.",
        required=True,
    )
    flags.DEFINE_string("liver_run", "runs/liver", "Run of the liver network.")
    flags.DEFINE_multi_string(
        "input",
        [],
        "A NIfTI volume, the folder of a DICOM series, or a DICOM slice; may be repeated.",
    )
    flags.DEFINE_string(
        "input_list", None, "Text file with a path per line, of the same kinds; lines of # are not."
    )
    flags.DEFINE_string(
        "output",
        None,
        "Folder; every input gets a folder scan-001, scan-002, ... in it.",
        required=True,
    )
    flags.DEFINE_boolean(
        "paths_in_table",
        False,
        "Also write each input's path into inputs.csv. Names of files and folders often tell of a "
        "patient.",
    )
    flags.DEFINE_integer("pictures", 6, "Overlays drawn of a scan, at most.", lower_bound=0)
    flags.DEFINE_boolean(
        "in_liver_only", True, "Drop what the lesion network finds outside the liver found first."
    )
    flags.DEFINE_boolean(
        "flips",
        False,
        "Average over the mirror image too, in both networks: twice the time.",
    )
    flags.DEFINE_boolean(
        "postprocessing",
        True,
        "Use the threshold, holes and least size that trainers.choose_postprocessing kept with the "
        "run, if it did.",
    )
    flags.DEFINE_float(
        "type_threshold",
        0.5,
        "A lesion whose most likely type is less probable is called indeterminate.",
        lower_bound=0.0,
        upper_bound=1.0,
    )


if __name__ == "__main__":
    flag_groups.run(main, _define_flags)

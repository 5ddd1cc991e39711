"""Outline and type the lesions of scans: NIfTI volumes, DICOM series folders, DICOM slices."""

from __future__ import annotations

import sys
from pathlib import Path

from absl import flags

from trainers import flag_groups

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    from liver_tf.export.made_by import MadeBy
    from liver_tf.inference.cascade import Cascade
    from liver_tf.refusals import Refusal
    from trainers.predicting import predict_scan

    cascade = Cascade.of_runs(
        Path(FLAGS.liver_run),
        Path(FLAGS.model),
        in_liver_only=FLAGS.in_liver_only,
    )
    made_by = MadeBy.of_runs((Path(FLAGS.liver_run), Path(FLAGS.model)))
    refused = []
    for number, path in enumerate(FLAGS.input, 1):
        folder = Path(FLAGS.output) / f"scan-{number:03d}"
        try:
            print(
                predict_scan(cascade, Path(path), folder, pictures=FLAGS.pictures, made_by=made_by)
            )
        except Refusal as refusal:
            refused.append(refusal)
            print(f"scan-{number:03d}: refused", file=sys.stderr)
    for refusal in refused:
        print(refusal.text_with_path(), file=sys.stderr)
    return 1 if refused else 0


def _define_flags() -> None:
    flags.DEFINE_string("model", None, "Fine-tuned run.", required=True)
    flags.DEFINE_string("liver_run", "runs/liver", "Run of the liver network.")
    flags.DEFINE_multi_string(
        "input",
        None,
        "A NIfTI volume, the folder of a DICOM series, or a DICOM slice; may be repeated.",
        required=True,
    )
    flags.DEFINE_string(
        "output",
        None,
        "Folder; every input gets a folder scan-001, scan-002, ... in it.",
        required=True,
    )
    flags.DEFINE_integer("pictures", 6, "Overlays drawn of a scan, at most.", lower_bound=0)
    flags.DEFINE_boolean(
        "in_liver_only", True, "Drop what the lesion network finds outside the liver found first."
    )


if __name__ == "__main__":
    flag_groups.run(main, _define_flags)

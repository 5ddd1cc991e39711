"""Cut regions of interest around the liver out of a record set, for the lesion network.

The liver is what the liver network finds (its largest 3-D component), as the paper does it, or
the true liver of the labels, for comparison.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from absl import app, flags

from liver_tf import run_files

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument {argv[1]!r}: all arguments are flags, --name=value")
    if (FLAGS.liver_run is None) != FLAGS.true_liver:
        raise app.UsageError("give either --liver_run=RUN or --true_liver")
    for name in ("margin_mm", "least_side_mm"):  # NaN passes the bounds of a flag
        if not math.isfinite(FLAGS[name].value):
            raise app.UsageError(f"--{name} must be a finite number of mm")
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    from liver_tf.conversion.roi_sets import cut_rois
    from liver_tf.inference.liver_finder import LiverFinder
    from liver_tf.inference.roi_box import RoiRule
    from liver_tf.refusals import Refusal

    try:
        seen = None if FLAGS.true_liver else Path(FLAGS.liver_run) / run_files.TRAINING_DATA
        finder = None if FLAGS.true_liver else LiverFinder.of_run(Path(FLAGS.liver_run))
        manifest, summary = cut_rois(
            Path(FLAGS.input),
            Path(FLAGS.output),
            finder,
            RoiRule(FLAGS.margin_mm, FLAGS.least_side_mm, FLAGS.extent),
            seen if seen is not None and seen.is_file() else None,
        )
    except Refusal as refusal:
        print(refusal.text_with_path(), file=sys.stderr)
        return 1
    print(
        f"{FLAGS.output}: {manifest.records} ROIs of {len(manifest.cases)} cases, fingerprint "
        f"{manifest.fingerprint[:16]}\n{summary}"
    )
    return 0


def _define_flags() -> None:
    flags.DEFINE_string("input", None, "Folder of the record set of whole slices.", required=True)
    flags.DEFINE_string("output", None, "Folder of the ROI record set.", required=True)
    flags.DEFINE_string("liver_run", None, "Run of the liver network that finds the liver.")
    flags.DEFINE_boolean("true_liver", False, "Cut around the labelled liver instead.")
    flags.DEFINE_float("margin_mm", 15.0, "Margin around the liver in mm.", lower_bound=0.0)
    flags.DEFINE_float("least_side_mm", 120.0, "Smallest side of an ROI in mm.", lower_bound=1.0)
    flags.DEFINE_enum(
        "extent", "slice", ["slice", "volume"], "One box for each slice, or one for a scan."
    )


if __name__ == "__main__":
    _define_flags()
    app.run(main)

"""Draw slices of a record set as training would augment them, to judge the ranges by eye.

A row for each slice: as it is, then as each of the first epochs of a run with the same --seed,
--image_size and ranges shows it, with what was done to it underneath. The slices are chosen by the
seed, the kinds of slices in turn. Nothing in the picture tells of a patient but the pixels.
"""

from __future__ import annotations

import sys
from pathlib import Path

from absl import app, flags

from data_prep import augmentation_flags

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument {argv[1]!r}: all arguments are flags, --name=value")
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    from liver_tf.disk_full import write_errors_as_refusals
    from liver_tf.inspection.augmentation_sheet import draw_sheet, make_rows
    from liver_tf.pipeline.slices import Slices
    from liver_tf.records.manifest import load_manifest
    from liver_tf.records.shards import check_shards
    from liver_tf.refusals import Refusal

    records, output = Path(FLAGS.records), Path(FLAGS.output)
    if output.suffix.lower() != ".png":
        raise app.UsageError(f"--output: expected a name that ends in .png, got {output.name!r}")
    try:
        manifest = load_manifest(records)
        ranges = augmentation_flags.ranges(manifest.label_set)
        cases = tuple(entry.case for entry in manifest.cases)
        check_shards(records, manifest)
        mapping = tuple(range(len(manifest.label_set)))
        slices = Slices(records, manifest, cases, FLAGS.image_size, mapping)
        rows = make_rows(slices, ranges, seed=FLAGS.seed, rows=FLAGS.slices, epochs=FLAGS.versions)
        note = f"seed {FLAGS.seed}, {FLAGS.image_size} x {FLAGS.image_size} pixels"
        note += "; turns are anticlockwise"
        if FLAGS.lesion_safe:
            note += "; moderated to keep lesions"
        with write_errors_as_refusals(output):
            draw_sheet(rows, manifest.label_set, manifest.window, output, note)
    except Refusal as refusal:
        print(refusal.text_with_path(), file=sys.stderr)
        return 1
    print(f"{output}: {len(rows)} slices in {FLAGS.versions} epochs")
    return 0


def _define_flags() -> None:
    flags.DEFINE_string("records", None, "Folder of a record set.", required=True)
    flags.DEFINE_string("output", "preview.png", "The picture, a PNG.")
    flags.DEFINE_integer("slices", 4, "Rows: slices.", lower_bound=1, upper_bound=20)
    flags.DEFINE_integer("versions", 5, "Columns: epochs.", lower_bound=1, upper_bound=12)
    flags.DEFINE_integer(
        "image_size", 256, "Side of the network's input.", lower_bound=16, upper_bound=1024
    )
    flags.DEFINE_integer("seed", 0, "As in training.", lower_bound=0, upper_bound=2**31 - 1)
    augmentation_flags.define()
    flags.adopt_module_key_flags(augmentation_flags)


if __name__ == "__main__":
    _define_flags()
    app.run(main)

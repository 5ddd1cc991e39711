"""bfloat16 compared with float32: speed, and equal pixels of label maps.

    python -m benchmarks.precision
    python -m benchmarks.precision --run=RUN --liver_run=LIVER_RUN --records=WHOLE_SLICES

Without a run: images a second of inference and of the training step of our U-Net, each format in a
process of its own, in turns. With a run: the label maps of the cascade on all slices of the record
set, in both formats. A difference of a few pixels at edges is expected.
"""

import statistics
from pathlib import Path

from absl import app, flags

from benchmarks import inference, training_step
from benchmarks.kept import Rounds, define_flag, keep
from benchmarks.turns import take_turns

FLAGS = flags.FLAGS
FORMATS = ("float32", "bfloat16")


def main(argv: list[str]) -> int:
    del argv
    if FLAGS.run:
        print(
            "| run | slices | equal pixels | in the worst slice | equal in the ROI | lesion Dice |"
        )
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for run in FLAGS.run:
            print(agreement(Path(run), Path(FLAGS.liver_run), Path(FLAGS.records)), flush=True)
        return 0
    print("| work | float32, images/s | bfloat16, images/s | ratio |\n| --- | ---: | ---: | ---: |")
    for task in FLAGS.tasks:
        work, size = task.split(":")
        batch, side, filters = (int(number) for number in size.split("x"))
        rates = take_turns(
            {name: (_MAKERS[work], (name, batch, side, filters)) for name in FORMATS}, FLAGS.rounds
        )
        title = f"{work}, batch {batch}, {side} x {side}, {filters} filters"
        rounds = Rounds(title, "images/s", True, "bfloat16", rates)
        single, half = (statistics.median(rates[name]) for name in FORMATS)
        ratios = rounds.ratios("float32")
        print(
            f"| {title} | {single:.1f} | {half:.1f} | {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}) |",
            flush=True,
        )
        keep(rounds)
    return 0


def _inference(precision: str, batch: int, side: int, filters: int):
    return inference.ours(batch, side, filters, batch * 4, precision)


def _training(precision: str, batch: int, side: int, filters: int):
    turn = training_step.ours(batch, side, filters, 4, precision)
    return lambda: turn()[0]


_MAKERS = {"inference": _inference, "training": _training}


def agreement(run: Path, liver_run: Path, records: Path) -> str:
    """A row of the table: label maps of a run in both formats, on all slices of a record set."""
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import numpy as np

    from liver_tf.assessment.slice_predictor import SlicePredictor
    from liver_tf.inference.cascade import Cascade
    from liver_tf.labels import LIVER
    from liver_tf.records.manifest import load_manifest
    from liver_tf.records.shard_reader import read_case

    predictors = [
        SlicePredictor(Cascade.of_runs(liver_run, run, precision=name)) for name in FORMATS
    ]
    shares, in_roi, both, total = [], [], 0, 0
    for entry in load_manifest(records).cases:
        slices = list(read_case(records, entry))
        for (single, _), (half, _) in zip(
            *(predict(slices) for predict in predictors), strict=True
        ):
            equal = single == half
            shares.append(equal.mean())
            anything = (single > 0) | (half > 0)
            in_roi.append((equal[anything].sum(), anything.sum()))
            both += 2 * int(((single > LIVER) & (half > LIVER)).sum())
            total += int((single > LIVER).sum() + (half > LIVER).sum())
    equal, pixels = np.sum(in_roi, axis=0)
    return (
        f"| {run.name} | {len(shares)} | {np.mean(shares):.3%} | {min(shares):.3%} "
        f"| {equal / max(pixels, 1):.3%} | {both / max(total, 1):.4f} |"
    )


if __name__ == "__main__":
    flags.DEFINE_multi_string("run", [], "Run of a lesion network.")
    flags.DEFINE_string("liver_run", "runs/liver", "Run of the liver network.")
    flags.DEFINE_string("records", "tfrecords/sheba", "Record set of whole slices.")
    flags.DEFINE_integer("rounds", 7, "Interleaved rounds.", lower_bound=1)
    flags.DEFINE_list(
        "tasks",
        [
            *("inference:6x128x16", "inference:1x256x32", "inference:8x256x32"),
            *("training:6x128x16", "training:1x128x16", "training:6x256x32"),
        ],
        "Work : batch x pixels x filters.",
    )
    define_flag()
    app.run(main)

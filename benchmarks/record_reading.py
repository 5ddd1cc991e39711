"""What each way of storing pixels costs: bytes a slice, and slices a second read back.

    python -m benchmarks.record_reading --work=DIR

Converts the pair of ``benchmarks.conversion`` once in every encoding, then reads the records in
interleaved rounds, from the page cache: by TensorFlow's bare reader (which does not look into a
record), by the training pipeline's ``parser`` in a parallel map, and one by one by ``read_case``.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from absl import app, flags

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    del argv
    from benchmarks.conversion import convert, write_pair
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    from liver_tf.records.graph import parser
    from liver_tf.records.manifest import load_manifest
    from liver_tf.records.pixels import ENCODINGS
    from liver_tf.records.shards import read_case

    work = Path(FLAGS.work)
    write_pair(work / "one", 0)
    sets = {}
    for encoding in ENCODINGS:
        folder = work / f"records_{encoding}"
        convert(work / "one", folder, encoding, 1)
        sets[encoding] = folder, load_manifest(folder).cases[0]

    def bare(folder: Path, entry, encoding: str) -> int:
        return sum(1 for _ in tf.data.TFRecordDataset(str(folder / entry.shard)))

    def parsed(folder: Path, entry, encoding: str) -> int:
        dataset = tf.data.TFRecordDataset(str(folder / entry.shard))
        dataset = dataset.map(parser(encoding), tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
        return int(
            dataset.reduce(0, lambda count, record: count + tf.shape(record["image"])[0] // 512)
        )

    def plain(folder: Path, entry, encoding: str) -> int:
        return sum(1 for _ in read_case(folder, entry))

    ways = {"TFRecordDataset alone": bare, "with parser": parsed, "read_case": plain}
    rates = {(encoding, name): [] for encoding in ENCODINGS for name in ways}
    for _ in range(FLAGS.rounds + 1):
        for (encoding, name), found in rates.items():
            folder, entry = sets[encoding]
            started = time.perf_counter()
            count = ways[name](folder, entry, encoding)
            found.append(count / (time.perf_counter() - started))
            assert count == entry.records
    print(
        f"512 x 512; {FLAGS.rounds} interleaved rounds after one to warm up; median slices a second"
    )
    print("| encoding | KiB a slice | " + " | ".join(ways) + " |")
    print("| --- | ---: |" + " ---: |" * len(ways))
    for encoding, (_, entry) in sets.items():
        cells = [f"{statistics.median(rates[encoding, name][1:]):,.0f}" for name in ways]
        print(
            f"| {encoding} | {entry.bytes / entry.records / 1024:.0f} | " + " | ".join(cells) + " |"
        )
    return 0


if __name__ == "__main__":
    flags.DEFINE_string("work", None, "Folder for the pair and the records.", required=True)
    flags.DEFINE_integer("rounds", 7, "Interleaved rounds.", lower_bound=1)
    app.run(main)

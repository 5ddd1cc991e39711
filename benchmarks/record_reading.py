"""Cost of each pixel encoding: bytes per slice, and slices read per second.

    python -m benchmarks.record_reading --work=DIR

Converts the pair of ``benchmarks.conversion`` once per encoding, then reads its shard from the page
cache in interleaved rounds: by TensorFlow's bare reader (without parsing), as the training pipeline
reads and parses, and one by one with ``read_case``. Each round reads the shard ten times, so that
building the graph does not dominate.
"""

import statistics
import time
from pathlib import Path

from absl import app, flags

FLAGS = flags.FLAGS

#: How often the shard is read in a round.
TIMES = 10


def main(argv: list[str]) -> int:
    del argv
    from benchmarks.conversion import convert, write_pair
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import numpy as np
    import tensorflow as tf

    from liver_tf.pipeline.slices import read_shards
    from liver_tf.records.graph_decoder import record_parser
    from liver_tf.records.manifest import load_manifest
    from liver_tf.records.pixel_encoding import ENCODINGS
    from liver_tf.records.shard_reader import read_case

    work = Path(FLAGS.work)
    write_pair(work / "one", 0)
    sets = {}
    for encoding in ENCODINGS:
        folder = work / f"records_{encoding}"
        convert(work / "one", folder, encoding, 1)
        sets[encoding] = folder, load_manifest(folder).cases[0]

    def bare(folder: Path, entry, encoding: str) -> int:
        dataset = tf.data.TFRecordDataset([str(folder / entry.shard)] * TIMES)
        return int(dataset.reduce(0, lambda count, record: count + 1))

    def parsed(folder: Path, entry, encoding: str) -> int:
        parse = record_parser(encoding)
        dataset = read_shards(
            [str(folder / entry.shard)] * TIMES, np.arange(TIMES) * entry.records
        ).map(lambda place, record: parse(record), tf.data.AUTOTUNE, deterministic=True)
        # Its sizes are asked for, so that no part of the work can be left out.
        return int(
            dataset.prefetch(tf.data.AUTOTUNE).reduce(
                0, lambda count, record: count + tf.shape(record["image"])[0] // 512
            )
        )

    def plain(folder: Path, entry, encoding: str) -> int:
        return sum(1 for _ in range(TIMES) for _ in read_case(folder, entry))

    ways = {"TFRecordDataset alone": bare, "read and parsed": parsed, "read_case": plain}
    rates = {(encoding, name): [] for encoding in ENCODINGS for name in ways}
    for _ in range(FLAGS.rounds + 1):
        for (encoding, name), found in rates.items():
            folder, entry = sets[encoding]
            started = time.perf_counter()
            count = ways[name](folder, entry, encoding)
            found.append(count / (time.perf_counter() - started))
            assert count == entry.records * TIMES
    print(
        f"512 x 512; {FLAGS.rounds} interleaved rounds after one to warm up; median slices a second"
    )
    print("| encoding | KiB per slice | " + " | ".join(ways) + " |")
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

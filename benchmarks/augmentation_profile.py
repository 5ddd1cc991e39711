"""Processor time of augmentation per slice, part by part.

    python -m benchmarks.augmentation_profile

256 x 256 pixels, batches of 8. Each part is compiled separately, so the sum slightly exceeds the
total; medians of interleaved rounds. Threads that wait do not count as processor time.
"""

import statistics
import time

from absl import app, flags

FLAGS = flags.FLAGS
SIDE, BATCH, CALLS = 256, 8, 4
WINDOW = (-160.0, 240.0)


def main(argv: list[str]) -> int:
    del argv
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import numpy as np
    import tensorflow as tf

    from liver_tf.pipeline.augmentation import augment, noise, warp
    from liver_tf.pipeline.augmentation.xla import compiled

    generator = np.random.default_rng(0)
    shape = (BATCH, SIDE, SIDE)
    images = tf.constant(generator.uniform(*WINDOW, shape), tf.float32)
    labels = tf.constant(generator.integers(0, 5, shape), tf.uint8)
    epoch, examples = tf.constant(0), tf.range(BATCH, dtype=tf.int64)

    def whole(**more):
        drawn = augment.draw(0, epoch, examples, augment.Ranges(20.0, 0.1, 0.1, **more))
        return lambda: augment.apply(images, labels, drawn, WINDOW)[0]

    drawn = augment.draw(0, epoch, examples, augment.Ranges(20.0, 0.1, 0.1))
    lines = compiled(lambda transform: warp.source_lines(transform, SIDE, SIDE))
    column, row = warp.source_points(lines(drawn["transform"]))
    image = compiled(lambda i, c, r: warp.bilinear(i, c, r, WINDOW[0]))
    label = compiled(warp.nearest)
    field = compiled(lambda seeds: noise.normal_fields(seeds, SIDE, SIDE))
    copy = compiled(lambda i: i + 1.0)
    ways = {
        "all by default": whole(),
        "without noise": whole(noise_hu=0.0),
        "with an elastic deformation": whole(elastic=0.03),
        "with gamma": whole(gamma=0.3),
        "with blur, SD up to 1 pixel": whole(blur_pixels=1.0),
        "lesion-safe": whole(kept_from=2),
        "piece: where rows and columns come from": lambda: lines(drawn["transform"])[0],
        "piece: image, bilinear": lambda: image(images, column, row),
        "piece: labels, nearest": lambda: label(labels, column, row),
        "piece: noise": lambda: field(drawn["noise_seed"]),
        "an addition, for comparison": lambda: copy(images),
    }
    started = time.perf_counter()
    ways["all by default"]().numpy()
    print(f"the first batch of a shape: {time.perf_counter() - started:.2f} s, compiling\n")
    milliseconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(FLAGS.rounds + 1):
        for name, way in ways.items():
            started = time.process_time()
            for _ in range(CALLS):
                made = way()
            made.numpy()
            # The first round compiles.
            if number:
                spent = time.process_time() - started
                milliseconds[name].append(1000 * spent / CALLS / BATCH)
    print("| | processor ms per slice, median | minimum |\n| --- | ---: | ---: |")
    for name, found in milliseconds.items():
        print(f"| {name} | {statistics.median(found):.3f} | {min(found):.3f} |")
    return 0


if __name__ == "__main__":
    flags.DEFINE_integer("rounds", 21, "Interleaved rounds.", lower_bound=1)
    app.run(main)

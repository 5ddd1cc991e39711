"""The SavedModel compared with its bare networks, in TensorFlow and in OpenVINO.

    python -m benchmarks.serving

Exports the cascade of ``benchmarks.cascade`` (real sizes, weights that find what is drawn), then
queries it with one and with eight slices of 512 x 512, in rounds interleaved with the forward
passes of both networks alone. Ratios are computed per round; the median is printed. Also the size
of the SavedModel on disk relative to its weights.
"""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import app, flags

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    del argv
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    from benchmarks.cascade import draw_volume, make_network
    from liver_tf.export.saved_model import write_saved_model
    from liver_tf.inference.cascade import Cascade
    from liver_tf.inference.liver_finder import LiverFinder
    from liver_tf.model import unet
    from liver_tf.serving.model_clients import Loaded, OpenVino

    networks = [
        make_network(kind, FLAGS.image_size, FLAGS.base_filters) for kind in ("liver", "lesion")
    ]
    cascade = Cascade(LiverFinder(networks[0]), networks[1])
    with tempfile.TemporaryDirectory() as folder:
        version = Path(folder) / "liver" / "1"
        write_saved_model(cascade, version, {})
        weights = sum(
            4 * unet.build(network.description.architecture).count_params() for network in networks
        )
        size = sum(path.stat().st_size for path in version.rglob("*") if path.is_file())
        ways = {"TensorFlow": Loaded(version), "OpenVINO": OpenVino(version)}
        bare = bare_networks(networks)
        print(f"size: {size / 2**20:.1f} MiB, {size / weights:.2f} x the weights")
        print(
            f"networks of {FLAGS.image_size} pixels and {FLAGS.base_filters} filters; "
            f"{FLAGS.rounds} interleaved rounds after one to warm up; median (lowest to highest)"
        )
        print("| slices | what | seconds | x bare networks |")
        print("| ---: | --- | ---: | ---: |")
        for count in (1, 8):
            hu = draw_volume(3 * count, 512, 10)[count : 2 * count].astype(np.float32)
            spacing = np.full((count, 2), 0.75, np.float32)
            assert ways["TensorFlow"](hu, spacing)["liver_area_mm2"].all()
            # Other views for each network: on the same ones TensorFlow would compute once what
            # both have in common.
            shape = [count, FLAGS.image_size, FLAGS.image_size, 1]
            views = [tf.random.normal(shape, seed=number) for number in range(len(networks))]
            tried = {"both networks alone, TensorFlow": lambda views=views: bare(views)}
            for name, client in ways.items():
                tried[f"servable, {name}"] = lambda c=client, h=hu, s=spacing: c(h, s)
            table(count, tried)
    return 0


def table(count: int, tried: dict) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in tried}
    for number in range(FLAGS.rounds + 1):
        for name, way in tried.items():
            started = time.perf_counter()
            way()
            if number:
                seconds[name].append(time.perf_counter() - started)
    base = next(iter(seconds.values()))
    for name, times in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(times, base, strict=True))
        print(
            f"| {count} | {name} | {statistics.median(times):.3f} ({min(times):.3f} to "
            f"{max(times):.3f}) | {ratio:.2f} |"
        )


def bare_networks(networks):
    """Forward passes on standardised views, one for each network, as one compiled function."""
    import tensorflow as tf

    @tf.function
    def all_of_them(views):
        return [network.softmax(view) for network, view in zip(networks, views, strict=True)]

    return lambda views: [one.numpy() for one in all_of_them(views)]


if __name__ == "__main__":
    flags.DEFINE_integer("image_size", 256, "Side of the networks' input.")
    flags.DEFINE_integer("base_filters", 32, "Channels of the networks' first block.")
    flags.DEFINE_integer("rounds", 7, "Interleaved rounds.", lower_bound=1)
    app.run(main)

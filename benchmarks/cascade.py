"""Cost of the cascade compared with the bare forward passes of its two networks.

    python -m benchmarks.cascade

A computed volume of a body with a liver and lesions is processed from HU to typed lesions; the
bare passes send the same number of slices, in batches of the same size, through the same two
networks. The networks have the layers and sizes of trained ones, and weights that pass the
brightness of the image on, so that they find the liver and the lesions at full cost.

Time: both take turns in one process; the median of the ratios is printed. If other programs share
the machine, the ratio of processor times is more reliable than that of wall times. Memory: each
runs in a separate process with the same networks; the difference of the peaks is printed in units
of the int16 volume, which is part of it. A few MiB do not depend on the volume, so a small volume
gives a larger figure.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import app, flags

FLAGS = flags.FLAGS

SPACING_MM = (1.5, 0.75, 0.75)

#: Mean HU of what is drawn, in the order of the label set; the last are the kinds of lesion.
BODY_HU, LIVER_HU, LESIONS_HU = 30, 110, (150, 180, 210)

#: Added to the standardised image so that no ReLU cuts it.
_LIFT = 10.0


def draw_volume(slices: int, side: int, lesions: int, seed: int = 0) -> np.ndarray:
    """int16 HU [slices, side, side]: a body in air, a liver in two thirds of the slices, balls."""
    generator = np.random.default_rng(seed)
    grid = np.ogrid[:slices, :side, :side]
    hu = np.full((slices, side, side), -1000, np.int16)
    hu[:, ((grid[1] / side - 0.5) ** 2 / 0.12 + (grid[2] / side - 0.5) ** 2 / 0.2 < 1)[0]] = BODY_HU
    radii = np.array([slices / 3, 0.18 * side, 0.21 * side])
    centre = np.array([slices / 2, 0.45 * side, 0.38 * side])
    hu[sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii, strict=True)) < 1] = LIVER_HU
    for number in range(lesions):
        place = centre + generator.uniform(-0.5, 0.5, 3) * radii
        radius = generator.uniform(4, 18)
        low = np.maximum(place - radius, 0).astype(int)
        high = np.minimum(place + radius + 1, hu.shape).astype(int)
        part = tuple(slice(first, last) for first, last in zip(low, high, strict=True))
        inside = sum((g - c) ** 2 for g, c in zip(np.ogrid[part], place, strict=True)) <= radius**2
        hu[part][inside] = LESIONS_HU[number % len(LESIONS_HU)]
    for one in hu:
        one += generator.normal(0, 4, one.shape).astype(np.int16)
    return hu


def make_network(kind: str, image_size: int, base_filters: int, precision: str = "float32"):
    """A network of the real form whose answer is the class of the nearest mean HU."""
    from liver_tf.inference.trained_network import TrainedNetwork
    from liver_tf.labels import LESION_TYPES, LIVER_ONLY
    from liver_tf.model import unet
    from liver_tf.model.architecture import Architecture
    from liver_tf.model.description import Description

    of_liver = kind == "liver"
    means_hu = (BODY_HU, LIVER_HU + 20) if of_liver else (BODY_HU, LIVER_HU, *LESIONS_HU)
    label_set = LIVER_ONLY if of_liver else LESION_TYPES
    architecture = Architecture(image_size, base_filters, len(label_set))
    model = unet.build(architecture, precision=precision)
    norms = 1.0
    for name in ("enc1_conv1", "enc1_conv2", "dec1_conv1", "dec1_conv2"):
        kernel, bias = (np.zeros_like(array) for array in model.get_layer(name).get_weights())
        kernel[1, 1, 0, 0] = 1.0
        bias[0] = _LIFT if name == "enc1_conv1" else 0.0
        model.get_layer(name).set_weights([kernel, bias])
        norms /= np.sqrt(1.0 + model.get_layer(name.replace("conv", "norm")).epsilon)
    kernel, bias = (np.zeros_like(array) for array in model.get_layer("head_logits").get_weights())
    means = (np.float32(means_hu) - 100) / 30
    kernel[0, 0, 0] = 16 * means / norms
    bias[:] = -8 * means**2 - 16 * means * _LIFT
    model.get_layer("head_logits").set_weights([kernel, bias])
    rule = {"margin_mm": 15.0, "least_side_mm": 120.0, "extent": "slice"}
    roi = None if of_liver else {"rule": rule}
    description = Description(
        kind, architecture, label_set, (-160, 240), 100.0, 30.0, "0" * 64, roi
    )
    return TrainedNetwork(model, description)


class Both:
    """The two networks, the cascade of them, and their bare forward passes."""

    def __init__(self) -> None:
        from liver_tf.quiet_tensorflow import import_tensorflow

        import_tensorflow()
        from liver_tf.inference.cascade import Cascade
        from liver_tf.inference.liver_finder import LiverFinder
        from liver_tf.inference.slice_batches import BATCH

        side = FLAGS.image_size
        networks = [make_network(kind, side, FLAGS.base_filters) for kind in ("liver", "lesion")]
        self.cascade = Cascade(LiverFinder(networks[0]), networks[1])
        self._batch = BATCH
        self._passes = [network.softmax for network in networks]

    def bare(self, slices: int, with_liver: int) -> tuple[float, float]:
        """Seconds of the forward passes alone, by the clock and of all processors."""
        shape = (self._batch, FLAGS.image_size, FLAGS.image_size, 1)
        images = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        started, began = time.perf_counter(), time.process_time()
        for one_pass, count in zip(self._passes, (slices, with_liver), strict=True):
            for first in range(0, count, self._batch):
                one_pass(images[: min(self._batch, count - first)]).numpy()
        return time.perf_counter() - started, time.process_time() - began

    def whole(self, hu: np.ndarray) -> tuple[float, dict]:
        """Seconds from HU to lesions, and the findings."""
        from liver_tf.inference.lesion_properties import find_lesions

        started, began = time.perf_counter(), time.process_time()
        prediction = self.cascade.predict(hu, SPACING_MM[1:])
        predicted = time.perf_counter()
        lesions = find_lesions(
            prediction.labels,
            hu,
            SPACING_MM,
            self.cascade.label_set,
            probabilities=prediction.probabilities,
        )
        ended = time.perf_counter()
        return ended - started, {
            "with_liver": sum(box is not None for box in prediction.boxes),
            "lesions": len(lesions),
            "lesion_voxels": len(prediction.probabilities),
            "seconds_of_lesions": ended - predicted,
            "cascade_cpu": time.process_time() - began,
        }


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _child(task: str, path: Path, with_liver: int) -> dict:
    both = Both()
    hu = np.load(path) if task != "bare" else None
    if task == "bare":
        both.bare(FLAGS.slices, with_liver)
    elif task == "memory":
        both.whole(hu)
    else:
        _, found = both.whole(hu)  # traces the graphs
        both.bare(16, 16)
        rounds = []
        with_liver = found["with_liver"]
        for number in range(FLAGS.rounds):
            # They change places, so that neither is always the one that finds warm caches.
            if number % 2:
                seconds, found = both.whole(hu)
            bare, bare_cpu = both.bare(len(hu), with_liver)
            if not number % 2:
                seconds, found = both.whole(hu)
            rounds.append({"bare": bare, "bare_cpu": bare_cpu, "cascade": seconds, **found})
        return {"rounds": rounds}
    return {"peak_mib": _peak_mib()}


def _run(task: str, path: Path, with_liver: int = 0) -> dict:
    command = [sys.executable, "-m", "benchmarks.cascade", f"--task={task}", f"--volume={path}"]
    command += [f"--with_liver={with_liver}"]
    for name in ("slices", "side", "image_size", "base_filters", "rounds"):
        command.append(f"--{name}={getattr(FLAGS, name)}")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main(argv: list[str]) -> int:
    del argv
    if FLAGS.task:
        print(json.dumps(_child(FLAGS.task, Path(FLAGS.volume), FLAGS.with_liver)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "volume.npy"
        hu = draw_volume(FLAGS.slices, FLAGS.side, FLAGS.lesions)
        np.save(path, hu)
        rounds = _run("time", path)["rounds"]
        last = rounds[-1]
        bare = _run("bare", path, last["with_liver"])["peak_mib"]
        whole = _run("memory", path)["peak_mib"]
    volume = hu.nbytes / 2**20
    seconds = {key: statistics.median(r[key] for r in rounds) for key in ("bare", "cascade")}
    ratios = sorted(r["cascade"] / r["bare"] for r in rounds)
    of_cpu = statistics.median(r["cascade_cpu"] / r["bare_cpu"] for r in rounds)
    print(
        f"{FLAGS.side} x {FLAGS.side} x {FLAGS.slices} voxels, networks of {FLAGS.image_size} "
        f"pixels and {FLAGS.base_filters} filters, {FLAGS.rounds} rounds; {last['with_liver']} "
        f"slices with liver, {last['lesions']} lesions of {last['lesion_voxels']:,} voxels"
    )
    print(
        "| figure | value |\n| --- | ---: |\n"
        f"| **time over the bare forward passes, median ratio (goal 1.15)** | "
        f"**{statistics.median(ratios):.3f}** |\n"
        f"| **peak memory above that of the model, in int16 volumes (goal 2.5)** | "
        f"**{(whole - bare) / volume:.2f}** |\n"
        f"| bare forward passes, s | {seconds['bare']:.1f} |\n"
        f"| cascade with lesions, s | {seconds['cascade']:.1f} |\n"
        f"| ratio, least to greatest | {ratios[0]:.3f} to {ratios[-1]:.3f} |\n"
        f"| ratio of processor time, median | {of_cpu:.3f} |\n"
        f"| of which lesions from the label map, s | {last['seconds_of_lesions']:.2f} |\n"
        f"| int16 volume, MiB | {volume:.0f} |\n"
        f"| peak of the bare passes (the model), MiB | {bare:.0f} |\n"
        f"| peak of the cascade, the volume included, MiB | {whole:.0f} |\n"
        f"| of which above the model, MiB | {whole - bare:.0f} |"
    )
    return 0


if __name__ == "__main__":
    flags.DEFINE_integer("slices", 200, "Slices of the volume.")
    flags.DEFINE_integer("side", 512, "Rows and columns of the volume.")
    flags.DEFINE_integer("lesions", 40, "Lesions drawn; some touch.")
    flags.DEFINE_integer("image_size", 256, "Side of the networks' input.")
    flags.DEFINE_integer("base_filters", 32, "Channels of the networks' first block.")
    flags.DEFINE_integer("rounds", 5, "Interleaved rounds.", lower_bound=1)
    flags.DEFINE_string("task", None, "Measure this in this process (used by the command).")
    flags.DEFINE_string("volume", None, "With --task: file of the volume.")
    flags.DEFINE_integer("with_liver", 0, "With --task: slices for the lesion network.")
    app.run(main)

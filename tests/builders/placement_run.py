"""Report as JSON on which of two logical CPUs augmentation ran; the second stands for a GPU.

Device names are taken from the partitioned graphs that TensorFlow executed.
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import keras
import tensorflow as tf
from tensorflow.python.eager import context

from liver_tf.model import unet
from liver_tf.model.architecture import Architecture
from liver_tf.pipeline.augmentation import augment
from liver_tf.pipeline.batches import BatchSource, Slices
from liver_tf.training.task import Task
from liver_tf.training.training_step import training_step
from tests.builders.augment_cases import EVERYTHING
from tests.builders.tiny_records import write_set

DEVICE = "/CPU:1"
TASK = Task(100.0, 30.0, (0.5, 1.0, 2.0, 2.0, 2.0), (-160, 240))


def report(on_host: bool) -> dict:
    """Devices that augmented two batches, and hashes of the pixels that the network received."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = write_set(Path(folder), patients=3)
        cases = tuple(entry.case for entry in manifest.cases)
        source = BatchSource(
            Slices(Path(folder), manifest, cases, 32, tuple(range(5))),
            batch_size=3,
            seed=1,
            ranges=EVERYTHING,
            augment_on_host=on_host,
        )
        batches = list(source.epoch(0))
    with tf.device(DEVICE):
        model = unet.build(Architecture(32, 2, 5), 1)
        step = training_step(model, keras.optimizers.Adam(1e-3), TASK)

        @tf.function
        def augmented(images, labels, parameters):
            if parameters:
                return augment.apply(images, labels, parameters, TASK.window)
            return images, labels

        context.context().enable_run_metadata()
        losses = [float(step(*batch)) for batch in batches]
        executed = context.context().export_run_metadata()
        pixels = [augmented(*batch) for batch in batches]
    return {
        "batches": sorted({images.device for images, _, _ in batches}),
        "augmentation_in_step": sorted(_devices_of("_moved", executed)),
        "pixels_on": sorted({images.device for images, _ in pixels}),
        "pixels": [hashlib.sha256(part.numpy().tobytes()).hexdigest() for part in sum(pixels, ())],
        "losses": losses,
    }


def _devices_of(function: str, executed) -> set[str]:
    """Devices that executed the nodes which call this function."""
    return {
        node.device
        for step in executed.function_graphs
        for graph in step.partition_graphs
        for node in graph.node
        if function in node.attr["f"].func.name
    }


if __name__ == "__main__":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(0)
    print(json.dumps(report(sys.argv[1] == "host")))

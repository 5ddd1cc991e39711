"""A tiny exported cascade, and calls of its signatures."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.inference.cascade import Cascade
from tests.builders import tiny_records


@dataclass(frozen=True)
class Exported:
    """A cascade, the folder of its export, and the SavedModel loaded from there."""

    cascade: Cascade
    folder: Path
    loaded: object

    def signature(self, name="serving_default"):
        return self.loaded.signatures[name]


def require_openvino():
    """Skip a test without OpenVINO; its plain import would report to its vendor."""
    if importlib.util.find_spec("openvino") is None:
        pytest.skip("OpenVINO is missing (pip install 'liver_tf[openvino]')")


def draw_slices(count, rows, columns):
    """Slices of HU, float32 [count, rows, columns], with lesions of different types."""
    generator = np.random.default_rng(0)
    drawn = [
        tiny_records.draw_slice(generator, rows, columns, (2, 3, 4, 0)[number % 4])[0]
        for number in range(count)
    ]
    return np.stack(drawn).astype(np.float32)


def call_model(serve, hu, spacing_mm):
    answer = serve(hu=tf.constant(hu), spacing_mm=tf.constant(spacing_mm, tf.float32))
    return {name: value.numpy() for name, value in answer.items()}

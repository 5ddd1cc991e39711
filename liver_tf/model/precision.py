"""The number format in which blocks compute, chosen for this machine by ``auto``.

In half precision the convolutions, the pooling and the inputs and outputs of batch normalisation
are half precision. Weights, moments, normalisation statistics, logits, softmax and loss are float32
in every format, so weights files do not depend on it.
"""

import functools
import time
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from liver_tf.model.precision_settings import AUTO, BFLOAT16, FLOAT32, PRECISIONS

#: Instructions for products of bfloat16, as named in /proc/cpuinfo.
INSTRUCTIONS = ("avx512_bf16", "amx_bf16")

#: Smallest gain in speed that makes ``auto`` choose bfloat16.
WORTH = 1.15

#: Kernels for bfloat16 work on blocks of 16 channels.
LEAST_FILTERS = 16

#: Of the measurement, which needs 0.2 to 0.5 s on one core.
_BATCH, _SIDE, _FILTERS = 8, 32, 64
_ROUNDS, _BUDGET_SECONDS = 12, 0.8


@dataclass(frozen=True)
class Precision:
    """One of ``PRECISIONS``, and why it was chosen."""

    name: str
    reason: str

    def text(self) -> str:
        """``bfloat16 (2.10 times as fast as float32 here, with avx512_bf16)``."""
        return f"{self.name} ({self.reason})"


def choose_precision(wanted: str, base_filters: int) -> Precision:
    """The format for ``--precision`` and a network with ``base_filters``.

    ``auto`` is bfloat16 for networks of at least ``LEAST_FILTERS`` on a processor that has
    instructions for it, if a measurement of less than a second, once per process, shows that it is
    ``WORTH`` the change; otherwise, and with a GPU, it is float32.

    Raises:
      ValueError: ``wanted`` is neither ``auto`` nor one of ``PRECISIONS``.
    """
    if wanted != AUTO:
        return Precision(checked_precision(wanted), "as requested")
    if base_filters < LEAST_FILTERS:
        return Precision(FLOAT32, f"bfloat16 is slower below {LEAST_FILTERS} base filters")
    return _fastest()


def checked_precision(name: str) -> str:
    """``name``; raises ``ValueError`` if it is not one of ``PRECISIONS``."""
    if name not in PRECISIONS:
        raise ValueError(f"precision: expected one of {', '.join(PRECISIONS)}, got {name!r}")
    return name


def precision_of(model: keras.Model) -> str:
    """The format in which the blocks of a network compute."""
    formats = {layer.compute_dtype for layer in model.layers} - {FLOAT32}
    return formats.pop() if formats else FLOAT32


@functools.cache
def _fastest() -> Precision:
    if tf.config.list_logical_devices("GPU"):
        return Precision(FLOAT32, "auto on a GPU")
    instructions = processor_instructions()
    if not instructions:
        return Precision(FLOAT32, "the processor has no bfloat16 instructions")
    gain = bfloat16_gain()
    reason = f"bfloat16 is {gain:.2f} times as fast here, with {' and '.join(instructions)}"
    return Precision(BFLOAT16 if gain >= WORTH else FLOAT32, reason)


def processor_instructions(cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[str, ...]:
    """Those of ``INSTRUCTIONS`` that the processor has; none on systems without ``cpuinfo``."""
    try:
        words = set(cpuinfo.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return ()
    return tuple(name for name in INSTRUCTIONS if name in words)


def bfloat16_gain() -> float:
    """Time in float32 divided by time in bfloat16, of two convolutions like those of a block."""
    generator = np.random.default_rng(0)
    image = generator.normal(size=(_BATCH, _SIDE, _SIDE, _FILTERS)).astype(np.float32)
    kernel = generator.normal(0, 0.1, (3, 3, _FILTERS, _FILTERS)).astype(np.float32)

    def two_convolutions(dtype: tf.DType):
        x, weights = (tf.constant(array, dtype) for array in (image, kernel))

        @tf.function(input_signature=[tf.TensorSpec(x.shape, dtype)], autograph=False)
        def convolve(x):
            for _ in range(2):
                x = tf.nn.relu(tf.nn.conv2d(x, weights, 1, "SAME"))
            return tf.reduce_sum(tf.cast(x, tf.float32))

        return lambda: convolve(x).numpy()

    ways = [two_convolutions(dtype) for dtype in (tf.float32, tf.bfloat16)]
    seconds: list[list[float]] = [[], []]
    started = time.perf_counter()
    while len(seconds[0]) < _ROUNDS and time.perf_counter() - started < _BUDGET_SECONDS:
        for convolve, taken in zip(ways, seconds, strict=True):
            before = time.perf_counter()
            convolve()
            taken.append(time.perf_counter() - before)
    # The shortest times: the first ones include tracing, others the load of the machine.
    return min(seconds[0]) / min(seconds[1])

"""How the arithmetic of training is done: number format, compiler, devices."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import tensorflow as tf

from liver_tf.model.blocks import PRECISIONS
from liver_tf.options import OptionError
from liver_tf.training import determinism
from liver_tf.training.replicas import ONE_DEVICE, OneDevice, make_replicas
from liver_tf.training.training_settings import MULTI_WORKER, ONE, ComputationSettings


@dataclass(frozen=True)
class Computation:
    """Part of a run's identity: other choices give weights that differ in their last bits.

    Attributes:
      precision: ``float32``, or the format in which blocks compute: ``float16`` or ``bfloat16``.
        Weights, moments, logits and the loss stay float32.
      jit_compile: Compile forward pass, backward pass and update into one XLA program.
      replicas: The devices that share each batch.
    """

    precision: str = "float32"
    jit_compile: bool = False
    replicas: OneDevice = ONE_DEVICE

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"precision: expected one of {', '.join(PRECISIONS)}, got {self.precision!r}"
            )
        if self.replicas.count > 1 and self.precision == "float16":
            # Keras checks for overflow before it sums the gradients: one replica may skip a step
            # that the others take.
            raise ValueError(
                "float16 with several replicas is not safe in Keras 3; use bfloat16 (--half_type)"
            )
        if self.replicas.count > 1 and self.jit_compile:
            raise ValueError("--jit_compile works on one device only")

    def identity(self) -> dict:
        """What must be the same when a run is resumed."""
        return {
            "precision": self.precision,
            "jit_compile": self.jit_compile,
            "replicas": self.replicas.count,
        }


def set_up_computation(settings: ComputationSettings, *, dry_run: bool = False) -> Computation:
    """Prepare TensorFlow and the devices; call it before TensorFlow computes anything.

    Args:
      dry_run: Use one device and wait for no other process.

    Raises:
      OptionError: The settings contradict each other on these devices.
    """
    strategy = ONE if dry_run else settings.strategy
    if strategy == MULTI_WORKER:
        print("waiting for the other processes that TF_CONFIG names", file=sys.stderr, flush=True)
    try:
        computation = Computation(settings.precision, settings.jit_compile, make_replicas(strategy))
    except ValueError as error:
        raise OptionError(None, str(error)) from None
    determinism.set_up(settings.deterministic)
    return computation


def augment_on_host(settings: ComputationSettings) -> bool:
    """Whether augmentation runs in ``tf.data``, on the CPU."""
    if settings.augment_on == "auto":
        return not tf.config.list_logical_devices("GPU")
    return settings.augment_on == "host"

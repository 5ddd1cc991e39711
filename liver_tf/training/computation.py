"""How the arithmetic of training is done: numbers, compiler, devices. All of it changes bits."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import keras
import tensorflow as tf

from liver_tf.model.blocks import PRECISIONS
from liver_tf.options import OptionError
from liver_tf.training import determinism, replicas
from liver_tf.training.adam import FusedAdam
from liver_tf.training.replicas import OneDevice
from liver_tf.training.training_settings import MULTI_WORKER, ONE, ComputationSettings


@dataclass(frozen=True)
class Computation:
    """Part of a run's identity.

    Attributes:
      precision: ``float32``, or in what the blocks compute: ``float16`` or ``bfloat16``. Weights,
        moments, logits and the loss stay float32.
      jit_compile: XLA compiles forward pass, backward pass and update into one program.
      replicas: the devices that share a batch.
    """

    precision: str = "float32"
    jit_compile: bool = False
    replicas: OneDevice = field(default_factory=OneDevice)

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"precision: expected one of {', '.join(PRECISIONS)}, got {self.precision!r}"
            )
        if self.replicas.count > 1 and self.precision == "float16":
            # Keras looks for overflow before it adds up the replicas' gradients: one replica may
            # skip a step that the others take.
            raise ValueError(
                "float16 with several replicas is not safe in Keras 3; use bfloat16 (--half_type)"
            )
        if self.replicas.count > 1 and self.jit_compile:
            raise ValueError("--jit_compile works on one device only")

    def identity(self) -> dict:
        """What a run that is gone on with must share."""
        return {
            "precision": self.precision,
            "jit_compile": self.jit_compile,
            "replicas": self.replicas.count,
        }

    def optimiser(self, learning_rate: float = 1e-4) -> keras.Optimizer:
        """A fresh Adam (the paper's); with float16 the loss is scaled against underflow."""
        with self.replicas.scope():
            adam = FusedAdam(learning_rate)
            if self.precision == "float16":
                return keras.optimizers.LossScaleOptimizer(adam)
            return adam


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
        made = Computation(settings.precision, settings.jit_compile, replicas.make(strategy))
    except ValueError as error:
        raise OptionError(None, str(error)) from None
    determinism.set_up(settings.deterministic)
    return made


def augment_on_host(settings: ComputationSettings) -> bool:
    """Whether augmentation runs in ``tf.data``, on the CPU."""
    if settings.augment_on == "auto":
        return not tf.config.list_logical_devices("GPU")
    return settings.augment_on == "host"

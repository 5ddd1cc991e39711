"""How the arithmetic of training is done: number format, compiler, devices, determinism."""

import sys
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from liver_tf import run_files
from liver_tf.model.precision import checked_precision, choose_precision
from liver_tf.model.precision_settings import AUTO, FLOAT16, FLOAT32
from liver_tf.options import OptionError
from liver_tf.training.replicas import ONE_DEVICE, OneDevice, make_replicas
from liver_tf.training.training_settings import MULTI_WORKER, ONE, ComputationSettings


@dataclass(frozen=True)
class Computation:
    """Part of a run's identity: with other choices the weights differ in their last bits.

    Attributes:
      precision: ``float32``, or the format in which blocks compute: ``float16`` or ``bfloat16``.
        Weights, moments, logits and the loss stay float32.
      jit_compile: Compile forward pass, backward pass and update into one XLA program.
      replicas: The devices that share each batch.
    """

    precision: str = FLOAT32
    jit_compile: bool = False
    replicas: OneDevice = ONE_DEVICE

    def __post_init__(self) -> None:
        checked_precision(self.precision)
        if self.replicas.count > 1 and self.precision == FLOAT16:
            # Keras checks for overflow before it sums the gradients, so one replica might skip a
            # step that the others take.
            raise ValueError(
                "float16 with several replicas is not safe in Keras 3; use bfloat16 (--precision)"
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


def set_up_computation(
    settings: ComputationSettings, run: Path, base_filters: int, *, dry_run: bool = False
) -> Computation:
    """Prepare TensorFlow and the devices; call it before TensorFlow computes anything.

    Args:
      run: Folder of the run; a resumed run keeps the precision that ``auto`` chose.
      base_filters: Of the network; ``auto`` depends on it.
      dry_run: Use one device and do not wait for other processes.

    Raises:
      OptionError: The devices do not support the settings.
    """
    strategy = ONE if dry_run else settings.strategy
    if strategy == MULTI_WORKER:
        print("waiting for the other processes in TF_CONFIG", file=sys.stderr, flush=True)
    try:
        replicas = make_replicas(strategy)
        precision = settings.precision
        if precision == AUTO:
            precision = replicas.from_chief(lambda: _automatic_precision(run, base_filters))
        computation = Computation(precision, settings.jit_compile, replicas)
    except ValueError as error:
        raise OptionError(None, str(error)) from None
    set_up_determinism(settings.deterministic)
    return computation


def _automatic_precision(run: Path, base_filters: int) -> str:
    try:
        stored = str(run_files.read_identity(run)["computation"]["precision"])
    except (OSError, ValueError, KeyError, TypeError):
        chosen = choose_precision(AUTO, base_filters)
        print(f"precision: {chosen.text()}", flush=True)
        return chosen.name
    print(f"precision: {stored}, with which this run was started", flush=True)
    return stored


def set_up_determinism(deterministic: bool) -> None:
    """Seed the global generators and, if asked, use only operations with reproducible results.

    All random numbers of the program are functions of the run's seed; the global seed covers
    operations of libraries.
    """
    keras.utils.set_random_seed(0)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def augment_on_host(settings: ComputationSettings) -> bool:
    """Whether augmentation runs in ``tf.data``, on the CPU."""
    if settings.augment_on == "auto":
        return not tf.config.list_logical_devices("GPU")
    return settings.augment_on == "host"

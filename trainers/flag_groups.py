"""Flags that several commands share, in groups; and plain objects made from them.

Only mains read flags. What is made here holds no flag any more.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

from absl import app, flags

from data_prep import augmentation_flags

FLAGS = flags.FLAGS


def define_network_flags() -> None:
    """Sizes of a network that is built from scratch."""
    flags.DEFINE_integer("image_size", 256, "Side of the network's input, a multiple of 16.")
    flags.DEFINE_integer("base_filters", 32, "Channels of the first block.", lower_bound=1)
    flags.DEFINE_float(
        "norm_momentum", 0.99, "Momentum of batch normalisation's moving statistics."
    )


def define_training_flags(*, learning_rate: float, batch_size: int) -> None:
    """The schedule; defaults are the paper's."""
    flags.DEFINE_float("learning_rate", learning_rate, "At the start of a cycle (Adam).")
    flags.DEFINE_integer("batch_size", batch_size, "Slices a step.", lower_bound=1)
    flags.DEFINE_integer("epochs", 80, "At most, per cycle.", lower_bound=1)
    flags.DEFINE_integer(
        "patience", 12, "Epochs without a better validation that end a cycle.", lower_bound=1
    )
    flags.DEFINE_enum(
        "monitor",
        "val_loss",
        ["val_loss", "val_dice"],
        "What decides the best epoch and early stopping.",
    )
    flags.DEFINE_enum(
        "norm",
        "update",
        ["update", "freeze_statistics", "inference"],
        "Batch normalisation of released blocks: statistics move with every batch; stay, while "
        "scale and offset learn; or nothing learns.",
    )
    flags.DEFINE_float("rate_decay", 0.9, "Factor of the learning rate every --decay_epochs.")
    flags.DEFINE_integer("decay_epochs", 2, "Epochs between two decays.", lower_bound=1)
    flags.DEFINE_float("rate_floor", 1e-8, "The learning rate never falls below.")
    flags.DEFINE_integer(
        "seed", 0, "Decides everything random.", lower_bound=0, upper_bound=2**31 - 1
    )


def define_data_flags() -> None:
    """How records become batches."""
    flags.DEFINE_integer(
        "cache_mb",
        2048,
        "Memory for slices at the network's size; a larger set's are read whenever they are due.",
        lower_bound=16,
    )
    flags.DEFINE_float(
        "keep_without_liver",
        1.0,
        "Share of the training slices without liver that an epoch shows, drawn anew each time.",
        lower_bound=0.0,
        upper_bound=1.0,
    )
    flags.DEFINE_float(
        "keep_without_lesion",
        1.0,
        "The same of the training slices with liver and without a lesion.",
        lower_bound=0.0,
        upper_bound=1.0,
    )
    flags.DEFINE_enum(
        "balance",
        "loss",
        ["loss", "resample", "none"],
        "Against rare classes: loss weighs each class by the inverse of its share of pixels; "
        "resample shows slices of each type of lesion, and without one, equally often, all pixels "
        "weighing the same; none does neither.",
    )
    flags.DEFINE_integer(
        "max_repeats",
        10,
        "How often --balance=resample shows one slice in an epoch at most; a type with too few "
        "slices is then shown less often than the others.",
        lower_bound=1,
    )
    flags.DEFINE_enum(
        "augment_on",
        "auto",
        ["auto", "host", "device"],
        "Where augmentation runs; auto: on the accelerator if there is one.",
    )


def define_machine_flags() -> None:
    """What the machine does, apart from the mathematics."""
    flags.DEFINE_boolean(
        "deterministic",
        True,
        "Same arguments, same weights, bit for bit on a CPU; slower on a GPU.",
    )
    flags.DEFINE_boolean(
        "mixed_precision",
        False,
        "Blocks compute in half precision (--half_type); weights, logits and loss stay float32.",
    )
    flags.DEFINE_enum(
        "half_type",
        "float16",
        ["float16", "bfloat16"],
        "With --mixed_precision: float16 runs on every GPU with tensor cores and scales the loss; "
        "bfloat16 needs a younger one (Ampere), and is the one for several replicas.",
    )
    flags.DEFINE_boolean("jit_compile", False, "XLA compiles the step; on one device.")
    flags.DEFINE_enum(
        "strategy",
        "one",
        ["one", "mirrored", "multi_worker"],
        "Devices that share each batch: one; the GPUs of this machine; those of all processes "
        "named in TF_CONFIG, each started with this command. See docs/fine-tuning.md.",
    )
    flags.DEFINE_integer(
        "pictures",
        4,
        "Validation slices outlined in TensorBoard when the validation improves; 0: none.",
        lower_bound=0,
    )


def check_finite() -> None:
    """Refuse NaN and infinity in any flag: absl's own bounds let them through."""
    for name in FLAGS:
        value = FLAGS[name].value
        if isinstance(value, float) and not math.isfinite(value):
            raise app.UsageError(f"--{name}: expected a finite number, got {value}")


def no_positional(argv: list[str]) -> None:
    """All arguments are flags; a stray word is a mistyped one."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument {argv[1]!r}: all arguments are flags, --name=value")


def cycle_defaults():
    """``CycleSettings`` with nothing fixed, as the flags say."""
    from liver_tf.training.protocol import CycleSettings

    try:
        return CycleSettings(
            fixed=(),
            learning_rate=FLAGS.learning_rate,
            epochs=FLAGS.epochs,
            batch_size=FLAGS.batch_size,
            patience=FLAGS.patience,
            monitor=FLAGS.monitor,
            norm=FLAGS.norm,
            decay=FLAGS.rate_decay,
            decay_epochs=FLAGS.decay_epochs,
            floor=FLAGS.rate_floor,
        )
    except ValueError as error:
        raise app.UsageError(str(error)) from None


def computation():
    """``Computation`` as the flags say; to be called before TensorFlow computes anything.

    A plan alone needs no other devices and waits for no other process.
    """
    from liver_tf.training import replicas
    from liver_tf.training.computation import Computation

    if FLAGS.jit_compile and FLAGS.deterministic:
        # TensorFlow has no deterministic gradient of max pooling in XLA, not on a CPU either.
        raise app.UsageError("--jit_compile: also give --nodeterministic, which it cannot be with")
    if FLAGS.strategy == replicas.MULTI_WORKER and not FLAGS.dry_run:
        print("waiting for the other processes that TF_CONFIG names", file=sys.stderr, flush=True)
    try:
        return Computation(
            FLAGS.half_type if FLAGS.mixed_precision else "float32",
            FLAGS.jit_compile,
            replicas.make(replicas.ONE if FLAGS.dry_run else FLAGS.strategy),
        )
    except ValueError as error:
        raise app.UsageError(str(error)) from None


def sampling():
    """``Sampling`` as the flags say."""
    from liver_tf.pipeline.sampling import MAX_REPEATS, Sampling

    resample = FLAGS.balance == "resample"
    return Sampling(
        FLAGS.keep_without_liver,
        FLAGS.keep_without_lesion,
        resample,
        # Else it decides nothing, and a run may be gone on with under any.
        FLAGS.max_repeats if resample else MAX_REPEATS,
    )


def job_settings(label_set) -> dict:
    """What a ``Job`` takes as the flags of these groups say, whatever is trained."""
    return {
        "ranges": augmentation_flags.ranges(label_set),
        "sampling": sampling(),
        "seed": FLAGS.seed,
        "cache_mb": FLAGS.cache_mb,
        "augment_on_host": augment_on_host(),
        "deterministic": FLAGS.deterministic,
    }


def augment_on_host() -> bool:
    """Whether augmentation runs in ``tf.data``, on the CPU."""
    import tensorflow as tf

    if FLAGS.augment_on == "auto":
        return not tf.config.list_logical_devices("GPU")
    return FLAGS.augment_on == "host"


def whole_numbers(flag: str) -> list[int]:
    """The numbers of a list flag, each once; raises ``UsageError`` for anything else."""
    try:
        found = [int(value) for value in FLAGS[flag].value]
    except ValueError:
        found = []
    if not found or min(found) < 0:
        raise app.UsageError(f"--{flag}: expected whole numbers like 0,1,2")
    return list(dict.fromkeys(found))


def run(
    main: Callable[[list[str]], int], define: Callable[[], None], *, tensorflow: bool = True
) -> None:
    """Define flags, parse them, run ``main``; a refusal becomes one line and exit status 1.

    ``tensorflow``: whether the command computes with it.
    """

    def guarded(argv: list[str]) -> int:
        no_positional(argv)
        check_finite()
        from liver_tf.disk_full import disk_full_as_refusal
        from liver_tf.quiet_tensorflow import import_tensorflow
        from liver_tf.refusals import Refusal, TrainingStopped

        if tensorflow:
            import_tensorflow()
        try:
            with disk_full_as_refusal():
                return main(argv)
        except Refusal as refusal:
            print(refusal.text_with_path(), file=sys.stderr)
        except TrainingStopped as stopped:
            print(f"training stopped: {stopped}", file=sys.stderr)
        return 1

    define()
    # So that --help shows the flags of these groups as the command's own; absl names the main
    # module after the program.
    for group in (__name__, augmentation_flags.__name__):
        for flag in FLAGS.get_key_flags_for_module(group):
            FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    app.run(guarded)

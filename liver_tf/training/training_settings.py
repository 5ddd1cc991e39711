"""Everything that ``pretrain`` and ``finetune`` can be asked for. Needs no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from liver_tf.default_paths import FINETUNE_RUNS, FOLDS_FILE, LESION_RUN, ROI_RECORDS
from liver_tf.model.architecture import Architecture
from liver_tf.model.blocks import HALF_PRECISIONS
from liver_tf.options import REQUIRED, OptionError, Options, option, part
from liver_tf.pipeline.augmentation.ranges import Augmentation
from liver_tf.pipeline.sampling import BalancedSampling
from liver_tf.run_files import HOLD_OUT, INNER, TEST_FOLD, VALIDATIONS, fold_name, run_folder
from liver_tf.training.cycle_settings import CycleSettings
from liver_tf.training.protocol import STARTS, Protocol, parse_cycle

#: Devices that share each batch.
ONE, MIRRORED, MULTI_WORKER = STRATEGIES = ("one", "mirrored", "multi_worker")


@dataclass(frozen=True, kw_only=True)
class ComputationSettings(Options):
    """How the arithmetic is done: numbers, compiler, devices."""

    deterministic: bool = option(
        True, "Same arguments, same weights, bit for bit on a CPU; slower on a GPU."
    )
    mixed_precision: bool = option(
        False,
        "Blocks compute in half precision (--half_type); weights, logits and loss stay float32.",
    )
    half_type: str = option(
        "float16",
        "With --mixed_precision. float16: for every GPU with tensor cores; the loss is scaled. "
        "bfloat16: needs an Ampere GPU or newer; required with several replicas.",
        choices=HALF_PRECISIONS,
    )
    jit_compile: bool = option(
        False, "Compile the training step with XLA; on one device, with --nodeterministic."
    )
    strategy: str = option(
        "one",
        "Devices that share each batch. one: a single device. mirrored: the GPUs of this machine. "
        "multi_worker: those of all processes named in TF_CONFIG, each started with this command; "
        "see docs/fine-tuning.md.",
        choices=STRATEGIES,
    )
    augment_on: str = option(
        "auto",
        "Where augmentation runs. auto: on the accelerator if there is one.",
        choices=("auto", "host", "device"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.jit_compile and self.deterministic:
            # TensorFlow has no deterministic gradient of max pooling in XLA, not on a CPU either.
            raise OptionError("jit_compile", "requires --nodeterministic")

    @property
    def precision(self) -> str:
        """What the blocks compute in, one of ``blocks.PRECISIONS``."""
        return self.half_type if self.mixed_precision else "float32"


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(Options):
    """What pre-training and fine-tuning have in common.

    Attributes:
      schedule: Settings of every cycle that does not override them.
    """

    records: Path
    schedule: CycleSettings = part(CycleSettings)
    sampling: BalancedSampling = part(BalancedSampling)
    augmentation: Augmentation = part(Augmentation)
    computation: ComputationSettings = part(ComputationSettings)
    seed: int = option(0, "Seed of everything random.", low=0, high=2**31 - 1)
    cache_mb: int = option(
        2048,
        "Memory in MiB for slices at the network's size. The slices of a larger set are read again "
        "in every epoch.",
        low=16,
    )
    pictures: int = option(
        4,
        "Validation slices drawn in TensorBoard when the validation result improves; 0 draws none.",
        low=0,
    )


@dataclass(frozen=True, kw_only=True)
class PretrainSettings(TrainingSettings):
    """Options of ``pretrain``. Learning rate and batch size are those of the paper."""

    network: str = option(REQUIRED, "The network to train.", choices=("liver", "lesion"))
    records: Path = option(REQUIRED, "Record set to train on.")
    run: Path = option(REQUIRED, "Folder of the run.")
    validation_share: float = option(
        0.115, "Share of the patients that validate (paper: 15 of 130).", low=0, high=0.9
    )
    validate_on_training: bool = option(
        False,
        "Train and validate on all cases, even a single one: checks that a network can fit the "
        "data, and nothing else.",
    )
    dry_run: bool = option(False, "Print the plan and stop.")
    schedule: CycleSettings = part(CycleSettings, learning_rate=1e-4, batch_size=6)
    architecture: Architecture = part(Architecture)


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings(TrainingSettings):
    """Options of ``finetune``. Learning rate and batch size are those of the paper."""

    protocol: str = option("custom", "Name of the protocol, and of the run's folder.")
    start: str = option(
        "pretrained",
        "Weights before the first cycle. scratch: new weights in a network with the sizes of the "
        "pre-trained one, for comparison.",
        choices=STARTS,
    )
    head: str = option(
        "fresh",
        "The new last layer. fresh: new weights, as in the paper. old: from the columns of the old "
        "layer (each class from the same class, a lesion type that is new from 'lesion').",
        choices=("fresh", "old"),
    )
    cycle: tuple[str, ...] = option(
        (),
        "A cycle: its frozen blocks (none; enc1-enc3; enc1,dec4), then optional settings "
        "(learning_rate=1e-5 epochs=20 batch_size=2 patience=5 norm=inference).",
        repeated=True,
    )
    records: Path = option(
        ROI_RECORDS,
        "Record set to train on: ROIs for a lesion network, whole slices for a liver network.",
    )
    folds_file: Path | None = option(
        FOLDS_FILE,
        "Folds of the patients. Empty: a share of the patients validates and none is left for a "
        "test, for records without folds.",
        empty_is_none=True,
    )
    fold: int = option(0, "The fold that is left for the test.", low=0)
    validation: str = option(
        INNER,
        "Patients that decide on early stopping. inner: set aside from training, so that the test "
        "fold is evaluated once. test_fold: the test fold itself, to reproduce looser practice. No "
        "patient is set aside then, the run is written to fold<F>_validated_on_test, and reports "
        "warn in red.",
        choices=VALIDATIONS,
    )
    validation_share: float = option(
        0.2, "Share of the patients that validate if there are no folds.", low=0, high=0.9
    )
    pretrained: Path = option(LESION_RUN, "Run of the pre-trained network.")
    runs: Path = option(
        FINETUNE_RUNS,
        "The run is written to fold<F>/seed<S>/<protocol> below this folder (hold_out without "
        "folds).",
    )
    allow_pairs: Path | None = option(
        None, "File of pairs of cases that may have similar slices: two names on each line."
    )
    accept_unknown_training: bool = option(
        False,
        "Continue if the pre-trained run, or the liver network that cut the ROIs, does not record "
        "its training data: the leakage guard cannot compare them then.",
    )
    dry_run: bool = option(False, "Print the plan and stop before any data are read.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.validation == TEST_FOLD and self.folds_file is None:
            raise OptionError("validation", f"{self.validation} needs the folds of --folds_file")

    def parsed_protocol(self) -> Protocol:
        """The protocol that ``protocol``, ``start`` and ``cycle`` describe.

        Raises:
          OptionError: It has no cycle, or one that cannot be read.
        """
        try:
            cycles = tuple(parse_cycle(line, self.schedule) for line in self.cycle)
            return Protocol(self.protocol, self.start, cycles)
        except ValueError as error:
            raise OptionError(None, str(error)) from None

    @property
    def run(self) -> Path:
        """The folder of the run."""
        place = HOLD_OUT
        if self.folds_file is not None:
            place = fold_name(self.fold, on_test=self.validation == TEST_FOLD)
        return run_folder(self.runs, place, self.seed, self.protocol)

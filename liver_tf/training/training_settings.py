"""Options of ``pretrain`` and ``finetune``. Does not import TensorFlow."""

import contextlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from liver_tf.bounded_files import read_json
from liver_tf.bundled_networks import LESION
from liver_tf.default_paths import FINETUNE_RUNS, FOLDS, FOLDS_FILE, LESION_RUN, ROI_RECORDS
from liver_tf.model.architecture import Architecture
from liver_tf.model.precision_settings import FLOAT16, FLOAT32, PRECISIONS, precision_option
from liver_tf.options import REQUIRED, OptionError, Options, missing_input, option, part
from liver_tf.pipeline.augmentation.ranges import Augmentation
from liver_tf.pipeline.sampling import BalancedSampling
from liver_tf.run_files import (
    DESCRIPTION,
    HOLD_OUT,
    INNER,
    TEST_FOLD,
    VALIDATIONS,
    WEIGHTS,
    fold_name,
    run_folder,
)
from liver_tf.training.cycle_settings import CycleSettings
from liver_tf.training.loss_settings import NONE, LossSettings
from liver_tf.training.protocol import STARTS, Protocol, parse_cycle

#: Data whose liver HU standardise the input in fine-tuning.
TRAINING, PRETRAINING = STANDARDISATIONS = ("training", "pretrained")
#: Devices that share each batch.
ONE, MIRRORED, MULTI_WORKER = STRATEGIES = ("one", "mirrored", "multi_worker")


@dataclass(frozen=True, kw_only=True)
class ComputationSettings(Options):
    """How the arithmetic is done: numbers, compiler, devices."""

    deterministic: bool = option(
        True, "Reproducible weights, on a CPU bit for bit; slower on a GPU."
    )
    precision: str = precision_option(
        FLOAT32,
        "A resumed run keeps what auto chose. float16: the loss is scaled; one replica only. "
        "Weights, moments, logits and loss are float32 in every format.",
    )
    mixed_precision: bool | None = option(
        None, "Replaced by --precision: the same as --precision=HALF_TYPE (default float16)."
    )
    half_type: str | None = option(
        None, "Replaced by --precision; see --mixed_precision.", choices=PRECISIONS[1:]
    )
    jit_compile: bool = option(
        False, "Compile the training step with XLA; requires one device and --nodeterministic."
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
            # XLA has no deterministic gradient of max pooling, not even on a CPU.
            raise OptionError("jit_compile", "requires --nodeterministic")
        if self.mixed_precision is not None or self.half_type is not None:
            self._replace_former_flags()

    def _replace_former_flags(self) -> None:
        precision = self.precision
        if self.mixed_precision:
            precision = self.half_type or FLOAT16
            if self.precision not in (FLOAT32, precision):
                raise OptionError("precision", "leave out --mixed_precision and --half_type")
        print(
            "note: --mixed_precision and --half_type will be removed; instead use "
            f"--precision={precision}",
            file=sys.stderr,
        )
        for name, value in (
            ("precision", precision),
            ("mixed_precision", None),
            ("half_type", None),
        ):
            object.__setattr__(self, name, value)


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(Options):
    """Options that pre-training and fine-tuning have in common.

    Attributes:
      schedule: Settings of every cycle that does not override them.
    """

    records: Path
    schedule: CycleSettings = part(CycleSettings)
    sampling: BalancedSampling = part(BalancedSampling)
    loss: LossSettings = part(LossSettings)
    augmentation: Augmentation = part(Augmentation)
    computation: ComputationSettings = part(ComputationSettings)
    seed: int = option(0, "Seed of all random numbers.", low=0, high=2**31 - 1)
    cache_mb: int = option(
        2048,
        "Memory in MiB for resampled slices. If they do not fit, they are read again in every "
        "epoch.",
        low=16,
    )
    pictures: int = option(
        4,
        "Validation slices drawn in TensorBoard when the validation result improves; 0 draws none.",
        low=0,
    )

    def resolved_loss(self) -> LossSettings:
        """The loss of a run: class weights are equal unless ``--balance=loss``."""
        if self.sampling.weighted_loss:
            return self.loss
        return replace(self.loss, class_weights=NONE)


@dataclass(frozen=True, kw_only=True)
class PretrainSettings(TrainingSettings):
    """Options of ``pretrain``. Learning rate and batch size are those of the paper."""

    network: str = option(REQUIRED, "The network to train.", choices=("liver", "lesion"))
    records: Path = option(REQUIRED, "Record set to train on.")
    run: Path = option(REQUIRED, "Folder of the run.")
    validation_share: float = option(
        0.115, "Share of validation patients (paper: 15 of 130).", low=0, high=0.9
    )
    validate_on_training: bool = option(
        False,
        "Train and validate on all cases, even a single one, to check that a network can fit the "
        "data.",
    )
    dry_run: bool = option(False, "Print the plan and exit. Needs no records.")
    schedule: CycleSettings = part(CycleSettings, learning_rate=1e-4, batch_size=6)
    architecture: Architecture = part(Architecture)

    def missing_inputs(self) -> list[str]:
        """The flags of inputs that do not exist, with their values."""
        from liver_tf.records.manifest import MANIFEST_NAME

        return missing_input("records", self.records, MANIFEST_NAME)


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings(TrainingSettings):
    """Options of ``finetune``. Learning rate and batch size are those of the paper."""

    protocol: str = option("custom", "Name of the protocol, and of the run's folder.")
    start: str = option(
        "pretrained",
        "Initial weights. scratch: new weights in the architecture of the pre-trained network, for "
        "comparison.",
        choices=STARTS,
    )
    head: str = option(
        "fresh",
        "Initial weights of the last layer. fresh: new, as in the paper. old: those of the "
        "pre-trained layer (each class from the same class, new lesion types from 'lesion'), "
        "adapted to the class weights.",
        choices=("fresh", "old"),
    )
    standardisation: str = option(
        TRAINING,
        "Mean and standard deviation of liver HU by which the input is standardised. training: of "
        "the training cases, as in the paper. pretrained: those of the pre-trained network, to "
        "which its weights are adapted.",
        choices=STANDARDISATIONS,
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
        "Folds of the patients. Empty for records without folds: --validation_share of the "
        "patients is used for validation, and there are no test patients.",
        empty_is_none=True,
    )
    fold: int = option(0, "The test fold.", low=0)
    validation: str = option(
        INNER,
        "Patients for early stopping. inner: set aside from training, so that the test fold is "
        "evaluated once. test_fold: those of the test fold, a common but biased practice; the run "
        "is written to fold<F>_validated_on_test, and reports mark it in red.",
        choices=VALIDATIONS,
    )
    validation_share: float = option(
        0.2, "Share of validation patients if --folds_file is empty.", low=0, high=0.9
    )
    pretrained: Path = option(
        LESION_RUN,
        "Run of the pre-trained network, or bundled: the lesion network in the package, which "
        "learned from computed phantoms only (bundled/liver: the liver network).",
        bundled=LESION,
    )
    runs: Path = option(
        FINETUNE_RUNS,
        "Folder of all runs. The run is written to fold<F>/seed<S>/<protocol> in it (without "
        "folds: hold_out/...).",
    )
    allow_pairs: Path | None = option(
        None, "File of pairs of cases that may have similar slices: two pseudonyms per line."
    )
    accept_unknown_training: bool = option(
        False,
        "Continue if the training data of the pre-trained run, or of the liver network that cut "
        "the ROIs, are unknown, so that the leakage guard cannot check them.",
    )
    dry_run: bool = option(
        False,
        "Print the plan and exit before reading any data. Records and a pre-trained run that do "
        "not exist yet are assumed, and the plan states it.",
    )
    base_filters: int | None = option(
        None,
        "With --dry_run: channels of the first block of the pre-trained network, instead of those "
        f"of --pretrained (without such a run: {Architecture.base_filters}).",
        low=1,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.validation == TEST_FOLD and self.folds_file is None:
            raise OptionError("validation", f"{self.validation} needs the folds of --folds_file")
        if self.base_filters is not None and not self.dry_run:
            raise OptionError("base_filters", "is for --dry_run; a run takes those of --pretrained")

    def parsed_protocol(self) -> Protocol:
        """The protocol; raises ``OptionError`` if a cycle is missing or cannot be parsed."""
        try:
            cycles = tuple(parse_cycle(line, self.schedule) for line in self.cycle)
            return Protocol(self.protocol, self.start, cycles)
        except ValueError as error:
            raise OptionError(None, str(error)) from None

    def check_complete(self) -> None:
        super().check_complete()
        self.parsed_protocol()
        if self.folds_file is None:
            return
        folds, why = self.fold + 1, ""
        if not self.folds_file.exists():
            folds, why = FOLDS, f" ({FOLDS} folds are assumed; {self.folds_file} does not exist)"
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):  # refused later
            folds = len(read_json(self.folds_file)["folds"])
        self.check_fold(folds, why)

    def check_fold(self, folds: int, why: str = "") -> None:
        """Raise ``OptionError`` unless there is such a fold."""
        if self.fold >= folds:
            raise OptionError("fold", f"expected 0 to {folds - 1}, found {self.fold}{why}")

    def missing_inputs(self) -> list[str]:
        """The flags of inputs that do not exist, with their values."""
        from liver_tf.records.manifest import MANIFEST_NAME

        return [
            *missing_input("records", self.records, MANIFEST_NAME),
            *(missing_input("folds_file", self.folds_file) if self.folds_file else []),
            *missing_input("pretrained", self.pretrained, DESCRIPTION, WEIGHTS),
        ]

    @property
    def run(self) -> Path:
        """The folder of the run."""
        place = HOLD_OUT
        if self.folds_file is not None:
            place = fold_name(self.fold, on_test=self.validation == TEST_FOLD)
        return run_folder(self.runs, place, self.seed, self.protocol)

"""Options of the order study. Needs no TensorFlow."""

from dataclasses import dataclass
from pathlib import Path

from liver_tf.options import REQUIRED, OptionError, Options, option, part
from liver_tf.studies.order.order_arms import EPOCH_STEP, GROUPS
from liver_tf.studies.study_settings import EngineSettings


@dataclass(frozen=True, kw_only=True)
class OrderStudySettings(Options):
    """Options of the order study."""

    folder: Path = option(Path("order_study"), "Output folder of the study: data, runs and report.")
    flag_files: Path = option(
        Path("flags/order"), "Folder with lesion.flags and finetune.flags, which all arms share."
    )
    replicates: int = option(
        16, "Replicates of the primary arms; each has a new training cohort and a new seed.", low=2
    )
    secondary_replicates: int = option(
        8, "Replicates of the secondary arms: the first ones of the primary arms.", low=0
    )
    size_replicates: int = option(
        8, "Replicates of the primary arms with each of --other_patients.", low=0
    )
    cohorts: int = option(
        24, "Training cohorts to generate: the upper limit of --replicates.", low=2
    )
    patients: int = option(96, "Training patients of a replicate.", low=4)
    other_patients: tuple[int, ...] = option(
        (12, 48), "Other numbers of training patients: divisors of --patients.", low=4
    )
    test_patients: int = option(500, "Patients of the test cohort.", low=1)
    lits_volumes: int = option(160, "Volumes for pre-training.", low=2)
    lits_slices: int = option(16, "Slices per volume.")
    matrix: int = option(192, "Rows and columns of an image.")
    epochs: int = option(
        EPOCH_STEP,
        f"Epochs of an arm with --patients patients, a multiple of {EPOCH_STEP}. With fewer "
        "patients there are more epochs, for the same number of steps.",
        low=EPOCH_STEP,
    )
    margin: float = option(0.02, "Margin of equivalence, for Dice2 and Accuracy.", above=0)
    earlier_runs: Path | None = option(
        None,
        "order_runs.csv of an earlier study with the same settings (not checked). The report "
        "includes its runs; a cell is skipped if the file contains all its runs.",
    )
    report_only: bool = option(False, "Write the report of the finished runs, then exit.")
    list_cells: bool = option(
        False,
        "Print each cell (a group of arms of one replicate) and its state, then exit.",
        flag="list",
    )
    engine: EngineSettings = part(EngineSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs % EPOCH_STEP:
            raise OptionError("epochs", f"expected a multiple of {EPOCH_STEP}, got {self.epochs}")
        if any(self.patients % number for number in self.other_patients):
            raise OptionError("other_patients", f"expected divisors of {self.patients}")
        if self.patients in self.other_patients:
            raise OptionError(
                "other_patients", f"must not contain {self.patients}, the value of --patients"
            )
        if self.cohorts < self.most_replicates:
            raise OptionError("cohorts", f"expected at least {self.most_replicates}")

    @property
    def most_replicates(self) -> int:
        """The largest number of replicates of any arm."""
        return max(self.replicates, self.secondary_replicates, self.size_replicates)

    @property
    def sizes(self) -> tuple[int, ...]:
        """All numbers of training patients, that of the main study first."""
        return (self.patients, *self.other_patients)

    def fold(self, patients: int, replicate: int) -> int:
        """Number of the fold that trains on ``patients`` of a replicate's cohort."""
        return self.sizes.index(patients) * self.cohorts + replicate

    def epochs_of(self, patients: int) -> int:
        """Epochs of an arm, so that the number of steps does not depend on the patients."""
        return self.epochs * self.patients // patients


@dataclass(frozen=True, kw_only=True)
class OrderCellSettings(Options):
    """Options of a cell: a group of arms of one replicate."""

    folder: Path = option(REQUIRED, "Folder of the order study.")
    flag_files: Path = option(REQUIRED, "Folder of flag files of the order study.")
    group: str = option(REQUIRED, "Group of arms to train.", choices=GROUPS)
    replicate: int = option(REQUIRED, "Number of the replicate, and seed of its runs.", low=0)
    fold: int = option(REQUIRED, "Fold of the replicate.", low=0)
    epochs: int = option(REQUIRED, "Epochs of an arm.", low=EPOCH_STEP)

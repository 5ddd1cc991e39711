"""The options of the phantom; ``PhantomPlan`` determines its files byte for byte."""

from dataclasses import dataclass
from pathlib import Path

from liver_tf.options import REQUIRED, Options, option, part
from liver_tf.refusals import Refusal

#: Patients and volumes of a cohort are numbered from here. Everything drawn depends on the seed and
#: the number, so a test cohort shares no patient with any training cohort, whatever the seeds.
FIRST_NUMBER = {"training": 0, "test": 10_000}

#: The patients of ``--test_patients``, one per line.
TEST_PATIENTS = "sheba/test_patients.txt"

#: The anatomy of the first version, and one with more variation and fuller bellies.
PLAIN, VARIED = ANATOMIES = ("plain", "varied")


@dataclass(frozen=True)
class PhantomPlan(Options):
    """Arguments that determine the files."""

    seed: int = option(0, "Seed of all random numbers.")
    lits_volumes: int = option(12, "Number of LiTS-like volumes.")
    lits_slices: int = option(
        24, "Slices per volume. They always cover the liver, so fewer slices are thicker."
    )
    lits_first: int = option(
        0,
        "Number of the first volume, added to that of the cohort, so that folders can be converted "
        "together.",
        former=0,
    )
    patients: int = option(140, "Patients in the typed set; 140 give the paper's 332 slices.")
    test_patients: int = option(
        0,
        "Patients of the test cohort in addition to --patients, in the same CSV; "
        "sheba/test_patients.txt lists them for liver-tf build_tfrecords.",
        former=0,
    )
    neighbours: int = option(
        0,
        "Unlabelled slices next to every typed slice, above and below in turn, 1.25 to 5 mm apart; "
        "for liver-tf augment_anatomically.",
        former=0,
        high=8,
    )
    matrix: int = option(512, "Rows and columns of an image.")
    cohort: str = option(
        "training",
        "test: patients and volumes numbered from 10000. No training cohort, of any seed, contains "
        "one of them.",
        choices=tuple(FIRST_NUMBER),
        former="training",
    )
    anatomy: str = option(
        PLAIN,
        "plain: bodies and livers of usual shape. varied: also small, large, resected and nodular "
        "livers, large spleens, packed bowel, thin walls with ribs, fluid in belly and chest, any "
        "contrast phase, bodies 240 to 460 mm wide, and slices from pelvis to chest.",
        choices=ANATOMIES,
        former=PLAIN,
    )
    tissues: bool = option(
        False,
        "Write a tissue map of every LiTS-like volume, tissues-N.nii.gz, from which training can "
        "draw images.",
        former=False,
    )

    @property
    def first(self) -> int:
        """Number of the first patient."""
        return FIRST_NUMBER[self.cohort]

    @property
    def volumes(self) -> range:
        """Numbers of the volumes."""
        first = self.first + self.lits_first
        return range(first, first + self.lits_volumes)

    def __post_init__(self) -> None:
        super().__post_init__()
        limits = {"seed": 0, "lits_volumes": 0, "lits_slices": 8, "matrix": 64}
        limits |= {"patients": 0, "test_patients": 0, "lits_first": 0, "neighbours": 0}
        for name, least in limits.items():
            if getattr(self, name) < least:
                raise Refusal(
                    "phantom-argument",
                    None,
                    expected=f"--{name} of at least {least}",
                    found=str(getattr(self, name)),
                    remedy="Use a larger value.",
                )
        for name in ("lits_volumes", "patients"):
            more = self.lits_first if name == "lits_volumes" else 0
            if getattr(self, name) + more > FIRST_NUMBER["test"]:
                raise Refusal(
                    "phantom-argument",
                    None,
                    expected=f"--{name} of at most {FIRST_NUMBER['test']}",
                    found=str(getattr(self, name)),
                    remedy="Write several folders with different seeds.",
                )
        if self.test_patients and self.cohort == "test":
            raise Refusal(
                "phantom-argument",
                None,
                expected="--test_patients with --cohort=training",
                found="--cohort=test",
                remedy="Omit one of them.",
            )
        if self.matrix > 1024 or self.matrix % 2:
            raise Refusal(
                "phantom-argument",
                None,
                expected="an even --matrix of at most 1024",
                found=str(self.matrix),
                remedy="Scanners use 512; 256 and 128 are faster.",
            )


@dataclass(frozen=True, kw_only=True)
class PhantomSettings(Options):
    """Options of writing a phantom folder."""

    output: Path = option(REQUIRED, "Folder to write to.")
    plan: PhantomPlan = part(PhantomPlan)
    workers: int = option(1, "Number of processes; it does not affect the files.")

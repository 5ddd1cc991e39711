"""The preset study: the paper's and the recommended settings on one test cohort of phantoms.

The paper's preset trains a liver network and a lesion network on volumes without types; the
recommended one starts from the networks in the package, as a hospital would. Both are fine-tuned
with several seeds and evaluated on the same test cohort, also as an ensemble of the seeds. In the
paper's preset every cycle of a protocol has its own epochs; in the recommended one all cycles share
them. The ablation repeats the fine-tuning with the paper's settings and replaces them, step by
step, by the recommended ones. ``preset_report`` puts everything side by side.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from liver_tf.atomic_files import write_text
from liver_tf.command_line.flag_files import read_flag_file
from liver_tf.command_line.flags_of_options import parse
from liver_tf.command_line.invocation import show_next
from liver_tf.options import Options, option
from liver_tf.phantom.phantom_plan import PLAIN, TEST_PATIENTS, PhantomPlan
from liver_tf.run_files import fold_name, run_folder
from liver_tf.statistics.resample_count import SAMPLES
from liver_tf.studies.command_chain import ChainStep, run_chain
from liver_tf.studies.finetune_and_evaluate import LesionRunSettings
from liver_tf.studies.phantom_study import (
    DATA_LABEL,
    conversion_steps,
    phantom_step,
    pretraining_steps,
    roi_step,
)
from liver_tf.studies.protocol_files import read_protocol

PAPER, RECOMMENDED = PRESETS = ("paper", "recommended")

#: The networks of the package, where a run is expected.
BUNDLED = "bundled"

#: The protocol of the ablation: one cycle, nothing frozen.
ABLATED = "no_freezing"

#: Flags of a run by which a preset decides, in addition to its flag file.
_DECISION = {PAPER: ("--nopostprocessing",), RECOMMENDED: ()}

#: The ablation after the paper's preset, in this order: name of a step -> flags of the fine-tuning
#: that take their recommended values from this step on. What is in no step changes in the last one,
#: which is the recommended preset.
STEPS: dict[str, tuple[str, ...]] = {
    "pretraining": (),
    "decision": ("postprocessing",),
    "schedule": (
        *("batch_size", "epochs", "patience", "monitor"),
        *("learning_rate", "learning_rate_schedule", "warmup_epochs"),
    ),
    "loss": ("class_weights", "dice_weight"),
    "types": ("type_weight",),
    "augmentation": ("rotation_degrees", "zoom", "elastic"),
    "average": ("weight_average",),
    "start": ("head", "standardisation"),
}


@dataclass(frozen=True, kw_only=True)
class PresetStudySettings(Options):
    """Options of the preset study."""

    folder: Path = option(Path("preset_study"), "Folder for everything that the study writes.")
    presets: Path = option(
        Path("flags"),
        "Folder with paper/liver.flags, paper/lesion.flags, and finetune.flags in paper/ and "
        "recommended/.",
    )
    protocols: tuple[str, ...] = option(
        (ABLATED, "hier_unfreeze"), f"Protocols of both presets; {ABLATED} is needed."
    )
    seeds: tuple[int, ...] = option(
        (0, 1, 2), "Training seeds, of which ensembles are made.", low=0
    )
    ablation: bool = option(True, "Train and evaluate the steps between both presets.")
    patients: int = option(PhantomPlan.patients, "Typed patients for fine-tuning.")
    test_patients: int = option(300, "Typed patients of the test cohort.", low=1)
    lits_volumes: int = option(120, "Volumes for the pre-training of the paper's preset.")
    lits_slices: int = option(12, "Slices per volume.")
    matrix: int = option(256, "Rows and columns of an image.")
    anatomy: str = option(PLAIN, "As for liver-tf phantom.")
    image_size: int = option(
        128, "Rows and columns of the networks' input in the paper's preset; as in the package."
    )
    base_filters: int = option(
        16, "Filters of the networks' first block in the paper's preset; as in the package."
    )
    most_epochs: int | None = option(
        None, "Maximum number of epochs of every training, for a short trial.", low=1
    )
    workers: int = option(
        2, "Number of phantoms, and of fine-tuning runs, processed in parallel.", low=1
    )
    samples: int = option(SAMPLES, "Number of bootstrap resamples.", low=100)


@dataclass(frozen=True)
class StudyArm:
    """One row of the ablation, or a protocol of a preset.

    Attributes:
      name: of the protocol, and of the runs' folders.
      study: folder of ``trainers.reproduce``.
      pretrained: folder with ``runs/liver`` and ``runs/lesion``; None for those in the package.
      changed: flags that differ from the previous arm of the ablation.
    """

    name: str
    study: Path
    pretrained: Path | None
    changed: tuple[str, ...] = ()

    def runs(self, seeds: Sequence[int]) -> list[Path]:
        """The folder of each seed's run."""
        from liver_tf.results.study_inventory import FINETUNE

        fold = fold_name(0, on_test=False)
        return [run_folder(self.study / FINETUNE, fold, seed, self.name) for seed in seeds]


def run_preset_study(study: PresetStudySettings) -> None:
    """Run all steps that are not done, then write the report that compares the presets.

    Raises:
      OptionError: a flag file is missing or has an unknown flag.
    """
    steps = preset_study_steps(study)
    ran = run_chain(steps, study.folder, "the study")
    from liver_tf.studies.preset_report import write_preset_report

    report = write_preset_report(study, study.folder / "report")
    reports = [f"{study.folder}/{preset}/study/report/report.html" for preset in PRESETS]
    print(f"\n{ran.text()} Phantoms, not patients. Report: {report}; also {' and '.join(reports)}.")
    show_next(f"open {report}")


def preset_study_steps(study: PresetStudySettings) -> list[ChainStep]:
    """All steps of the study, in order; writes the flag files that they read."""
    folder = study.folder
    size = ("patients", "test_patients", "lits_volumes", "lits_slices", "matrix", "anatomy")
    typed = {"test_patients": folder / "data" / TEST_PATIENTS, "validation_share": 0.15}
    steps = [
        phantom_step(folder, 90, **{name: getattr(study, name) for name in (*size, "workers")}),
        *conversion_steps(folder, 20, typed),
    ]
    settings = {
        preset: _flag_file(folder / preset / "finetune.flags", finetuning_flags(study, preset))
        for preset in PRESETS
    }
    steps.append(
        replace(
            roi_step(folder, folder / "tfrecords" / "sheba", 40, liver_run=BUNDLED),
            name="recommended_rois",
        )
    )
    shared = [str(_equally_long(study, name)) for name in study.protocols]
    steps.append(_reproduce(study, RECOMMENDED, None, shared, settings[RECOMMENDED]))
    pretrained = folder / PAPER
    steps += [
        replace(step, name=f"{PAPER}_{step.name}", title=f"{PAPER}: {step.title}")
        for step in pretraining_steps(
            pretrained,
            study.presets / PAPER,
            liver_s=3000,
            roi_s=40,
            lesion_s=3000,
            records=folder / "tfrecords",
            image_size=study.image_size,
            base_filters=study.base_filters,
            **({} if study.most_epochs is None else {"epochs": study.most_epochs}),
        )
    ]
    steps.append(_reproduce(study, PAPER, pretrained, study.protocols, settings[PAPER]))
    if study.ablation:
        protocols = [
            str(_flag_file(arm.study.parent / f"{arm.name}.flags", flags))
            for arm, flags in _ablation_files(study)
        ]
        steps.append(_reproduce(study, "ablation", None, protocols))
    return steps


def ablation_arms(study: PresetStudySettings) -> list[StudyArm]:
    """The rows of the ablation: the paper's preset, the steps, the recommended preset."""
    of_presets = {preset: arm_of(study, preset, ABLATED) for preset in PRESETS}
    between = [arm for arm, _ in _ablation_files(study)] if study.ablation else []
    values = _values(finetuning_flags(study, PAPER))
    for flags in STEPS.values():
        values = _with(values, _values(finetuning_flags(study, RECOMMENDED)), flags)
    last = _changed(values, _values(finetuning_flags(study, RECOMMENDED)))
    return [of_presets[PAPER], *between, replace(of_presets[RECOMMENDED], changed=last)]


def arm_of(study: PresetStudySettings, preset: str, protocol: str) -> StudyArm:
    """A protocol of a preset."""
    pretrained = study.folder / PAPER if preset == PAPER else None
    return StudyArm(protocol, study.folder / preset / "study", pretrained)


def finetuning_flags(study: PresetStudySettings, preset: str) -> tuple[str, ...]:
    """The flags that all fine-tuning runs of a preset share."""
    flags = read_flag_file(study.presets / preset / "finetune.flags")
    most = () if study.most_epochs is None else (f"--epochs={study.most_epochs}",)
    return (*flags, *_DECISION[preset], "--pictures=0", *most)


def _equally_long(study: PresetStudySettings, protocol: str) -> Path:
    """The flag file of a protocol whose cycles share the recommended epochs evenly."""
    flags = read_protocol(protocol).arguments
    options = parse(LesionRunSettings, [*flags, *finetuning_flags(study, RECOMMENDED)])
    each = math.ceil(options.schedule.epochs / sum(flag.startswith("--cycle=") for flag in flags))
    shared = [f"{flag} epochs={each}" if flag.startswith("--cycle=") else flag for flag in flags]
    return _flag_file(study.folder / RECOMMENDED / f"{Path(protocol).stem}.flags", shared)


def _ablation_files(study: PresetStudySettings) -> list[tuple[StudyArm, tuple[str, ...]]]:
    """Every step between the presets, with the flags of its protocol file."""
    folder = study.folder / "ablation"
    protocol = [f for f in read_flag_file(f"{ABLATED}.flags") if not f.startswith("--protocol=")]
    values = _values(finetuning_flags(study, PAPER))
    recommended = _values(finetuning_flags(study, RECOMMENDED))
    arms = []
    for number, (step, flags) in enumerate(STEPS.items(), 1):
        before, values = values, _with(values, recommended, flags)
        name = f"{number}_{step}"
        arm = StudyArm(name, folder / "study", None, _changed(before, values))
        arms.append((arm, (f"--protocol={name}", *protocol, *values.values())))
    return arms


def _with(
    values: Mapping[str, str], recommended: Mapping[str, str], flags: Sequence[str]
) -> dict[str, str]:
    """``values`` with some flags as recommended; those that are not set there are left out."""
    kept = {name: flag for name, flag in values.items() if name not in flags}
    return kept | {name: recommended[name] for name in flags if name in recommended}


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """The flags of ``after`` that are new or have another value, then those left out."""
    new = [flag for name, flag in after.items() if before.get(name) != flag]
    return (*new, *(f"without {flag}" for name, flag in before.items() if name not in after))


def _values(flags: Sequence[str]) -> dict[str, str]:
    """Flags by name, the last one of each; ``--nopostprocessing`` is ``postprocessing``."""
    parts = [flag.lstrip("-").partition("=") for flag in flags]
    names = [name if equals else name.removeprefix("no") for name, equals, _ in parts]
    return dict(zip(names, flags, strict=True))


def _flag_file(path: Path, flags: Sequence[str]) -> Path:
    write_text(path, "\n".join(flags) + "\n")
    return path


def _reproduce(
    study: PresetStudySettings,
    name: str,
    pretrained: Path | None,
    protocols: Sequence[str],
    settings: Path | None = None,
) -> ChainStep:
    records, output = study.folder / "tfrecords" / "sheba", study.folder / name / "study"
    options: dict[str, Any] = {
        "output": output,
        **({} if settings is None else {"settings": settings}),
        "protocols": ",".join(protocols),
        "seeds": ",".join(map(str, study.seeds)),
        "ensembles": "true",
        "workers": study.workers,
        "records": records,
        "roi_records": (pretrained or study.folder) / "tfrecords" / "sheba_roi",
        "folds_file": records / "folds.json",
        "pretrained": pretrained / "runs" / "lesion" if pretrained else BUNDLED,
        "liver_run": pretrained / "runs" / "liver" if pretrained else BUNDLED,
        "data_label": DATA_LABEL,
        "samples": study.samples,
    }
    return ChainStep(
        f"{name}_reproduce",
        f"{name}: fine-tune and evaluate with every seed, and write the report",
        600 * len(protocols) * len(study.seeds),
        "trainers.reproduce",
        options,
        output / "report" / "report.html",
        always=True,
    )

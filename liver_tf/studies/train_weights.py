"""The networks in the package, from phantoms to packed weights, by the commands of any job."""

import time
from dataclasses import dataclass
from pathlib import Path

from liver_tf.bundled_networks import FOLDER
from liver_tf.command_line.flags_of_options import load_settings
from liver_tf.options import Options, option
from liver_tf.studies.command_chain import ChainStep, format_duration, run_chain
from liver_tf.studies.phantom_study import conversion_steps
from liver_tf.training.training_settings import FinetuneSettings

COMMAND = "python -m trainers.train_weights"


@dataclass(frozen=True, kw_only=True)
class TrainWeightsSettings(Options):
    """Options of training the networks in the package."""

    folder: Path = option(Path("weights_work"), "Folder for phantoms, records and runs.")
    flag_files: Path = option(
        Path("flags/weights"), "Folder with phantom.flags, liver.flags, lesion.flags, typed.flags."
    )
    output: Path = option(
        FOLDER, "Folder of the packed networks.", shown_default="`liver_tf/weights`"
    )
    workers: int = option(
        2, "Processes that write phantoms and records; no effect on weights.", low=1
    )


def run_train_weights(settings: TrainWeightsSettings) -> None:
    """Run all steps that are not done."""
    steps = train_weights_steps(settings)
    start = time.monotonic()
    ran = run_chain(steps, settings.folder, "the training of the networks")
    print(
        f"\n{len(ran)} of {len(steps)} steps ran in {format_duration(time.monotonic() - start)}. "
        f"Networks and their model cards: {settings.output}."
    )


def train_weights_steps(settings: TrainWeightsSettings) -> list[ChainStep]:
    """All steps, in order. Trainings have a fixed number of threads, on which last bits depend."""
    folder, flag_files = settings.folder, settings.flag_files
    records, runs = folder / "tfrecords", folder / "runs"
    data = {"output": folder / "data", "workers": settings.workers}
    typed = {"pretrained": runs / "lesion", "runs": runs}
    # The flag file decides the seed, and with it the folder of the run.
    typed_run = load_settings(FinetuneSettings, flag_files / "typed.flags", **typed).run
    trained = {"liver": runs / "liver", "lesion": runs / "lesion", "typed": typed_run}
    return [
        ChainStep(
            "phantom",
            "write phantoms with tissue maps, and typed ones",
            700,
            "data_prep.phantom",
            {"flagfile": flag_files / "phantom.flags", **data},
            folder / "data" / "phantom.json",
        ),
        *conversion_steps(folder, 20),
        *(_cut_true_rois(name, records) for name in ("lits", "sheba")),
        _pretrain("liver", 3400, folder, flag_files, "lits"),
        _pretrain("lesion", 3400, folder, flag_files, "lits_roi", beside=True),
        ChainStep(
            "finetune_typed",
            "fine-tune the lesion network on lesion types",
            1200,
            "trainers.finetune",
            {
                "flagfile": flag_files / "typed.flags",
                "records": records / "sheba_roi",
                **typed,
            },
            typed_run / "weights.npz",
            threads=2,
        ),
        ChainStep(
            "pack",
            "pack the networks: half precision, checksums, model cards",
            5,
            "trainers.pack_weights",
            {**trained, "output": settings.output, "command": COMMAND},
            always=True,
        ),
    ]


def _cut_true_rois(name: str, records: Path) -> ChainStep:
    title, output = f"cut ROIs around the true liver: {name}", records / f"{name}_roi"
    options = {"input": records / name, "true_liver": True, "output": output}
    product = output / "manifest.json"
    return ChainStep(f"rois_{name}", title, 15, "data_prep.make_rois", options, product)


def _pretrain(
    network: str,
    seconds: float,
    folder: Path,
    flag_files: Path,
    records: str,
    *,
    beside: bool = False,
) -> ChainStep:
    run = folder / "runs" / network
    options = {
        "flagfile": flag_files / f"{network}.flags",
        "records": folder / "tfrecords" / records,
        "run": run,
    }
    return ChainStep(
        *(f"pretrain_{network}", f"train the {network} network", seconds, "trainers.pretrain"),
        *(options, run / "weights.npz"),
        beside=beside,
        threads=1,
    )

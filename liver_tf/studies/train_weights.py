"""The networks in the package, from phantoms to packed weights, by the commands of any job."""

from dataclasses import dataclass
from pathlib import Path

from liver_tf.bundled_networks import FOLDER
from liver_tf.command_line.flags_of_options import load_settings
from liver_tf.command_line.invocation import suggest
from liver_tf.options import Options, option
from liver_tf.studies.command_chain import ChainStep, run_chain
from liver_tf.training.training_settings import FinetuneSettings

COMMAND = "python -m trainers.train_weights"


@dataclass(frozen=True, kw_only=True)
class TrainWeightsSettings(Options):
    """Options of training the networks in the package."""

    folder: Path = option(Path("weights_work"), "Folder for phantoms, records and runs.")
    flag_files: Path = option(
        Path("flags/weights"), "Folder with varied, plain, liver, lesion, typed and pack.flags."
    )
    output: Path = option(
        FOLDER, "Folder of the packed networks.", shown_default="`liver_tf/weights`"
    )
    workers: int = option(
        2, "Processes that write phantoms and records; they do not affect the weights.", low=1
    )


def run_train_weights(settings: TrainWeightsSettings) -> None:
    """Run all steps that are not done."""
    steps = train_weights_steps(settings)
    ran = run_chain(steps, settings.folder, "the training of the networks")
    print(f"\n{ran.text()} Networks and their model cards: {settings.output}.")
    suggest("predict", "with the networks of the package", input="SCAN")


def train_weights_steps(settings: TrainWeightsSettings) -> list[ChainStep]:
    """All steps, in order. Trainings have a fixed number of threads, on which last bits depend."""
    folder, flag_files = settings.folder, settings.flag_files
    data, records, runs = folder / "data", folder / "tfrecords", folder / "runs"
    typed = {"pretrained": runs / "lesion", "runs": runs}
    # The flag file decides the seed, and with it the folder of the run.
    typed_run = load_settings(FinetuneSettings, flag_files / "typed.flags", **typed).run
    trained = {"liver": runs / "liver", "lesion": runs / "lesion", "typed": typed_run}
    return [
        *(
            ChainStep(
                *(f"phantom_{name}", f"write {name} phantoms", seconds, "data_prep.phantom"),
                {
                    "flagfile": flag_files / f"{name}.flags",
                    "output": data / name,
                    "workers": settings.workers,
                },
                data / name / "phantom.json",
            )
            for name, seconds in (("varied", 700), ("plain", 250))
        ),
        _convert("both", "lits", data, records),
        _convert("varied", "lits", data / "varied" / "lits", records),
        _convert("typed", "slices", data / "varied" / "sheba" / "slices.csv", records),
        *(_cut_true_rois(name, records) for name in ("varied", "typed")),
        _pretrain("liver", 3400, folder, flag_files, "both"),
        _pretrain("lesion", 3400, folder, flag_files, "varied_roi", beside=True),
        ChainStep(
            "finetune_typed",
            "fine-tune the lesion network on lesion types",
            1200,
            "trainers.finetune",
            {
                "flagfile": flag_files / "typed.flags",
                "records": records / "typed_roi",
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
            {
                "flagfile": flag_files / "pack.flags",
                **trained,
                "output": settings.output,
                "command": COMMAND,
            },
            always=True,
        ),
    ]


def _convert(name: str, source: str, files: Path, records: Path) -> ChainStep:
    options = {"source": source, "input": files, "output": records / name}
    title, module = f"convert phantoms: {name}", "data_prep.build_tfrecords"
    product = records / name / "manifest.json"
    return ChainStep(f"build_{name}", title, 25, module, options, product)


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

"""Options of ``reproduce``. Needs no TensorFlow."""

from dataclasses import dataclass
from pathlib import Path

from liver_tf.assessment.assessment_settings import data_label_option
from liver_tf.bundled_networks import LESION, LIVER
from liver_tf.default_paths import (
    FOLDS_FILE,
    LESION_RUN,
    LIVER_RUN,
    ROI_RECORDS,
    STUDY,
    WHOLE_RECORDS,
)
from liver_tf.options import Options, missing_input, option, part
from liver_tf.run_files import DESCRIPTION, INNER, VALIDATIONS, WEIGHTS
from liver_tf.statistics.resample_count import SAMPLES
from liver_tf.studies.grid import PROTOCOLS

LOCAL, RAY = ENGINES = ("local", "ray")


@dataclass(frozen=True, kw_only=True)
class EngineSettings(Options):
    """Where the runs of a study are executed."""

    engine: str = option(
        LOCAL,
        "local: processes on this machine. ray: a Ray cluster (pip extra ray) whose machines all "
        "see this folder and the data under the same paths.",
        choices=ENGINES,
    )
    workers: int = option(
        1,
        "Number of parallel runs with --engine=local; more than 1 helps if one network does not "
        "use all cores.",
        low=1,
    )
    shared_processes: bool = option(
        True,
        "With --engine=local, runs of the same fold and seed share a process, its data in memory "
        "and its compiled steps; the results are the same.",
    )
    ray_address: str | None = option(
        None,
        "Address of the Ray cluster, e.g. auto on one of its machines. Default: RAY_ADDRESS, or a "
        "new cluster on this machine.",
    )
    num_cpus: float = option(1.0, "CPUs per run on the Ray cluster.", low=0)
    num_gpus: float = option(
        0.0,
        "GPUs per run on the Ray cluster; 0.5 shares one GPU between two runs, 0 requests none.",
        low=0,
    )


@dataclass(frozen=True, kw_only=True)
class ReproduceSettings(Options):
    """Options of ``reproduce``."""

    output: Path = option(STUDY, "Folder of the study.")
    protocols: tuple[str, ...] = option(
        PROTOCOLS, "Protocols, each by its flag file: NAME is NAME.flags in this folder."
    )
    folds: tuple[int, ...] | None = option(
        None, "Folds, e.g. 0,2. Default: all folds of --folds_file.", low=0, empty_is_none=True
    )
    seeds: tuple[int, ...] = option((0, 1, 2), "Training seeds.", low=0)
    settings: tuple[str, ...] = option(
        (),
        "Flag file of liver-tf finetune with the settings that all runs share (learning rate, "
        "epochs, augmentation); overrides the protocols' own files. Default: the paper's "
        "settings.",
        repeated=True,
    )
    only: tuple[str, ...] = option(
        (),
        "Execute only this run, e.g. fold1/hier_freeze/seed0. The report is "
        "written once all runs of the study are done.",
        repeated=True,
    )
    list_runs: bool = option(
        False, "Print the name and state of every run, then exit.", flag="list"
    )
    dry_run: bool = option(
        False,
        "Print the plan (runs, cycles, epochs, steps) and exit. Records, folds and networks "
        "need not exist yet; without records the steps are unknown.",
    )
    report_only: bool = option(False, "Write the report of the finished runs, then exit.")
    ensembles: bool = option(
        False,
        "Evaluate the ensembles of the seeds too, once all runs are done: for each protocol and "
        "fold, the mean of the class probabilities of its seeds.",
    )
    validation: str = option(
        INNER,
        "As for liver-tf finetune. The report marks runs with test_fold in red.",
        choices=VALIDATIONS,
    )
    roi_records: Path = option(ROI_RECORDS, "Record set of ROIs, for training.")
    records: Path = option(WHOLE_RECORDS, "Record set of whole slices, for evaluation.")
    folds_file: Path = option(FOLDS_FILE, "Folds of the patients.")
    pretrained: Path = option(
        LESION_RUN, "Run of the pre-trained lesion network, or bundled.", bundled=LESION
    )
    liver_run: Path = option(LIVER_RUN, "Run of the liver network, or bundled.", bundled=LIVER)
    neighbour_truth: Path | None = option(
        None,
        "Phantoms: record set of the neighbours with their true labels, to measure the generated "
        "labels of protocols with --neighbour_labels.",
        empty_is_none=True,
    )
    engine: EngineSettings = part(EngineSettings)
    data_label: str | None = data_label_option()
    samples: int = option(SAMPLES, "Number of bootstrap resamples.", low=100)

    def missing_inputs(self) -> list[str]:
        """The flags of inputs that do not exist, with their values."""
        from liver_tf.records.manifest import MANIFEST_NAME

        network = (DESCRIPTION, WEIGHTS)
        return [
            *missing_input("roi_records", self.roi_records, MANIFEST_NAME),
            *missing_input("records", self.records, MANIFEST_NAME),
            *missing_input("folds_file", self.folds_file),
            *missing_input("pretrained", self.pretrained, *network),
            *missing_input("liver_run", self.liver_run, *network),
        ]

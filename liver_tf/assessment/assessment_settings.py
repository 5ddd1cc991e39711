"""Options of evaluating runs and of choosing their post-processing. Needs no TensorFlow."""

from dataclasses import dataclass
from pathlib import Path

from liver_tf.bundled_networks import LIVER
from liver_tf.default_paths import LIVER_RUN, WHOLE_RECORDS
from liver_tf.inference.decision_rules import DECISIONS, THRESHOLD, decision_option
from liver_tf.model.precision_settings import FLOAT32, precision_option
from liver_tf.options import REQUIRED, OptionError, Options, option, part
from liver_tf.statistics.resample_count import SAMPLES


def data_label_option() -> str | None:
    """The option ``--data_label`` of commands that write a report."""
    label: str | None = option(
        None,
        "Name of the data in the report, e.g. a study's name. Default: by the kind of the records, "
        "phantoms or implanted lesions; else your data.",
        empty_is_none=True,
    )
    return label


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings(Options):
    """Options of ``evaluate``."""

    run: tuple[Path, ...] = option(
        REQUIRED,
        "Fine-tuned run. Several are compared by protocol, and pooled over folds and seeds.",
        repeated=True,
    )
    liver_run: Path = option(LIVER_RUN, "Run of the liver network, or bundled.", bundled=LIVER)
    records: Path = option(WHOLE_RECORDS, "Record set of whole slices with types.")
    output: Path | None = option(
        None, "Folder of the report. Default: beside the first run.", empty_is_none=True
    )
    data_label: str | None = data_label_option()
    postprocessing: bool = option(
        True,
        "Apply the post-processing stored in each run, if any: threshold, hole filling and minimum "
        "lesion size (from liver-tf choose_postprocessing), and where lesions are allowed.",
    )
    decision: str | None = decision_option()
    ensembles: bool = option(
        False,
        "Evaluate, beside the runs, the ensembles of the seeds of each protocol and fold: the mean "
        "of their class probabilities.",
    )
    precision: str = precision_option(FLOAT32)
    samples: int = option(SAMPLES, "Number of bootstrap resamples.", low=100)
    seed: int = option(0, "Seed of the bootstrap.", low=0, high=2**31 - 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len({run.resolve() for run in self.run}) < len(self.run):
            raise OptionError("run", "the same run is listed twice")
        inputs = (*self.run, self.liver_run, self.records)
        if self.output and self.output.resolve() in {path.resolve() for path in inputs}:
            raise OptionError("output", "must be another folder than the runs and --records")


@dataclass(frozen=True, kw_only=True)
class SearchSettings(Options):
    """What is searched on the validation patients of a run."""

    decision: str = option(
        THRESHOLD,
        "Decision rule to choose settings for. threshold searches the threshold too.",
        choices=DECISIONS,
    )
    max_false_positive_rate: float = option(
        0.1,
        "Largest share of healthy validation slices in which a lesion may be detected. If nothing "
        "keeps to it, the setting with the smallest share is chosen, with a warning.",
        low=0,
        high=1,
    )


@dataclass(frozen=True, kw_only=True)
class ChooseSettings(Options):
    """Options of choosing the post-processing."""

    run: tuple[Path, ...] = option(REQUIRED, "Fine-tuned run.", repeated=True)
    liver_run: Path = option(LIVER_RUN, "Run of the liver network, or bundled.", bundled=LIVER)
    records: Path = option(
        WHOLE_RECORDS, "Record set of whole slices from which the ROIs were cut."
    )
    search: SearchSettings = part(SearchSettings)
    in_liver_only: bool = option(True, "Remove lesions outside the liver.")
    precision: str = precision_option(FLOAT32)

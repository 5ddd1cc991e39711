"""One run of a study grid in one process: fine-tune, then evaluate. Needs no TensorFlow to import.

The same as the single commands one after the other, but TensorFlow starts once.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from liver_tf import run_files
from liver_tf.anatomical.augment_settings import AugmentSettings, LabelRule
from liver_tf.assessment.assessment_settings import SearchSettings
from liver_tf.bundled_networks import LIVER
from liver_tf.default_paths import LIVER_RUN, WHOLE_RECORDS
from liver_tf.folder_lock import locked_folder
from liver_tf.options import OptionError, option, part
from liver_tf.records.manifest import load_manifest
from liver_tf.refusals import Refusal
from liver_tf.training.training_settings import FinetuneSettings


@dataclass(frozen=True, kw_only=True)
class LesionRunSettings(FinetuneSettings):
    """Options of a run with a lesion network."""

    liver_run: Path = option(LIVER_RUN, "Run of the liver network, or bundled.", bundled=LIVER)
    whole_records: Path = option(
        WHOLE_RECORDS,
        "Record set of whole slices from which the ROIs (--records) were cut.",
    )
    postprocessing: bool = option(
        True,
        "Choose decision rule and post-processing on the validation patients; otherwise argmax "
        "without post-processing, as in the paper.",
    )
    search: SearchSettings = part(SearchSettings)
    neighbour_labels: str | None = option(
        None,
        "Anatomical data augmentation: the protocol whose run of the same fold and seed labels the "
        "unlabelled neighbours of the training slices. This run learns from both.",
        empty_is_none=True,
    )
    label_rule: LabelRule = part(LabelRule)
    neighbour_truth: Path | None = option(
        None,
        "Phantoms: record set of the neighbours with their true labels, to measure the generated "
        "labels. It has no other effect.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neighbour_labels == self.protocol:
            raise OptionError("neighbour_labels", "must be another protocol than --protocol")


def finetune_and_evaluate_lesions(
    settings: LesionRunSettings, shared: dict[str, Any] | None = None
) -> None:
    """Fine-tune a lesion network, choose its post-processing, evaluate it on the test patients.

    ``shared``: see ``job.carry_out``.
    """
    from liver_tf.assessment.evaluate import evaluate_runs
    from liver_tf.results.stored_results import has_results
    from liver_tf.training.finetuning import finetune

    if settings.neighbour_labels is not None and not settings.dry_run:
        settings = replace(settings, records=_extended_records(settings))
    finetune(settings, shared=shared)
    if settings.dry_run:
        return
    with locked_folder(settings.run):
        # Post-processing must not be chosen after the test: an evaluated run keeps it.
        if settings.postprocessing and not has_results(settings.run, "test"):
            _choose_postprocessing(settings)
        evaluate_runs([settings.run], settings.liver_run, settings.whole_records)
    print(f"{settings.run}: evaluated")


def finetune_and_evaluate_liver(settings: FinetuneSettings) -> None:
    """Fine-tune a liver network and compare its output with the true liver of the test cases."""
    from liver_tf.assessment.evaluate_liver import evaluate_liver_run
    from liver_tf.training.finetuning import finetune

    finetune(settings)
    if settings.dry_run:
        return
    with locked_folder(settings.run):
        evaluate_liver_run(settings.run, settings.records, load_manifest(settings.records))
    print(f"{settings.run}: evaluated")


def _extended_records(settings: LesionRunSettings) -> Path:
    """The training records with labelled neighbours, in the folder of the run."""
    from liver_tf.anatomical.extended_set import augment_anatomically

    assert settings.neighbour_labels is not None
    extended = augment_anatomically(
        AugmentSettings(
            run=settings.run.parent / settings.neighbour_labels,
            output=settings.run / run_files.EXTENDED_RECORDS,
            liver_run=settings.liver_run,
            records=settings.whole_records,
            roi_records=settings.records,
            truth=settings.neighbour_truth,
            rule=settings.label_rule,
        )
    )
    print(extended.text(), flush=True)
    return extended.folder


def _choose_postprocessing(settings: LesionRunSettings) -> None:
    from liver_tf.assessment.choose_postprocessing import choice_summary, choose_postprocessing
    from liver_tf.inference import postprocessing

    run = settings.run
    try:
        how, chosen = choose_postprocessing(
            run, settings.liver_run, settings.whole_records, settings.search
        )
    except Refusal as refusal:
        if refusal.code != "validation-no-lesion":
            raise
        print(f"no post-processing: {refusal.text()}")
        return
    postprocessing.save(run, how, chosen)
    print(f"{run / run_files.POSTPROCESSING}: {how.text()}\n{choice_summary(how, chosen)}")

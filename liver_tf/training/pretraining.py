"""Pre-training: a liver or a lesion network from new weights, on a large record set."""

from pathlib import Path
from typing import Any

from liver_tf.labels import LITS
from liver_tf.options import OptionError
from liver_tf.records.folds import Split, hold_out
from liver_tf.records.manifest import Manifest, load_manifest
from liver_tf.training.assumptions import records_or_assumed
from liver_tf.training.computation import set_up_computation
from liver_tf.training.job import Job, carry_out, make_plan
from liver_tf.training.protocol import SCRATCH, Protocol
from liver_tf.training.training_settings import PretrainSettings


def pretrain(settings: PretrainSettings | None = None, /, **options: Any) -> Path:
    """Train a liver or a lesion network from new weights, or resume an interrupted run.

    Args:
      settings: All options; None takes the defaults.
      **options: Single options by name, as in ``liver-tf pretrain --help``. ``network``,
        ``records`` and ``run`` are required.

    Returns:
      The folder of the run.

    Raises:
      OptionError: An option is missing or has an invalid value.
      Refusal: The records or the run's folder cannot be used.
      TrainingStopped: Training cannot continue, e.g. because the loss is not finite.

    Examples:
      >>> pretrain(network="liver", records="tfrecords/lits", run="runs/liver", epochs=20)
    """
    settings = PretrainSettings.of(settings, **options)
    computation = set_up_computation(
        settings.computation,
        settings.run,
        settings.architecture.base_filters,
        dry_run=settings.dry_run,
    )
    if settings.dry_run:
        manifest = records_or_assumed(settings.records, settings.network, LITS)
    else:
        manifest = load_manifest(settings.records)
    if (manifest.roi is None) != (settings.network == "liver"):
        content = "ROIs" if manifest.roi else "whole slices"
        raise OptionError(
            "network",
            "the liver network is trained on whole slices, the lesion network on ROIs "
            f"(liver-tf make_rois); {settings.records} contains {content}",
        )
    protocol = Protocol(f"pretrain_{settings.network}", SCRATCH, (settings.schedule,))
    plan = make_plan(settings, settings.network, manifest, settings.architecture, protocol)
    if settings.dry_run:
        print(plan.text(), flush=True)
    else:
        carry_out(Job.of(plan, _split(settings, manifest), computation), settings.run)
    return settings.run


def _split(settings: PretrainSettings, manifest: Manifest) -> Split:
    if settings.validate_on_training:
        cases = tuple(sorted(case.case for case in manifest.cases))
        print("validation on the training cases: the results only show how well they are fitted")
        return Split(cases, cases)
    return hold_out(manifest, validation_share=settings.validation_share, seed=settings.seed)

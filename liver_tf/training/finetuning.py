"""Fine-tuning: a pre-trained network on another record set, cycle by cycle."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras

from liver_tf import checksums, run_files
from liver_tf.model.description import Description, load_description
from liver_tf.model.transfer import head_from_old, transfer
from liver_tf.model.weights_file import stored_hash
from liver_tf.records.folds import Split, hold_out, load_folds, require_parts, validate_on_test
from liver_tf.records.manifest import Manifest, load_manifest
from liver_tf.refusals import Refusal
from liver_tf.run_files import HOLD_OUT, TEST_FOLD
from liver_tf.training.assumptions import transfer_or_assumed
from liver_tf.training.computation import set_up_computation
from liver_tf.training.job import Job, SharedSetup, carry_out, make_plan
from liver_tf.training.leak_check import check_fold
from liver_tf.training.protocol import PRETRAINED
from liver_tf.training.training_settings import PRETRAINING, FinetuneSettings

#: In ``run.json``, if the head was adapted to other class weights than these.
_HEAD_WEIGHTS = "head_class_weights"


def finetune(
    settings: FinetuneSettings | None = None,
    /,
    *,
    shared: SharedSetup | None = None,
    **options: Any,
) -> Path:
    """Fine-tune a pre-trained network by a protocol, or resume an interrupted run.

    Args:
      settings: All options; None takes the defaults. ``load_settings`` reads a protocol.
      shared: See ``job.carry_out``.
      **options: Single options by name, as in ``liver-tf finetune --help``.

    Returns:
      The folder of the run.

    Raises:
      OptionError: An option has an invalid value.
      Refusal: The records, the folds, the pre-trained run or the run's folder cannot be used, or
        test cases of the fold are in the training data.
      TrainingStopped: Training cannot continue, e.g. because the loss is not finite.

    Examples:
      >>> protocol = load_settings(FinetuneSettings, "hier_freeze.flags")
      >>> finetune(protocol, records="tfrecords/sheba_roi", fold=1)
    """
    settings = FinetuneSettings.of(settings, **options)
    protocol = settings.parsed_protocol()
    if settings.dry_run:
        before, manifest = transfer_or_assumed(
            settings.pretrained, settings.records, settings.base_filters, settings.start
        )
    else:
        before = load_description(settings.pretrained)
        manifest = load_manifest(settings.records)
    computation = set_up_computation(
        settings.computation,
        settings.run,
        before.architecture.base_filters,
        dry_run=settings.dry_run,
    )
    check_transfer(before, manifest, settings.pretrained)
    plan = make_plan(settings, before.kind, manifest, before.architecture, protocol)
    if settings.dry_run:
        print(plan.text(), flush=True)
        return settings.run
    split = _split(settings, manifest)
    on_test = settings.validation == TEST_FOLD
    earlier_data = check_fold(
        settings.records,
        manifest,
        # The overlap of validation and test was announced; any other leak is refused.
        replace(split, validation=()) if on_test else split,
        settings.pretrained if settings.start == PRETRAINED else None,
        allow_pairs=settings.allow_pairs,
        accept_unknown=settings.accept_unknown_training,
    )
    kept = (before.mean_hu, before.sd_hu) if settings.standardisation == PRETRAINING else None
    job = Job.of(
        *(plan, split, computation, kept),
        before if settings.start == PRETRAINED else None,
    )
    follows = computation.replicas.from_chief(lambda: _head_follows_weights(settings, job))
    carry_out(
        job,
        settings.run,
        shared=shared,
        more_identity={
            "fold": HOLD_OUT if settings.folds_file is None else settings.fold,
            "validation": settings.validation,
            "head": settings.head,
            "pretrained_weights": stored_hash(settings.pretrained / run_files.WEIGHTS),
            **({_HEAD_WEIGHTS: before.class_weights} if follows else {}),
        },
        prepare=partial(_transfer_weights, settings, before, job, follows),
        earlier_data=earlier_data,
    )
    return settings.run


def check_transfer(before: Description, manifest: Manifest, pretrained: Path) -> None:
    """Check that a pre-trained network fits the records.

    A liver network needs whole slices (any label set), a lesion network ROIs with lesion classes;
    both need the window of the pre-training.

    Raises:
      Refusal: The records do not fit.
    """
    names = {"liver": "a set of whole slices", "lesion": "an ROI set (liver-tf make_rois)"}
    kind = "lesion" if manifest.roi else "liver"
    if kind != before.kind:
        raise Refusal(
            "other-task",
            pretrained,
            expected=f"{names[before.kind]} for a {before.kind} network",
            found=names[kind],
            remedy="Check --pretrained and --records.",
        )
    if before.kind == "lesion" and not manifest.label_set.lesions:
        raise Refusal(
            "no-lesion-classes",
            pretrained,
            expected="records with lesion classes for a lesion network",
            found=f"the label set {', '.join(manifest.label_set.classes)}",
            remedy="Fine-tune the liver network on whole slices instead.",
        )
    if before.window != manifest.window:
        raise Refusal(
            "window-differs",
            pretrained,
            expected=f"records with the window of the pre-training, {list(before.window)} HU",
            found=f"{list(manifest.window)} HU",
            remedy="Convert the slices again with that window.",
        )


def _split(settings: FinetuneSettings, manifest: Manifest) -> Split:
    if settings.folds_file is None:
        return hold_out(manifest, validation_share=settings.validation_share, seed=settings.seed)
    splits = load_folds(settings.folds_file, manifest)
    settings.check_fold(len(splits))
    split = splits[settings.fold]
    require_parts(split, settings.folds_file)
    if settings.validation == TEST_FOLD:
        print(
            "VALIDATION ON THE TEST FOLD: early stopping uses the test patients, so the results "
            "of this run are optimistic; reports state this."
        )
        return validate_on_test(split)
    return split


def _head_follows_weights(settings: FinetuneSettings, job: Job) -> bool:
    """Whether an old head is adapted to other class weights; earlier versions did not do that."""
    before = job.before.class_weights if job.before else None
    if settings.head != "old" or before is None or len({*before, *job.task.class_weights}) == 1:
        return False
    try:
        return _HEAD_WEIGHTS in run_files.read_identity(settings.run)
    except (OSError, ValueError, TypeError):
        return True


def _transfer_weights(
    settings: FinetuneSettings,
    before: Description,
    job: Job,
    head_follows_weights: bool,
    model: keras.Model,
) -> None:
    if settings.start != PRETRAINED:
        return
    weights = settings.pretrained / run_files.WEIGHTS
    checksums.verify(settings.pretrained, run_files.WEIGHTS)
    print(transfer(weights, model).text())
    if settings.head != "old":
        return
    class_weights = None
    if before.class_weights is None:
        print("note: the class weights of --pretrained are unknown; its head is used as it is")
    elif head_follows_weights:
        class_weights = before.class_weights, job.task.class_weights
        print("head:   biases adapted to the class weights of this training")
    taken = head_from_old(weights, model, before.label_set, job.plan.label_set, class_weights)
    for old, new in taken.items():
        print(f"head:   {', '.join(new)} from the old head's {old}")

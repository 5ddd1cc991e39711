"""A cell of the order study: some arms of one replicate, in one process.

The arms share the network, the slices in memory and the compiled steps, which would otherwise take
a third of the time; the results are those of separate processes, bit for bit.
"""

from liver_tf.assessment.evaluate_rois import TestRois, evaluate_on_rois
from liver_tf.command_line.flags_of_options import parse
from liver_tf.inference.decision_rules import PRIOR_CORRECTED
from liver_tf.model.description import load_description
from liver_tf.records.folds import load_folds
from liver_tf.records.manifest import load_manifest
from liver_tf.studies.order import order_folders as folders
from liver_tf.studies.order.order_arms import Arm, arms_of
from liver_tf.studies.order.order_settings import OrderCellSettings
from liver_tf.training.finetuning import finetune
from liver_tf.training.job import SharedSetup
from liver_tf.training.pretraining import pretrain
from liver_tf.training.training_settings import FinetuneSettings, PretrainSettings


def run_order_cell(cell: OrderCellSettings) -> None:
    """Pre-train the network of the replicate, then fine-tune and measure each arm.

    What is finished is skipped; an interrupted run resumes.

    Raises:
      Refusal, TrainingStopped: as ``pretrain``, ``finetune`` and ``evaluate_on_rois``.
    """
    pretrain(parse(PretrainSettings, pretraining_flags(cell)))
    records = folders.rois_folder(cell.folder, folders.TYPED_ROIS)
    manifest = load_manifest(records)
    split = load_folds(folders.folds_file(cell.folder), manifest)[cell.fold]
    side = load_description(
        folders.pretrained_run(cell.folder, cell.replicate)
    ).architecture.image_size
    rois = TestRois.read(records, split.test, side)
    shared: SharedSetup = {}
    for arm in arms_of(cell.group, cell.replicate):
        run = finetune(parse(FinetuneSettings, finetuning_flags(cell, arm)), shared=shared)
        evaluate_on_rois(run, rois, PRIOR_CORRECTED)
        print(f"{run}: measured", flush=True)


def pretraining_flags(cell: OrderCellSettings) -> list[str]:
    """Flags of ``pretrain`` for the network of the replicate."""
    return [
        f"--flagfile={cell.flag_files / 'lesion.flags'}",
        f"--records={folders.rois_folder(cell.folder, folders.LITS_ROIS)}",
        f"--run={folders.pretrained_run(cell.folder, cell.replicate)}",
        f"--seed={cell.replicate}",
    ]


def finetuning_flags(cell: OrderCellSettings, arm: Arm) -> list[str]:
    """Flags of ``finetune`` for an arm."""
    return [
        f"--flagfile={cell.flag_files / 'finetune.flags'}",
        *arm.flags(cell.epochs),
        f"--records={folders.rois_folder(cell.folder, folders.TYPED_ROIS)}",
        f"--folds_file={folders.folds_file(cell.folder)}",
        f"--pretrained={folders.pretrained_run(cell.folder, cell.replicate)}",
        f"--runs={folders.runs_folder(cell.folder)}",
        f"--fold={cell.fold}",
        f"--seed={cell.replicate}",
    ]

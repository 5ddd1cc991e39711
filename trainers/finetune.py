"""Fine-tune a pre-trained network on another record set, cycle by cycle.

In the paper: a lesion network on a small set with lesion types. A protocol is a flag file:
--cycle=... once for every cycle, naming the blocks held fixed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from absl import app, flags

from data_prep import augmentation_flags
from liver_tf import run_files
from trainers import flag_groups

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    from liver_tf.model import freezing, unet
    from liver_tf.model.description import load_description
    from liver_tf.model.transfer import head_from_old, transfer
    from liver_tf.model.weights_file import stored_hash
    from liver_tf.records.folds import (
        INNER,
        TEST_FOLD,
        hold_out,
        load_folds,
        require_parts,
        validate_on_test,
    )
    from liver_tf.records.manifest import load_manifest
    from liver_tf.training import determinism
    from liver_tf.training.job import Job, carry_out, check_transfer, label_map, task_of
    from liver_tf.training.leak_check import check_fold
    from liver_tf.training.protocol import PRETRAINED, plan

    protocol = protocol_of_flags()
    computation = flag_groups.computation()
    determinism.set_up(FLAGS.deterministic)
    records, pretrained = Path(FLAGS.records), Path(FLAGS.pretrained)
    manifest = load_manifest(records)
    before = load_description(pretrained)
    check_transfer(before, manifest, pretrained)
    mapping, label_set = label_map(manifest.label_set, before.kind)
    settings = flag_groups.job_settings(label_set)
    architecture = replace(before.architecture, classes=len(label_set))
    print(plan(protocol, freezing.parameter_counts(unet.build(architecture))))
    print(flag_groups.sampling().in_words(), flush=True)
    if FLAGS.dry_run:
        return 0
    if FLAGS.folds_file:
        splits = load_folds(Path(FLAGS.folds_file), manifest)
        if not 0 <= FLAGS.fold < len(splits):
            raise app.UsageError(f"--fold: expected 0 to {len(splits) - 1}, got {FLAGS.fold}")
        split, fold = splits[FLAGS.fold], FLAGS.fold
        require_parts(split, Path(FLAGS.folds_file))
        if FLAGS.validation == TEST_FOLD:
            split = validate_on_test(split)
            print(
                "VALIDATION ON THE TEST FOLD: early stopping looks at the patients of the test, as "
                "looser practice does. The figures of this run are optimistic; reports say so."
            )
    elif FLAGS.validation == TEST_FOLD:
        raise app.UsageError("--validation=test_fold: needs the folds of --folds_file")
    else:
        split = hold_out(manifest, validation_share=FLAGS.validation_share, seed=FLAGS.seed)
        fold = run_files.HOLD_OUT
    seen = check_fold(
        records,
        manifest,
        # A validation on the test fold is told aloud; no leak beside it is.
        split if FLAGS.validation == INNER else replace(split, validation=()),
        pretrained if protocol.start == PRETRAINED else None,
        allow_pairs=FLAGS.allow_pairs,
        accept_unknown=FLAGS.accept_unknown_training,
    )
    task = task_of(manifest, split.training, mapping, weighted=FLAGS.balance == "loss")

    def prepare(model) -> None:
        if protocol.start != PRETRAINED:
            return
        print(transfer(pretrained / run_files.WEIGHTS, model).text())
        if FLAGS.head == "old":
            taken = head_from_old(
                pretrained / run_files.WEIGHTS, model, before.label_set, label_set
            )
            for old, new in taken.items():
                print(f"head:   {', '.join(new)} from the old head's {old}")

    carry_out(
        Job(
            kind=before.kind,
            records=records,
            manifest=manifest,
            split=split,
            mapping=mapping,
            label_set=label_set,
            task=task,
            architecture=architecture,
            protocol=protocol,
            computation=computation,
            **settings,
        ),
        run_of_flags(),
        more_identity={
            "fold": fold,
            "validation": FLAGS.validation,
            "head": FLAGS.head,
            "pretrained_weights": stored_hash(pretrained / run_files.WEIGHTS),
        },
        prepare=prepare,
        seen_before=seen,
        pictures=FLAGS.pictures,
    )
    return 0


def protocol_of_flags():
    """``Protocol`` as the flags say."""
    from liver_tf.training.protocol import Protocol, parse_cycle

    defaults = flag_groups.cycle_defaults()
    try:
        cycles = tuple(parse_cycle(line, defaults) for line in FLAGS.cycle)
        return Protocol(FLAGS.protocol, FLAGS.start, cycles)
    except ValueError as error:
        raise app.UsageError(str(error)) from None


def run_of_flags() -> Path:
    """The folder of the run that the flags describe."""
    from liver_tf.records.folds import TEST_FOLD

    place = run_files.HOLD_OUT
    if FLAGS.folds_file:
        place = run_files.fold_name(FLAGS.fold, on_test=FLAGS.validation == TEST_FOLD)
    return run_files.run_folder(Path(FLAGS.runs), place, FLAGS.seed, FLAGS.protocol)


def _define_flags() -> None:
    flags.DEFINE_string("protocol", "custom", "Name of the protocol, and of its run's folder.")
    flags.DEFINE_enum(
        "start",
        "pretrained",
        ["pretrained", "scratch"],
        "Weights before the first cycle. From scratch too the network has the sizes of the "
        "pre-trained one, for comparison.",
    )
    flags.DEFINE_enum(
        "head",
        "fresh",
        ["fresh", "old"],
        "The new last layer: fresh as in the paper, or from the columns of the old one (a class "
        "from its own, another kind of lesion from that of lesion).",
    )
    flags.DEFINE_multi_string(
        "cycle",
        [],
        "A cycle: the blocks held fixed (none; enc1-enc3; enc1,dec4), then optional settings "
        "(learning_rate=1e-5 epochs=20 batch_size=2 patience=5 norm=inference). Repeat for every "
        "cycle.",
    )
    flags.DEFINE_string(
        "records",
        "tfrecords/sheba_roi",
        "Record set of any label set: ROIs for a lesion network, whole slices for a liver network.",
    )
    flags.DEFINE_string(
        "folds_file",
        "tfrecords/sheba/folds.json",
        "Folds of the patients. Empty: a share of the patients validates and none is left for the "
        "test, for records without folds.",
    )
    flags.DEFINE_integer("fold", 0, "Which fold is left for the test.", lower_bound=0)
    flags.DEFINE_enum(
        "validation",
        "inner",
        ["inner", "test_fold"],
        "Who decides on early stopping: patients set aside from training, so that the test fold is "
        "looked at once; or the test fold itself, to mimic looser practice. Then nobody is set "
        "aside, the run lies under fold<F>_validated_on_test, and reports say so in red.",
    )
    flags.DEFINE_float(
        "validation_share",
        0.2,
        "Share of the patients that validate where there are no folds.",
        lower_bound=0.0,
        upper_bound=0.9,
    )
    flags.DEFINE_string("pretrained", "runs/lesion", "Run of the pre-trained network.")
    flags.DEFINE_string(
        "runs",
        "runs/finetune",
        "The run is made below this, in fold<F>/seed<S>/<protocol> (hold_out without folds).",
    )
    flags.DEFINE_string(
        "allow_pairs", None, "File of pairs of cases whose slices may be alike: two names a line."
    )
    flags.DEFINE_boolean(
        "accept_unknown_training",
        False,
        "Go on where the pre-trained run, or the liver network that cut the ROIs, does not tell "
        "what it was trained on: the leakage guard cannot compare then.",
    )
    flags.DEFINE_boolean("dry_run", False, "Print the plan and stop, before any data are read.")
    flag_groups.define_training_flags(learning_rate=5e-5, batch_size=1)
    flag_groups.define_data_flags()
    augmentation_flags.define()
    flag_groups.define_machine_flags()


if __name__ == "__main__":
    flag_groups.run(main, _define_flags)

"""Train a liver or a lesion network from scratch on a large record set (LiTS in the paper)."""

from __future__ import annotations

from pathlib import Path

from absl import app, flags

from data_prep import augmentation_flags
from trainers import flag_groups

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    from liver_tf.model import freezing, unet
    from liver_tf.records.folds import Split, hold_out
    from liver_tf.records.manifest import load_manifest
    from liver_tf.training import determinism
    from liver_tf.training.job import Job, carry_out, label_map, task_of
    from liver_tf.training.protocol import SCRATCH, Protocol, plan

    records = Path(FLAGS.records)
    computation = flag_groups.computation()
    determinism.set_up(FLAGS.deterministic)
    manifest = load_manifest(records)
    if (manifest.roi is None) != (FLAGS.network == "liver"):
        raise app.UsageError(
            "the liver network is trained on whole slices, the lesion network on ROIs "
            f"(data_prep.make_rois); {records} holds {'ROIs' if manifest.roi else 'whole slices'}"
        )
    mapping, label_set = label_map(manifest.label_set, FLAGS.network)
    settings = flag_groups.job_settings(label_set)
    if FLAGS.validate_on_training:
        everyone = tuple(sorted(case.case for case in manifest.cases))
        split = Split(everyone, everyone)
        print("validation on the training cases: the figures say how well these cases are fitted")
    else:
        split = hold_out(manifest, validation_share=FLAGS.validation_share, seed=FLAGS.seed)
    task = task_of(manifest, split.training, mapping, weighted=FLAGS.balance == "loss")
    try:
        architecture = unet.Architecture(
            FLAGS.image_size, FLAGS.base_filters, len(label_set), FLAGS.norm_momentum
        )
    except ValueError as error:
        raise app.UsageError(str(error)) from None
    protocol = Protocol(f"pretrain_{FLAGS.network}", SCRATCH, (flag_groups.cycle_defaults(),))
    print(plan(protocol, freezing.parameter_counts(unet.build(architecture))))
    print(flag_groups.sampling().in_words(), flush=True)
    if FLAGS.dry_run:
        return 0
    carry_out(
        Job(
            kind=FLAGS.network,
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
        Path(FLAGS.run),
        pictures=FLAGS.pictures,
    )
    return 0


def _define_flags() -> None:
    flags.DEFINE_enum("network", None, ["liver", "lesion"], "What it learns.", required=True)
    flags.DEFINE_string("records", None, "Record set to train on.", required=True)
    flags.DEFINE_string("run", None, "Folder of the run.", required=True)
    flags.DEFINE_float(
        "validation_share",
        0.115,
        "Share of the patients that validate (paper: 15 of 130).",
        lower_bound=0.0,
        upper_bound=0.9,
    )
    flags.DEFINE_boolean(
        "validate_on_training",
        False,
        "Train and validate on all cases, a single one too: shows that network and data fit each "
        "other, and measures nothing else.",
    )
    flags.DEFINE_boolean("dry_run", False, "Print the plan and stop.")
    flag_groups.define_network_flags()
    flag_groups.define_training_flags(learning_rate=1e-4, batch_size=6)
    flag_groups.define_data_flags()
    augmentation_flags.define()
    flag_groups.define_machine_flags()


if __name__ == "__main__":
    flag_groups.run(main, _define_flags)

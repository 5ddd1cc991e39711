"""One cell of a study of liver networks: fine-tune, then measure, in one process.

The same as trainers.finetune with a pre-trained liver network, and then the liver that it finds in
the test cases of the fold against the one drawn. trainers.transfer_study runs its cells by this.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from trainers import finetune, flag_groups

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    from liver_tf.folder_lock import held_alone
    from liver_tf.records.manifest import load_manifest
    from trainers.measuring_liver import measure_fold

    status = finetune.main(argv)
    if status or FLAGS.dry_run:
        return status
    run = finetune.run_of_flags()
    with held_alone(run):
        measure_fold(run, Path(FLAGS.records), load_manifest(FLAGS.records))
    print(f"{run}: measured")
    return 0


def _define_flags() -> None:
    finetune._define_flags()
    flags.adopt_module_key_flags(finetune)


if __name__ == "__main__":
    flag_groups.run(main, _define_flags)

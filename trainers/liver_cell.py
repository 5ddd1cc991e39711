"""One cell of a study of liver networks: fine-tune, then measure, in one process.

The same as trainers.finetune with a pre-trained liver network, and then the liver that it finds in
the test cases of the fold against the one drawn. trainers.transfer_study runs its cells by this.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from trainers import cell, finetune, flag_groups

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    return cell.train_and_measure(argv, _measure)


def _measure(run: Path) -> None:
    from liver_tf.assessment.evaluate_liver import evaluate_liver_run
    from liver_tf.records.manifest import load_manifest

    evaluate_liver_run(run, Path(FLAGS.records), load_manifest(FLAGS.records))


def _define_flags() -> None:
    finetune._define_flags()
    flags.adopt_module_key_flags(finetune)


if __name__ == "__main__":
    flag_groups.run(main, _define_flags)

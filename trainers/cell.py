"""One run of a study grid: fine-tune, choose the post-processing and evaluate, in one process.

The same as liver-tf finetune, liver-tf choose_postprocessing and liver-tf evaluate (without its
report) one after the other, but started once. liver-tf reproduce starts its runs by this command.
"""

from liver_tf.command_line.run_command import run
from liver_tf.studies.finetune_and_evaluate import (
    LesionRunSettings,
    finetune_and_evaluate_lesions,
)


def main(settings: LesionRunSettings) -> int:
    finetune_and_evaluate_lesions(settings)
    return 0


if __name__ == "__main__":
    run(main)

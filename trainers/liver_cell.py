"""One run of a study grid with liver networks: fine-tune and evaluate, in one process.

The same as liver-tf finetune with a pre-trained liver network, then a comparison of the liver that
it finds in the test cases with the true one. liver-tf transfer_study starts its runs by this.
"""

from liver_tf.command_line.run_command import run
from liver_tf.studies.finetune_and_evaluate import finetune_and_evaluate_liver
from liver_tf.training.training_settings import FinetuneSettings


def main(settings: FinetuneSettings) -> int:
    finetune_and_evaluate_liver(settings)
    return 0


if __name__ == "__main__":
    run(main)

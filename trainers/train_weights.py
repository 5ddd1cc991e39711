"""Train the networks in the package on phantoms only, and pack them into liver_tf/weights.

Every step is a command of this program, printed before it runs; finished steps are skipped, and an
interrupted training resumes.
"""

from liver_tf.command_line.run_command import run
from liver_tf.studies.train_weights import TrainWeightsSettings, run_train_weights


def main(settings: TrainWeightsSettings) -> int:
    run_train_weights(settings)
    return 0


if __name__ == "__main__":
    run(main, tensorflow=False)

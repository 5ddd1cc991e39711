"""Train a liver or a lesion network from new weights on a large record set (LiTS in the paper)."""

from liver_tf.command_line.run_command import run
from liver_tf.training.training_settings import PretrainSettings


def main(settings: PretrainSettings) -> int:
    from liver_tf.training.pretraining import pretrain

    pretrain(settings)
    return 0


if __name__ == "__main__":
    run(main)

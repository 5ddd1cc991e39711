"""Fine-tune a pre-trained network on another record set, cycle by cycle.

In the paper: a lesion network on a small set with lesion types. A protocol is a flag file with one
--cycle=... for every cycle, which names the frozen blocks.
"""

from liver_tf.command_line.run_command import run
from liver_tf.training.training_settings import FinetuneSettings


def main(settings: FinetuneSettings) -> int:
    from liver_tf.training.finetuning import finetune

    finetune(settings)
    return 0


if __name__ == "__main__":
    run(main)

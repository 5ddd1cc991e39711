"""Fine-tune a pre-trained network on another record set, cycle by cycle.

In the paper: a lesion network on a small set with lesion types. A protocol is a flag file with one
--cycle=... for every cycle, which names the frozen blocks.
"""

from liver_tf.command_line.invocation import suggest, suggest_real_run
from liver_tf.command_line.run_command import run
from liver_tf.training.training_settings import FinetuneSettings


def main(settings: FinetuneSettings) -> int:
    from liver_tf.model.description import load_description
    from liver_tf.training.finetuning import finetune

    run_folder = finetune(settings)
    if settings.dry_run:
        dry_only = ["base_filters"] if settings.base_filters else []
        suggest_real_run(settings.missing_inputs(), dry_only)
    elif load_description(settings.pretrained).kind == "liver":
        suggest("predict", liver_run=run_folder, input="SCAN")
    elif settings.folds_file is None:
        suggest("predict", model=run_folder, input="SCAN")
    else:
        suggest("evaluate", run=run_folder)
    return 0


if __name__ == "__main__":
    run(main)

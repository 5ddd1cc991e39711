"""Train a liver or a lesion network from new weights on a large record set (LiTS in the paper)."""

from liver_tf.command_line.invocation import suggest, suggest_real_run
from liver_tf.command_line.run_command import run
from liver_tf.training.training_settings import PretrainSettings


def main(settings: PretrainSettings) -> int:
    from liver_tf.training.pretraining import pretrain

    pretrain(settings)
    if settings.dry_run:
        suggest_real_run(settings.missing_inputs())
    elif settings.network == "liver":
        output = f"{settings.records}_roi"
        suggest("make_rois", input=settings.records, liver_run=settings.run, output=output)
    else:
        suggest("finetune", flagfile="hier_freeze.flags", pretrained=settings.run)
    return 0


if __name__ == "__main__":
    run(main)

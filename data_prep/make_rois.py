"""Cut regions of interest around the liver out of a record set, for the lesion network.

The liver is the one that the liver network finds (its largest 3-D component), as in the paper, or
the true liver of the labels, for comparison.
"""

from liver_tf.command_line.invocation import suggest
from liver_tf.command_line.run_command import run
from liver_tf.conversion.roi_set_settings import RoiSetSettings, make_roi_set
from liver_tf.counted import counted


def main(settings: RoiSetSettings) -> int:
    manifest, summary = make_roi_set(settings)
    print(
        f"{settings.output}: {counted(manifest.records, 'ROI')} of "
        f"{counted(len(manifest.cases), 'case')}, "
        f"fingerprint {manifest.fingerprint[:16]}\n{summary}"
    )
    if manifest.label_set.has_types:
        suggest("finetune", flagfile="hier_freeze.flags", records=settings.output)
    else:
        suggest("pretrain", flagfile="flags/pretrain_lesion.flags", records=settings.output)
    return 0


if __name__ == "__main__":
    run(main)

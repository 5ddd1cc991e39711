"""Draw slices of a record set as training would augment them, to judge the ranges by eye.

Each row shows a slice, then its version in each of the first epochs of a run with the same --seed,
--image_size and ranges, with the augmentation applied underneath. The seed determines the
slices; each lesion type is shown in turn. The picture contains no identifiers, only pixels.
"""

from liver_tf.command_line.invocation import show_next
from liver_tf.command_line.run_command import run
from liver_tf.counted import counted
from liver_tf.inspection.augmentation_preview import PreviewSettings, draw_preview


def main(settings: PreviewSettings) -> int:
    slices = draw_preview(settings)
    print(f"{settings.output}: {counted(slices, 'slice')} in {counted(settings.versions, 'epoch')}")
    show_next(f"open {settings.output}")
    return 0


if __name__ == "__main__":
    run(main)

"""Paint computed lesions into real scans of healthy livers, for training.

Writes volumes and segmentations as in LiTS, or DICOM series with DICOM SEG, and a page with
pictures. They are marked as computed,
and count as the patients of their scans. Exit status 1 if a scan is refused.
"""

import sys

from liver_tf.command_line.invocation import suggest
from liver_tf.command_line.run_command import run
from liver_tf.counted import counted
from liver_tf.implants.implant_settings import ImplantSettings
from liver_tf.progress import with_progress


def main(settings: ImplantSettings) -> int:
    from liver_tf.implants.implanted_folder import PAGE, write_implanted

    if settings.liver_run is not None:
        from liver_tf.quiet_tensorflow import import_tensorflow

        import_tensorflow()
    lesions, refusals = write_implanted(
        settings, lambda steps, total: with_progress(steps, "implant", "scan", total)
    )
    print(f"{counted(lesions, 'lesion')}; see {settings.output / PAGE}")
    for refusal in refusals:
        print(refusal.text_with_path(), file=sys.stderr)
    if lesions:
        suggest("verify", source=settings.source, input=settings.output)
    return 1 if refusals else 0


if __name__ == "__main__":
    run(main, tensorflow=False)

"""Convert CT files to a record set.

NIfTI pairs as in LiTS, DICOM series with DICOM SEG, or single DICOM slices with masks. An
interrupted conversion resumes with the same command. Exit status 1 if anything is refused.
"""

import sys

from liver_tf.command_line.invocation import suggest
from liver_tf.command_line.run_command import run
from liver_tf.conversion.build_record_set import ConvertSettings, convert
from liver_tf.default_paths import LIVER_RUN


def main(settings: ConvertSettings) -> int:
    conversion = convert(settings)
    if conversion.manifest is not None:
        print(conversion.text())
        output = settings.output
        if conversion.manifest.label_set.has_types:
            liver_run = LIVER_RUN if LIVER_RUN.exists() else "bundled"
            suggest("make_rois", input=output, liver_run=liver_run, output=f"{output}_roi")
        else:
            suggest("pretrain", flagfile="flags/pretrain_liver.flags", records=output)
    if conversion.refusals:
        print(conversion.refusals_text(), file=sys.stderr)
    return 1 if conversion.refusals else 0


if __name__ == "__main__":
    run(main, tensorflow=False)

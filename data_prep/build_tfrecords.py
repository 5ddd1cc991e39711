"""Convert CT files to a record set.

NIfTI pairs as in LiTS, DICOM series with DICOM SEG, or single DICOM slices with masks. An
interrupted conversion resumes with the same command. Exit status 1 if anything is refused.
"""

import sys

from liver_tf.command_line.run_command import run
from liver_tf.conversion.build_record_set import ConvertSettings, convert


def main(settings: ConvertSettings) -> int:
    conversion = convert(settings)
    if conversion.manifest is not None:
        print(conversion.text())
    if conversion.refusals:
        print(conversion.refusals_text(), file=sys.stderr)
    return 1 if conversion.refusals else 0


if __name__ == "__main__":
    run(main, tensorflow=False)

"""Read a data set as the converter would, and report what it contains.

Prints a fingerprint, cautions, and every file that would be refused, with the remedy. Exit status
1 if anything is refused. Writes nothing, except with --html=FILE a page with pictures of masks on
images, which shows a flipped, shifted or mislabelled mask at a glance.
"""

from pathlib import Path

from liver_tf.command_line.invocation import suggest
from liver_tf.command_line.run_command import run
from liver_tf.inspection.verify_data_set import VerifySettings, verify


def main(settings: VerifySettings) -> int:
    verification = verify(settings)
    print(verification.text())
    if not verification.passed:
        return 1
    output = Path("tfrecords") / settings.input.resolve().stem
    suggest(
        *("build_tfrecords", "and other flags as here"),
        **{"source": settings.source, "input": settings.input, "output": output},
    )
    return 0


if __name__ == "__main__":
    run(main, tensorflow=False)

"""The paper's comparison on phantoms, from phantom generation to the report.

The full phantom cohort (332 slices of 140 patients, as many as the paper's), all protocols and
controls, every fold. Every step is a command of this program, printed before it runs; finished
steps are skipped.
"""

from liver_tf.command_line.run_command import run
from liver_tf.studies.phantom_study import PhantomStudySettings, run_phantom_study


def main(settings: PhantomStudySettings) -> int:
    run_phantom_study(settings)
    return 0


if __name__ == "__main__":
    run(main, tensorflow=False)

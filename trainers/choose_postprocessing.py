"""Choose threshold, hole filling and minimum lesion size on a run's validation patients.

The choice is saved with the run, in postprocessing.json, and used by predict, evaluate and export.
The test patients are not read.
"""

from liver_tf.assessment.assessment_settings import ChooseSettings
from liver_tf.command_line.invocation import suggest
from liver_tf.command_line.run_command import run


def main(settings: ChooseSettings) -> int:
    from liver_tf.assessment.choose_postprocessing import choose_and_save

    for summary in choose_and_save(settings):
        print(summary)
    liver_run, records = settings.liver_run, settings.records
    suggest("evaluate", run=settings.run, liver_run=liver_run, records=records)
    return 0


if __name__ == "__main__":
    run(main)

"""The paper's and the recommended settings on one test cohort of phantoms, with an ablation.

Both presets train their own networks; every fine-tuning is repeated with several seeds and also
evaluated as an ensemble. Every step is a command of this program, printed before it runs; finished
steps are skipped, and an interrupted study resumes with the same command.
"""

from liver_tf.command_line.run_command import run
from liver_tf.studies.preset_study import PresetStudySettings, run_preset_study


def main(settings: PresetStudySettings) -> int:
    run_preset_study(settings)
    return 0


if __name__ == "__main__":
    run(main, tensorflow=False)

"""The paper's comparison: folds x protocols x seeds, each fine-tuned and evaluated; one report.

An interrupted study resumes with the same command: finished runs are not repeated, and no test
fold is evaluated twice. --only executes single runs, for any scheduler. See docs/reproduce.md.
"""

from liver_tf.command_line.run_command import run
from liver_tf.studies.study_settings import ReproduceSettings


def main(settings: ReproduceSettings) -> int:
    from liver_tf.studies.reproduce import reproduce

    return 0 if reproduce(settings) else 1


if __name__ == "__main__":
    run(main, tensorflow=False)

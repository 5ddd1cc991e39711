"""The complete workflow on phantom data, with the same commands as for real data.

Every step is a command of this program, printed before it runs. Finished steps are skipped.
"""

from liver_tf.command_line.run_command import run
from liver_tf.studies.demo import DemoSettings, run_demo


def main(settings: DemoSettings) -> int:
    run_demo()
    return 0


if __name__ == "__main__":
    run(main, tensorflow=False)

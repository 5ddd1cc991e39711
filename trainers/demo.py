"""The demo: the workflow end to end on phantom data, with the commands that real data need too.

Every step is a command of this program, printed before it runs. Finished steps are skipped.
"""

from __future__ import annotations

from absl import app


def main(argv: list[str]) -> int:
    from liver_tf.studies.demo import run_demo

    del argv
    run_demo()
    return 0


if __name__ == "__main__":
    app.run(main)

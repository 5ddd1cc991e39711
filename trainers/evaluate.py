"""Evaluate fine-tuned runs on the test patients of their fold, and print the paper's table.

Runs of one protocol on several folds and with several seeds are pooled. The results are kept in
each run's folder, under measures/, and reused.
"""

from liver_tf.assessment.assessment_settings import EvaluateSettings
from liver_tf.command_line.invocation import suggest
from liver_tf.command_line.run_command import run


def main(settings: EvaluateSettings) -> int:
    from liver_tf.assessment.evaluate import evaluate

    evaluation = evaluate(settings)
    print(evaluation.table)
    print("\nreport: " + "\n        ".join(str(path) for path in evaluation.files[:3]))
    suggest("predict", model=evaluation.best, liver_run=settings.liver_run, input="SCAN")
    return 0


if __name__ == "__main__":
    run(main)

"""Outline and classify the lesions of scans: NIfTI volumes, DICOM series, DICOM slices.

Cautions and refusals are listed at the end. Exit status 1 if a scan is refused.
"""

import sys

from liver_tf.command_line.run_command import run
from liver_tf.prediction.prediction_settings import PredictSettings


def main(settings: PredictSettings) -> int:
    from liver_tf.prediction.many_scans import ScanOutcome, predict

    def show(outcome: ScanOutcome) -> None:
        if outcome.results is not None:
            print(outcome.results.text, flush=True)
        else:
            print(f"{outcome.scan}: refused", file=sys.stderr)

    predicted = predict(settings, on_outcome=show)
    for line in (*predicted.caution_lines(), *predicted.error_lines()):
        print(line, file=sys.stderr)
    return 1 if predicted.refused else 0


if __name__ == "__main__":
    run(main)

"""Outline and classify the lesions of scans: NIfTI volumes, DICOM series, DICOM slices.

Finished scans in the output folder are kept, so an interrupted command resumes. Cautions and
refusals are listed at the end. Exit status 1 if a scan is refused.
"""

import sys
from functools import partial

from liver_tf.command_line.invocation import show_next
from liver_tf.command_line.run_command import run
from liver_tf.prediction.prediction_settings import PredictSettings


def main(settings: PredictSettings) -> int:
    from tqdm import tqdm

    from liver_tf.prediction.many_scans import ScanOutcome, predict
    from liver_tf.prediction.worklist import INDEX

    def show(outcome: ScanOutcome) -> None:
        if outcome.results is not None:
            tqdm.write(outcome.results.text, file=sys.stdout)  # above the bar
            sys.stdout.flush()
        else:
            tqdm.write(f"{outcome.scan}: refused", file=sys.stderr)

    # No bar unless standard error is a terminal.
    bar = partial(tqdm, desc="predict", unit="scan", disable=None)
    predicted = predict(settings, on_outcome=show, progress=bar)
    if predicted.kept_line():
        print(predicted.kept_line(), flush=True)
    for line in (*predicted.caution_lines(), *predicted.error_lines()):
        print(line, file=sys.stderr)
    if predicted.listed:
        show_next(f"open {settings.output / INDEX}")
    return 1 if predicted.refused else 0


if __name__ == "__main__":
    run(main)

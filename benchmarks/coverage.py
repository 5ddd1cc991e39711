"""Coverage of the 95 % bootstrap intervals, by number of seeds.

    python -m benchmarks.coverage

Three folds of 16 patients with one slice each. The measure of a slice is the sum of a patient, a
network and a residual term, normal with equal standard deviations: a hard case, since networks of
one protocol rarely differ as much as patients do. The true mean is 0. With one seed the interval
covers the variation of patients only, not what another training would give.
"""

from dataclasses import replace

import numpy as np
from absl import app, flags

FLAGS = flags.FLAGS

FOLDS, PATIENTS = 3, 16


def main(argv: list[str]) -> None:
    del argv
    print("| seeds | coverage | standard error |\n| ---: | ---: | ---: |", flush=True)
    for seeds in (1, 2, 3, 5):
        share = coverage(seeds, FLAGS.data_sets, FLAGS.samples)
        error = np.sqrt(share * (1 - share) / FLAGS.data_sets)
        print(f"| {seeds} | {share:.3f} | {error:.3f} |", flush=True)


def coverage(seeds: int, data_sets: int, samples: int) -> float:
    """Share of data sets whose interval holds the truth."""
    from liver_tf.labels import LESION_TYPES
    from liver_tf.measures.compare_with_truth import compare_with_truth
    from liver_tf.measures.measure_sums import RatioSums
    from liver_tf.statistics.bootstrap_intervals import resample

    lesion = np.array([[2]], np.uint8)
    one = compare_with_truth(lesion, lesion, LESION_TYPES, patient="", case="c", slice_index=0)
    shape = (FOLDS, PATIENTS, seeds)
    results = [
        replace(one, patient=f"{fold} {patient}", fold=str(fold), seed=seed)
        for fold, patient, seed in np.ndindex(shape)
    ]
    rng = np.random.default_rng(seeds)
    holds = 0
    for data_set in range(data_sets):
        values = rng.normal(size=(FOLDS, PATIENTS, 1)) + rng.normal(size=(FOLDS, 1, seeds))
        values = (values + rng.normal(size=shape)).ravel()
        terms = {"mean": RatioSums(values, np.ones(values.size))}
        holds += (
            resample(results, terms, samples=samples, seed=data_set).interval("mean").holds_zero
        )
    return holds / data_sets


if __name__ == "__main__":
    flags.DEFINE_integer("data_sets", 2_000, "Simulated data sets.", lower_bound=1)
    flags.DEFINE_integer("samples", 1_000, "Resamples per data set.", lower_bound=10)
    app.run(main)

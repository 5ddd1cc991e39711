"""A small random cohort of slices, each with truth and prediction."""

from dataclasses import replace

import numpy as np

from liver_tf.labels import LESION_TYPES
from liver_tf.measures.compare_with_truth import compare_with_truth


def draw_slice(rng, quality):
    """Truth and prediction, uint8 [24, 32]; ``quality`` is the probability of a detection."""
    truth = np.zeros((24, 32), np.uint8)
    truth[4:20, 4:28] = 1
    predicted = np.roll(truth, 1, axis=1)
    if rng.random() < 0.75:
        row, column, label = rng.integers(6, 13), rng.integers(6, 20), rng.integers(2, 5)
        truth[row : row + 5, column : column + 5] = label
        if rng.random() < quality:
            shift = rng.integers(0, 3)
            guess = label if rng.random() < quality else rng.integers(2, 5)
            predicted[row + shift : row + shift + 5, column : column + 5] = guess
    elif rng.random() > quality:
        predicted[10:12, 10:12] = 2
    return truth, predicted


def make_cohort(quality, patients=20, seed=0):
    """Results of a protocol: 3 slices of each of ``patients``; see :func:`draw_slice`."""
    results = []
    for patient in range(patients):
        for index in range(3):
            # One random stream per slice, so that the truth does not depend on the protocol.
            rng = np.random.default_rng((seed, patient, index))
            truth, predicted = draw_slice(rng, quality)
            identity = {"patient": f"p{patient:02}", "case": "c", "slice_index": index}
            type_pixels = np.bincount(predicted.ravel(), minlength=5)[2:]
            more = {"spacing_mm": (1.5, 1.5), "type_scores": type_pixels + rng.random(3) * 20}
            more["lesion_probability"] = np.linspace(0.5, 1.0, truth.size).reshape(truth.shape)
            result = compare_with_truth(truth, predicted, LESION_TYPES, **identity, **more)
            results.append(replace(result, temperature=1.4))
    return results


def slice_result(patient, *, hit, index=0, seed=0):
    """Result of a slice with a lesion of 2 pixels, ``hit`` of which are predicted."""
    truth, predicted = np.array([[2, 2]], np.uint8), np.array([[1, 1]], np.uint8)
    predicted[0, :hit] = 2
    identity = {"patient": patient, "case": "c", "slice_index": index}
    return replace(compare_with_truth(truth, predicted, LESION_TYPES, **identity), seed=seed)

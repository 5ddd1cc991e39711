"""The combinations of settings that are tried, their measures on slices, and the best of them."""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from liver_tf.inference.cascade import Cascade
from liver_tf.inference.decision_rules import THRESHOLD
from liver_tf.inference.decision_threshold import decide, lesion_probability
from liver_tf.inference.pixel_runs import IN_SLICE, PixelRuns, components, holes, paint, runs_of
from liver_tf.inference.postprocessing import NOTHING, PostProcessing
from liver_tf.inference.slice_batches import BATCH, SliceGraph
from liver_tf.inference.small_lesions import least_pixels
from liver_tf.labels import LIVER
from liver_tf.records.record_schema import SliceRecord

_LIMIT = math.log(0.999 / 0.001)

#: Evenly spaced in logit from 0.001 to 0.999; the middle one is 0.5.
THRESHOLDS = tuple(round(1 / (1 + math.exp(-x)), 6) for x in np.linspace(-_LIMIT, _LIMIT, 41))
FILL_HOLES = (False, True)
LEAST_AREAS_MM2 = (0.0, 10.0, 20.0, 30.0, 50.0, 75.0, 100.0, 150.0, 200.0)

#: A gain in Dice2 below this never justifies a more complex combination.
WORTH = 0.005

_DIGITS = 4


def combinations(decision: str, corrected: bool) -> tuple[PostProcessing, ...]:
    """Every combination of a decision rule: threshold, hole filling, minimum area."""
    thresholds = THRESHOLDS if decision == THRESHOLD else (None,)
    tried = itertools.product(thresholds, FILL_HOLES, LEAST_AREAS_MM2)
    return tuple(PostProcessing(*values, corrected=corrected) for values in tried)


@dataclass(frozen=True)
class Choice:
    """The best combination, the measures of all (``table``), and warnings in words."""

    how: PostProcessing
    table: list[dict[str, Any]]
    warnings: list[str]


def best_of(
    tried: tuple[PostProcessing, ...], dice: np.ndarray, detected: np.ndarray, most: float
) -> Choice:
    """The simplest of the combinations that are about as good as the best one.

    Only combinations with few false positives count. About as good: within one standard error of
    the best Dice2, or within ``WORTH`` (the one-standard-error rule, Breiman et al., Classification
    and Regression Trees, 1984). The standard error is that of the paired difference over slices.
    The best itself would be the luckiest of hundreds on few validation patients.

    Args:
      tried: as of ``combinations``.
      dice, detected: as of ``measure_combinations``.
      most: largest share of slices without a lesion in which one may be detected. If no
        combination keeps to it, those with the lowest share are compared.
    """
    dice2 = dice.mean(axis=0)
    rate = detected.mean(axis=0) if len(detected) else np.zeros(len(tried))
    allowed = rate <= max(most, rate.min()) + 1e-9
    top = np.flatnonzero(allowed)[dice2[allowed].argmax()]
    error = (dice - dice[:, [top]]).std(axis=0, ddof=min(1, len(dice) - 1)) / math.sqrt(len(dice))
    good = np.flatnonzero(allowed & (dice2 >= dice2[top] - np.maximum(error, WORTH)))
    best = min(good, key=lambda k: (*tried[k].simplicity()[:3], rate[k], -dice2[k]))
    table = [
        {
            **asdict(how),
            "dice2": round(float(dice2[k]), _DIGITS),
            "false_positive_rate": round(float(rate[k]), _DIGITS) if len(detected) else None,
        }
        for k, how in enumerate(tried)
    ]
    warnings = _at_limits(tried[best])
    if not len(detected):
        warnings.append("No validation slice is without a lesion: false positives are not limited.")
    elif rate[best] > most:
        warnings.append(
            f"No combination has a false-positive rate of {most:g} or less on healthy slices: the "
            f"lowest, {rate[best]:.2f}, was chosen."
        )
    if dice2[best] <= dice2.max() / 2:
        warnings.append(
            f"At this false-positive rate Dice2 is {dice2[best]:.2f}; the best of all combinations "
            f"is {dice2.max():.2f}. The network is of little use."
        )
    return Choice(tried[best], table, warnings)


def _at_limits(how: PostProcessing) -> list[str]:
    """A warning for each setting at the limit of its range."""
    limits = []
    if how.lesion_probability in (THRESHOLDS[0], THRESHOLDS[-1]):
        limits.append(
            f"threshold {how.lesion_probability:g} (searched {THRESHOLDS[0]:g} to "
            f"{THRESHOLDS[-1]:g})"
        )
    if how.least_area_mm2 == LEAST_AREAS_MM2[-1]:
        limits.append(
            f"minimum area {how.least_area_mm2:g} mm2 (searched up to {LEAST_AREAS_MM2[-1]:g})"
        )
    return [
        f"The {setting} is at the limit of the search: a better value may lie beyond. The network "
        "may be poorly calibrated or insufficiently trained."
        for setting in limits
    ]


def measure_combinations(
    cascade: Cascade,
    tried: tuple[PostProcessing, ...],
    patients: Iterable[Iterable[SliceRecord]],
) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate combinations on the slices of patients.

    Args:
      cascade: its probabilities are corrected if those of ``tried`` are.
      tried: as of ``combinations``.

    Returns:
      Lesion Dice of the slices with a lesion, float64 [slices, combinations], 0 for a lesion
      without outline; for the slices without a lesion whether one was detected, bool of the same
      form.
    """
    thresholds = tuple(dict.fromkeys(how.lesion_probability for how in tried))
    dice, detected = [], []
    for record, predicted, correct in _lesion_pixels(cascade, thresholds, patients):
        true = int((record.labels > LIVER).sum())
        if true:
            dice.append(2 * correct / (true + predicted))
        elif record.diagnosis in cascade.label_set.lesions:
            dice.append(np.zeros(len(tried)))
        else:
            detected.append(predicted > 0)
    form = -1, len(tried)
    return np.array(dice, float).reshape(form), np.array(detected, bool).reshape(form)


def _lesion_pixels(
    cascade: Cascade,
    thresholds: tuple[float | None, ...],
    patients: Iterable[Iterable[SliceRecord]],
) -> Iterator[tuple[SliceRecord, np.ndarray, np.ndarray]]:
    """Each slice with its predicted and correct lesion pixels, int64 [combinations].

    Slices are batched as in the evaluation. Networks are applied once.
    """
    graph = SliceGraph(cascade.undecided, tf.TensorSpec([None, 2], tf.float32))
    for patient in map(list, patients):
        for shape in dict.fromkeys(record.image.shape for record in patient):
            same = [record for record in patient if record.image.shape == shape]
            for first in range(0, len(same), BATCH):
                batch = same[first : first + BATCH]
                spacing = np.array([r.spacing_mm or (0.0, 0.0) for r in batch], np.float32)
                undecided = graph(np.stack([record.image for record in batch]), spacing)
                least = [
                    least_pixels(tf.constant(spacing), PostProcessing(least_area_mm2=area)).numpy()
                    for area in LEAST_AREAS_MM2
                ]
                for k, record in enumerate(batch):
                    masks = _masks(undecided, k, thresholds)
                    row, column = undecided["origin"][k].numpy()
                    rows, columns = masks.shape[1:]
                    truth = record.labels[row : row + rows, column : column + columns] > LIVER
                    yield record, *_counts(masks, truth, np.array([each[k] for each in least]))


def _masks(undecided: dict[str, Any], k: int, thresholds: tuple[float | None, ...]) -> np.ndarray:
    """The lesion mask of a slice's window by each threshold, bool [thresholds, rows, columns]."""
    one = slice(k, k + 1)
    probabilities = undecided["probabilities"][one]
    inside = None if undecided["inside"] is None else undecided["inside"][one]
    if thresholds == (None,):
        return (decide(probabilities, inside, NOTHING) > LIVER).numpy()
    least = np.array(thresholds, np.float32)[:, None, None]
    masks: np.ndarray = lesion_probability(probabilities).numpy() >= least
    return masks if inside is None else masks & inside.numpy()


def _counts(
    masks: np.ndarray, truth: np.ndarray, least: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lesion pixels of masks, and those of them in ``truth``, by mask, hole filling and area.

    Args:
      masks: bool [thresholds, rows, columns].
      truth: bool [rows, columns].
      least: int [areas], pixels of the smallest lesion that is kept.

    Returns:
      Two int64 [thresholds * 2 * areas], in the order of ``combinations``.
    """
    runs = runs_of(masks, masks.shape)
    filled = runs_of(masks | paint(gaps), masks.shape) if len(gaps := holes(runs)) else runs
    of_both = [_of_areas(each, truth, least) for each in (runs, filled)]
    predicted, correct = (np.stack(each, axis=1).reshape(-1) for each in zip(*of_both, strict=True))
    return predicted, correct


def _of_areas(
    runs: PixelRuns, truth: np.ndarray, least: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """As ``_counts`` for one way of filling holes, int64 [thresholds, areas] each."""
    index, count = components(runs, IN_SLICE)
    sizes = np.bincount(index, runs.length, minlength=count)[index]
    up_to = np.pad(truth.cumsum(axis=1), [(0, 0), (1, 0)])
    correct = up_to[runs.row, runs.end] - up_to[runs.row, runs.start]
    kept = sizes >= least[:, None]
    thresholds = np.arange(runs.shape[0])
    first = np.searchsorted(runs.slice, np.append(thresholds, runs.shape[0]))
    totals = []
    for pixels in (runs.length, correct):
        sums = np.pad((kept * pixels).cumsum(axis=1), [(0, 0), (1, 0)])
        totals.append((sums[:, first[1:]] - sums[:, first[:-1]]).T)
    return totals[0], totals[1]

"""Every measure, as sums over slices.

``compare_with_truth`` has condensed each slice to a ``SliceResult``; here each measure becomes
 a sum over these, which is what lets ``bootstrap`` resample patients without
touching a pixel again. Where several networks (seeds) predicted a slice, each of its results
weighs as much less: seeds are averaged within a slice, and never make one look like many.

Source: Heker, Ben-Cohen, Greenspan, arXiv 1907.13409. What the paper leaves open (slices without
a detection, empty outlines, ties) is decided here and written beside each rule; docs/measures.md
tells all of it in one place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from liver_tf.labels import BACKGROUND, LIVER
from liver_tf.measures.calibration import calibration_terms
from liver_tf.measures.lesion_matching import IOU_THRESHOLDS, MatchedLesion
from liver_tf.measures.measure_sums import AnyTerms, PairTerms, Terms
from liver_tf.measures.size_bins import SIZE_BINS, UNKNOWN, size_bin
from liver_tf.measures.slice_result import PixelCounts, SliceResult

#: Measures of slices with a lesion that are also given by the size of the lesion.
_SLICES_BY_SIZE = (
    "dice1",
    "dice2",
    "success",
    "accuracy",
    "accuracy_detected",
    "detected",
    "hd95_lesion_mm",
    "assd_lesion_mm",
    "pooled_dice_lesion",
)


def measure_terms(results: Sequence[SliceResult]) -> dict[str, AnyTerms]:
    """Every measure of ``summarise`` as sums over slices.

    Raises:
      ValueError: the results come from different label sets.
    """
    names = _class_names(results)
    weights = row_weights(results)
    terms = {
        **_of_slices(results),
        **_of_cases(results, names),
        **_of_lesions(results, lambda lesion: True),
        **_of_types(results, names[LIVER + 1 :]),
    }
    weighted: dict[str, AnyTerms] = {name: _weighted(one, weights) for name, one in terms.items()}
    weighted |= _of_rankings(results, names[LIVER + 1 :], weights)
    for suffix, scaled in (("", False), ("_scaled", True)):
        weighted[f"calibration_error{suffix}"] = calibration_terms(results, weights, scaled=scaled)
    return weighted


def terms_by_size(results: Sequence[SliceResult]) -> dict[str, dict[str, Terms]]:
    """Measures of slices with a lesion, and of lesions, by the size of the lesion.

    A slice belongs to the bin of its largest true lesion; lesion-wise recall takes every true
    lesion by its own size, precision every predicted one by its own. Areas under ROC curves and
    calibration errors are not given: by bin there are too few slices for either.

    Returns:
      bin -> measure -> terms, for the bins of ``size_bins`` and, where a lesion has no known size,
      ``size_unknown``.
    """
    names = _class_names(results)
    weights = row_weights(results)
    sizes = [r.size if r.has_lesion else None for r in results]
    seen = {size_bin(one.diameter_mm) for r in results for one in _all_lesions(r)}
    of_slices = _of_slices(results)
    of_types = _of_types(results, names[LIVER + 1 :])
    found = {}
    for bin_name in (*SIZE_BINS, *([UNKNOWN] if UNKNOWN in seen else [])):
        here = _column(size == bin_name for size in sizes) * weights
        of_lesions = _of_lesions(
            results, lambda one, name=bin_name: size_bin(one.diameter_mm) == name
        )
        found[bin_name] = {
            **{name: _weighted(of_slices[name], here) for name in _SLICES_BY_SIZE},
            **{name: _weighted(one, here) for name, one in of_types.items()},
            # F1 would mix true lesions of the bin with found ones that match lesions of another.
            **{
                name: _weighted(one, weights)
                for name, one in of_lesions.items()
                if not name.startswith("lesion_f1")
            },
        }
    return found


def summarise(results: Sequence[SliceResult]) -> dict[str, float | int | None]:
    """Counts and measures over a set of slices, safe to write as JSON (None, never NaN).

    The paper's measures run over the slices that truly hold a lesion:

    * ``success``: share in which the prediction overlaps the true lesion.
    * ``dice1``: mean Dice (lesion against rest) over those with overlap; None if there is none.
    * ``dice2``: the same mean over all of them, a miss counting 0.
    * ``accuracy``: share whose majority class is the true type; without a detection it is wrong.

    Beyond the paper:

    * ``accuracy_detected``: share right among slices with a lesion in which any lesion pixel was
      predicted; ``detected``: share of slices with a lesion in which any was.
    * ``healthy_false_positive_rate``: share of healthy slices with a predicted lesion pixel;
      ``healthy_false_positives_per_slice``: predicted lesions per healthy slice.
    * ``dice_liver``: liver or lesion against background, mean over slices in which truth or
      prediction has any. ``case_dice_*``: the pixels of a case added up first, then the mean over
      cases in which truth or prediction has any. ``pooled_dice_*``: the pixels of all slices
      added up, healthy ones included. The class ``liver`` is liver outside lesions.
    * ``hd95_*_mm``, ``assd_*_mm``: mean over slices in which truth and prediction both have any.
    * ``lesion_recall_iouN``, ``lesion_precision_iouN``, ``lesion_f1_iouN``: over all lesions, a
      pair counting from an IoU of N % on.
    * ``sensitivity_TYPE``, ``specificity_TYPE``: the type against all else, healthy slices
      included, by majority class; a slice without a detection is called no type.
    * ``auc_TYPE``: by the scores of the types, over slices with a lesion; one
      without a detection scores all types alike.
    * ``calibration_error``, ``calibration_error_scaled``: see ``calibration``.

    A measure over nothing at all is None. ``images``, ``lesion_images``, ``healthy_images`` and
    ``patients`` count each slice once, however many networks (``networks``) predicted it.
    """
    lesion_of = {r.image: r.has_lesion for r in results}
    counts = {
        "images": len(lesion_of),
        "lesion_images": sum(lesion_of.values()),
        "healthy_images": len(lesion_of) - sum(lesion_of.values()),
        "patients": len({r.patient for r in results}),
        "networks": len({r.network for r in results}),
    }
    return counts | {name: terms.value() for name, terms in measure_terms(results).items()}


def row_weights(results: Sequence[SliceResult]) -> np.ndarray:
    """One by how often its slice was predicted, float64 [results].

    Raises:
      ValueError: one network predicted a slice twice.
    """
    keys = Counter((r.image, r.network) for r in results)
    if keys and max(keys.values()) > 1:
        raise ValueError(
            f"expected every slice once per network; got {sum(n > 1 for n in keys.values())} "
            "slices several times. Give the results of several seeds their seed."
        )
    times = Counter(r.image for r in results)
    return _column(1.0 / times[r.image] for r in results)


def _of_slices(results: Sequence[SliceResult]) -> dict[str, Terms]:
    lesion = _column(r.has_lesion for r in results)
    detected = _column(r.detected for r in results)
    overlap = _column(r.overlap for r in results) * lesion
    right = _column(r.true_diagnosis == r.predicted_diagnosis for r in results) * lesion
    dice = _column(r.dice or 0.0 for r in results) * lesion
    found = _column(len(r.found_lesions) for r in results)
    return {
        "dice1": Terms(dice * overlap, overlap),
        "dice2": Terms(dice, lesion),
        "success": Terms(overlap, lesion),
        "accuracy": Terms(right, lesion),
        "accuracy_detected": Terms(right * detected, lesion * detected),
        "detected": Terms(lesion * detected, lesion),
        "healthy_false_positive_rate": Terms((1 - lesion) * detected, 1 - lesion),
        "healthy_false_positives_per_slice": Terms((1 - lesion) * found, 1 - lesion),
        "hd95_lesion_mm": _mean(_distance(r.lesion_surface, "hd95_mm") for r in results),
        "assd_lesion_mm": _mean(_distance(r.lesion_surface, "assd_mm") for r in results),
        "dice_liver": _mean(r.liver.dice for r in results),
        "hd95_liver_mm": _mean(_distance(r.liver_surface, "hd95_mm") for r in results),
        "assd_liver_mm": _mean(_distance(r.liver_surface, "assd_mm") for r in results),
        "pooled_dice_lesion": _pooled([r.lesion for r in results]),
    }


def _of_cases(results: Sequence[SliceResult], names: tuple[str, ...]) -> dict[str, Terms]:
    regions: dict[str, Callable[[SliceResult], PixelCounts]] = {
        "liver": lambda r: r.liver,
        "lesion": lambda r: r.lesion,
    }
    for name in names[BACKGROUND + 1 :]:
        regions[f"class_{name}"] = lambda r, name=name: r.classes[name]
    terms = {
        f"pooled_dice_{region}": _pooled([counts(r) for r in results])
        for region, counts in regions.items()
        if region.startswith("class_")
    }
    for region, counts in regions.items():
        sums: dict[tuple, list[int]] = {}
        first: dict[tuple, int] = {}
        for row, result in enumerate(results):
            case = (result.patient, result.case, result.network)
            first.setdefault(case, row)
            one = counts(result)
            total = sums.setdefault(case, [0, 0])
            total[0] += 2 * one.both
            total[1] += one.true + one.predicted
        # A case's Dice stands in its first slice, so that it goes where its patient goes.
        dice = np.zeros((len(results), 2))
        for case, (above, below) in sums.items():
            if below:
                dice[first[case]] = above / below, 1.0
        terms[f"case_dice_{region}"] = Terms(*dice.T)
    return terms


def _of_lesions(
    results: Sequence[SliceResult], wanted: Callable[[MatchedLesion], bool]
) -> dict[str, Terms]:
    terms = {}
    for least in IOU_THRESHOLDS:
        sides = [
            [[one.iou >= least for one in lesions if wanted(one)] for lesions in side]
            for side in ((r.true_lesions for r in results), (r.found_lesions for r in results))
        ]
        true, found = (_column(map(len, side)) for side in sides)
        true_hits, found_hits = (_column(map(sum, side)) for side in sides)
        percent = round(100 * least)
        terms[f"lesion_recall_iou{percent}"] = Terms(true_hits, true)
        terms[f"lesion_precision_iou{percent}"] = Terms(found_hits, found)
        terms[f"lesion_f1_iou{percent}"] = Terms(true_hits + found_hits, true + found)
    return terms


def _of_types(results: Sequence[SliceResult], types: tuple[str, ...]) -> dict[str, Terms]:
    terms = {}
    for label, name in enumerate(types, LIVER + 1):
        true = _column(r.true_diagnosis == label for r in results)
        called = _column(r.predicted_diagnosis == label for r in results)
        terms[f"sensitivity_{name}"] = Terms(true * called, true)
        terms[f"specificity_{name}"] = Terms((1 - true) * (1 - called), 1 - true)
    return terms


def _of_rankings(
    results: Sequence[SliceResult], types: tuple[str, ...], weights: np.ndarray
) -> dict[str, AnyTerms]:
    alike = (1.0 / max(len(types), 1),) * len(types)
    scores = np.array(
        [r.type_scores if r.type_scores is not None else alike for r in results], np.float64
    ).reshape(len(results), len(types))
    # Results that were detected but never scored (by an older program) cannot be ranked.
    ranked = _column(
        r.has_lesion and (r.type_scores is not None or not r.detected) for r in results
    )
    places = {network: place for place, network in enumerate(sorted({r.network for r in results}))}
    networks = np.array([places[r.network] for r in results], np.int64)
    return {
        f"auc_{name}": PairTerms(
            scores[:, column],
            np.array([r.true_diagnosis == LIVER + 1 + column for r in results], bool),
            weights * ranked,
            networks,
        )
        for column, name in enumerate(types)
    }


def _all_lesions(result: SliceResult) -> tuple[MatchedLesion, ...]:
    return (*result.true_lesions, *result.found_lesions)


def _distance(distances, name: str) -> float | None:
    return None if distances is None else getattr(distances, name)


def _weighted(terms: Terms, weights: np.ndarray) -> Terms:
    return Terms(terms.numerator * weights, terms.denominator * weights)


def _mean(values: Iterable[float | None]) -> Terms:
    """Mean over the slices in which a value is defined."""
    values = list(values)
    return Terms(_column(v or 0.0 for v in values), _column(v is not None for v in values))


def _class_names(results: Sequence[SliceResult]) -> tuple[str, ...]:
    kinds = {tuple(r.classes) for r in results}
    if len(kinds) > 1:
        raise ValueError(f"expected results of one label set; got {sorted(kinds)}")
    return kinds.pop() if kinds else ()


def _column(values) -> np.ndarray:
    return np.fromiter(values, dtype=np.float64)


def _pooled(counts: Sequence[PixelCounts]) -> Terms:
    return Terms(
        _column(2.0 * c.both for c in counts), _column(c.true + c.predicted for c in counts)
    )

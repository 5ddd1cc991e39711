"""Comparisons of protocols: which pairs, in which measures, and their differences."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from liver_tf.measures.measure_registry import COMPARED, PAPER_MEASURES, all_measures
from liver_tf.measures.measure_sums import MeasureSums, RatioSums
from liver_tf.measures.slice_result import SliceResult
from liver_tf.results.run_results import LOOSE, is_ensemble
from liver_tf.statistics.bootstrap_intervals import Interval, Resamples, resample
from liver_tf.statistics.paired_difference import PairedDifference
from liver_tf.statistics.permutation_test import holm, permutation_test
from liver_tf.statistics.resample_count import SAMPLES

#: The protocol that all others are compared with.
REFERENCE = "baseline"

#: Control of equal training length -> the protocol whose order of freezing it isolates.
CONTROLS = {
    "no_freezing_5_cycles": "hier_freeze",
    "no_freezing_6_cycles": "hier_unfreeze",
}

#: Reference -> protocol with anatomical data augmentation, and the paper's method against it.
ANATOMICAL = (("hier_unfreeze", "hier_unfreeze_anatomical"), ("anatomical", "hier_unfreeze"))


def compare(
    results: Mapping[str, Sequence[SliceResult]],
    resamples: Mapping[str, Resamples[str]],
    *,
    measures: Sequence[str] = COMPARED,
    permutations: int = SAMPLES,
    samples: int = SAMPLES,
    seed: int = 0,
) -> tuple[PairedDifference, ...]:
    """Paired differences of ``compared_pairs``, measure by measure.

    Only folds and seeds that both protocols have are compared. Holm's correction covers all
    comparisons in all measures, separately for the clean protocols and for those validated on the
    test fold.

    Args:
      results: slices of every protocol.
      resamples: resamples of every protocol.
      measures: measures that are undefined for all protocols are omitted, except the paper's.
      samples: number of resamples for pairs that have only some networks in common.
      seed: seed of permutations and resamples.

    Raises:
      ValueError: two protocols predicted different slices on a fold and seed.
    """
    pairs = compared_pairs(tuple(results))
    sides = {
        pair: _common_sides(pair, results, resamples, measures, samples=samples, seed=seed)
        for pair in pairs
    }
    observed = [drawn.observed for drawn in resamples.values()]
    differences = []
    for measure in measures:
        if measure not in PAPER_MEASURES and all(o.get(measure) is None for o in observed):
            continue
        differences += [
            _difference(measure, pair, *sides[pair], permutations=permutations, seed=seed)
            for pair in pairs
        ]
    # Comparisons validated on the test fold must not weaken the clean ones.
    for loose in (False, True):
        family = [k for k, d in enumerate(differences) if d.protocol.endswith(LOOSE) is loose]
        for k, p in zip(family, holm([differences[k].p for k in family]), strict=True):
            differences[k] = replace(differences[k], p_holm=p)
    return tuple(differences)


def compared_pairs(protocols: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(reference, protocol): all against the baseline, against their controls, and ``ANATOMICAL``.

    Ensembles are not compared: against single networks of another protocol, two effects would mix.
    Protocols validated on the test fold (``LOOSE`` in their names) are compared only with each
    other.
    """
    pairs = []
    protocols = [name for name in protocols if not is_ensemble(name)]
    for suffix in ("", f", {LOOSE}"):
        names = [name for name in protocols if name.endswith(LOOSE) is bool(suffix)]
        reference = f"{REFERENCE}{suffix}"
        if reference in names:
            pairs += [(reference, name) for name in names if name != reference]
        controls = [(f"{c}{suffix}", f"{name}{suffix}") for c, name in CONTROLS.items()]
        controls += [(f"{a}{suffix}", f"{b}{suffix}") for a, b in ANATOMICAL]
        pairs += [pair for pair in controls if set(pair) <= set(names)]
    return tuple(pairs)


@dataclass(frozen=True)
class _Side:
    """One of two protocols, restricted to the networks that both have."""

    resamples: Resamples[str]
    measures: Mapping[str, MeasureSums]


def _common_sides(
    pair: tuple[str, str],
    results: Mapping[str, Sequence[SliceResult]],
    resamples: Mapping[str, Resamples[str]],
    measures: Sequence[str],
    *,
    samples: int,
    seed: int,
) -> list[_Side]:
    networks = [{r.network for r in results[name]} for name in pair]
    common = networks[0] & networks[1]
    kept = {name: [r for r in results[name] if r.network in common] for name in pair}
    first, second = ({r.image for r in kept[name]} for name in pair)
    if first != second:
        raise ValueError(
            f"expected {pair[0]} and {pair[1]} to predict the same slices; found "
            f"{len(first - second)} only in the first and {len(second - first)} only in the "
            "second. Evaluate both on the same folds."
        )
    sides = []
    for name in pair:
        of_all = all_measures(kept[name])
        sums = {measure: of_all[measure] for measure in measures if measure in of_all}
        if len(kept[name]) == len(results[name]):
            sides.append(_Side(resamples[name], sums))
        else:
            sides.append(_Side(resample(kept[name], sums, samples=samples, seed=seed), sums))
    return sides


def _difference(
    measure: str,
    pair: tuple[str, str],
    reference: _Side,
    other: _Side,
    *,
    permutations: int,
    seed: int,
) -> PairedDifference:
    units = reference.resamples.units
    difference = PairedDifference(
        *(measure, pair[1], pair[0], Interval(None, None, None, 0)),
        patients=len(units.patients),
        networks=len(units.networks),
        trainings=min(Counter(fold for fold, _ in units.networks).values(), default=0),
    )
    if not units.patients:
        return difference
    sums = reference.measures[measure], other.measures[measure]
    if not (isinstance(sums[0], RatioSums) and isinstance(sums[1], RatioSums)):
        raise ValueError(f"expected a measure that is a ratio of sums; found {measure!r}")
    test = permutation_test(
        sums[0], sums[1], units, other.resamples.units, permutations=permutations, seed=seed
    )
    interval = other.resamples.minus(reference.resamples, measure)
    difference = replace(difference, interval=interval, patients=interval.patients)
    if test is None:
        return difference
    return replace(difference, p=test.p, exchanges=test.exchanges, exact=test.exact)

"""Which protocols are compared with which, by which measures, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from liver_tf.measures.measure_names import COMPARED, PAPER_MEASURES
from liver_tf.measures.measure_registry import measure_terms
from liver_tf.measures.measure_sums import AnyTerms
from liver_tf.measures.slice_result import SliceResult
from liver_tf.results.stored_results import LOOSE
from liver_tf.statistics.bootstrap_intervals import (
    SAMPLES,
    Drawn,
    Interval,
    PairedDifference,
    check_same_images,
    draw,
)
from liver_tf.statistics.permutation_test import exchange_test, holm

#: The protocol that all others are compared with.
REFERENCE = "baseline"

#: Control of equal length -> the protocol whose gain from its order it tells from training longer.
CONTROLS = {
    "no_freezing_5_cycles": "hier_freeze",
    "no_freezing_6_cycles": "hier_unfreeze",
}


def pairs_of(protocols: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(reference, protocol): all against the baseline, and what has a control against that.

    Protocols validated on the test fold (``LOOSE`` in their names) are compared with such ones
    only, never with clean ones.
    """
    pairs = []
    for suffix in ("", f", {LOOSE}"):
        own = [name for name in protocols if name.endswith(LOOSE) is bool(suffix)]
        reference = f"{REFERENCE}{suffix}"
        if reference in own:
            pairs += [(reference, name) for name in own if name != reference]
        named = [(f"{c}{suffix}", f"{name}{suffix}") for c, name in CONTROLS.items()]
        pairs += [pair for pair in named if set(pair) <= set(own)]
    return tuple(pairs)


def compare(
    results: Mapping[str, Sequence[SliceResult]],
    drawn: Mapping[str, Drawn],
    *,
    measures: Sequence[str] = COMPARED,
    permutations: int = SAMPLES,
    samples: int = SAMPLES,
    seed: int = 0,
) -> tuple[PairedDifference, ...]:
    """Paired differences of ``pairs_of``, measure by measure.

    Where a fold and seed was measured of one of the two alone it takes no part in their comparison.
    The paper's measures, and how many healthy slices get a lesion, where there are some. Every
    measure is a question of its own; Holm's correction runs over the comparisons made of it
    among the clean protocols, and apart from them among those validated on the test fold.

    Args:
      results, drawn: slices and resamples (``bootstrap.draw``) of every protocol.
      permutations: exchanges. samples, seed: of resamples, where some must be drawn again.

    Raises:
      ValueError: the same network name has predicted other slices for two protocols.
    """
    pairs = pairs_of(tuple(results))
    sides = {
        pair: _sides(pair, results, drawn, measures, samples=samples, seed=seed) for pair in pairs
    }
    found = []
    # A set without healthy slices asks nothing about them.
    defined = {
        m for one in drawn.values() for m, value in one.observed.items() if value is not None
    }
    for measure in (m for m in measures if m in PAPER_MEASURES or m in defined):
        of_measure = [
            _difference(measure, pair, *sides[pair], permutations=permutations, seed=seed)
            for pair in pairs
        ]
        # What was validated on the test fold is a family of its own: it must not cost the clean
        # comparisons anything.
        for loose in (False, True):
            family = [one for one in of_measure if one.protocol.endswith(LOOSE) is loose]
            corrected = holm([one.p for one in family])
            found += [replace(one, p_holm=p) for one, p in zip(family, corrected, strict=True)]
    return tuple(found)


@dataclass(frozen=True)
class _Side:
    """One of two protocols, on the networks that both have."""

    drawn: Drawn
    terms: Mapping[str, AnyTerms]


def _sides(
    pair: tuple[str, str],
    results: Mapping[str, Sequence[SliceResult]],
    drawn: Mapping[str, Drawn],
    measures: Sequence[str],
    *,
    samples: int,
    seed: int,
) -> tuple[_Side, ...]:
    common = set.intersection(*({r.network for r in results[name]} for name in pair))
    kept = [[r for r in results[name] if r.network in common] for name in pair]
    check_same_images(*kept, *pair)
    sides = []
    for name, own in zip(pair, kept, strict=True):
        every = measure_terms(own) if own else {}
        terms = {measure: every[measure] for measure in measures if own}
        whole = len(own) == len(results[name])
        again = drawn[name] if whole else draw(own, terms, samples=samples, seed=seed)
        sides.append(_Side(again, terms))
    return tuple(sides)


def _difference(
    measure: str,
    pair: tuple[str, str],
    reference: _Side,
    other: _Side,
    *,
    permutations: int,
    seed: int,
) -> PairedDifference:
    units = reference.drawn.units
    found = PairedDifference(
        measure,
        pair[1],
        pair[0],
        Interval(None, None, None, 0),
        patients=len(units.patients),
        networks=len(units.networks),
    )
    if not units.patients:
        return found
    test = exchange_test(
        reference.terms[measure],
        other.terms[measure],
        units,
        other.drawn.units,
        permutations=permutations,
        seed=seed,
    )
    interval = other.drawn.minus(reference.drawn, measure)
    found = replace(found, interval=interval, patients=interval.patients)
    if test is None:
        return found
    return replace(found, p=test.p, exchanges=test.exchanges, exact=test.exact)

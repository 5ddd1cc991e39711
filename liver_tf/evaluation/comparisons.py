"""Which protocols are compared with which, by which measures, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from liver_tf.evaluation.bootstrap import SAMPLES, Drawn, PairedDifference, check_same_images
from liver_tf.evaluation.image_result import ImageResult
from liver_tf.evaluation.measure_names import PAPER_MEASURES
from liver_tf.evaluation.measures import measure_terms
from liver_tf.evaluation.permutation import exchange_p, holm

#: The protocol that all others are compared with.
REFERENCE = "baseline"

#: Control of equal length -> the protocol whose gain from its order it tells from training longer.
CONTROLS = {
    "no_freezing_5_cycles": "hier_freeze",
    "no_freezing_6_cycles": "hier_unfreeze",
}


def pairs_of(protocols: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(reference, protocol): all against the baseline, and what has a control against that."""
    there = set(protocols)
    pairs = [(REFERENCE, name) for name in protocols if REFERENCE in there and name != REFERENCE]
    pairs += [(c, name) for c, name in CONTROLS.items() if {c, name} <= there]
    return tuple(pairs)


def compare(
    results: Mapping[str, Sequence[ImageResult]],
    drawn: Mapping[str, Drawn],
    *,
    measures: Sequence[str] = PAPER_MEASURES,
    permutations: int = SAMPLES,
    seed: int = 0,
) -> tuple[PairedDifference, ...]:
    """Paired differences of ``pairs_of``, measure by measure.

    Every measure is a question of its own; Holm's correction runs over the comparisons made of it.

    Args:
      results, drawn: slices and resamples (``bootstrap.draw``) of every protocol.

    Raises:
      ValueError: two protocols that are compared did not predict the same slices.
    """
    pairs = pairs_of(tuple(results))
    for reference, name in pairs:
        check_same_images(results[reference], results[name], reference, name)
    involved = dict.fromkeys(name for pair in pairs for name in pair)
    terms = {name: measure_terms(results[name]) for name in involved}
    found = []
    for measure in measures:
        of_measure = [
            PairedDifference(
                measure,
                name,
                reference,
                drawn[name].minus(drawn[reference], measure),
                exchange_p(
                    terms[reference][measure],
                    terms[name][measure],
                    drawn[reference].units,
                    drawn[name].units,
                    permutations=permutations,
                    seed=seed,
                ),
            )
            for reference, name in pairs
        ]
        corrected = holm([one.p for one in of_measure])
        found += [replace(one, p_holm=p) for one, p in zip(of_measure, corrected, strict=True)]
    return tuple(found)

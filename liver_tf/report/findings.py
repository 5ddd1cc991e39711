"""The figures of a report, from which its text, tables and plots are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from liver_tf.labels import HEALTHY, LIVER
from liver_tf.measures.calibration import ReliabilityBin, reliability
from liver_tf.measures.confusion_matrix import Confusion, confusion_matrix
from liver_tf.measures.free_response import free_response_curve, rank_lesions
from liver_tf.measures.measure_registry import (
    PAPER_MEASURES,
    all_measures,
    measures_by_size,
    row_weights,
    summarise,
)
from liver_tf.measures.measure_sums import MeasureSums, RatioSums
from liver_tf.measures.slice_result import SliceResult
from liver_tf.report.page.page_parts import Picture
from liver_tf.report.tables.paper_table import measured_label
from liver_tf.results.run_results import is_ensemble, raw_name
from liver_tf.statistics.bootstrap_intervals import Interval, Resamples, resample
from liver_tf.statistics.paired_difference import PairedDifference
from liver_tf.statistics.protocol_comparisons import compare
from liver_tf.statistics.resample_count import SAMPLES

if TYPE_CHECKING:
    from liver_tf.results.leakage_audit import LeakageAudit
    from liver_tf.results.run_results import RunResults
    from liver_tf.results.study_inventory import StudyRun

#: Free-response curve: rate of false lesions per slice and sensitivity of each point.
Curve = tuple[tuple[float, Interval], ...]

#: Counts of a protocol, as in ``summarise``.
COUNTS = ("images", "lesion_images", "healthy_images", "patients", "networks")

TITLE = "Liver lesions: segmentation and classification"


@dataclass(frozen=True)
class Findings:
    """All figures of a report.

    Attributes:
      data_label: name of the data, e.g. ``PHANTOM data (not patients)``.
      counts: protocol -> ``COUNTS``.
      measured: protocol -> measure -> Interval.
      differences: of protocols from the baseline and from their controls of equal training length.
      confusions: protocol -> confusion matrix of the types; here and in ``by_seed`` also those by
        raw argmax (``raw_name``).
      diagnoses: protocol -> true type or ``healthy`` -> slices.
      by_size: protocol -> size bin -> measure -> Interval.
      size_counts: protocol -> size bin -> number of slices and true lesions.
      by_seed: protocol -> seed -> the paper's measures, folds pooled.
      reliability: protocol -> reliability curves without and with temperature scaling.
      argmax: protocol -> measure -> Interval by argmax without post-processing, of the same
        networks; without the protocols for which it was not stored. ``argmax_by_size``: the same
        by size of lesion, without the protocols whose decision it is.
      froc: protocol -> free-response curve by the run's decision, and by raw argmax if it is
        another; a curve is empty if scores are unknown.
      cautions: warnings that belong above all figures.
      facts: provenance, by name.
      runs: the runs, evaluated or not; empty if unknown.
      ensembles: results of ensembles, which are protocols in all figures but not among the runs.
      leaks: outcome of the leakage audit; None if not done.
      plots: ``forest``, ``froc``, ``curves``, ``cycles``, ``reliability``, if there are data.
      sheets: outlined slices, one sheet per protocol.
    """

    title: str
    data_label: str
    counts: Mapping[str, Mapping[str, int]]
    measured: Mapping[str, Mapping[str, Interval]]
    differences: tuple[PairedDifference, ...]
    confusions: Mapping[str, Confusion]
    diagnoses: Mapping[str, Mapping[str, int]]
    by_size: Mapping[str, Mapping[str, Mapping[str, Interval]]]
    size_counts: Mapping[str, Mapping[str, Mapping[str, int]]]
    by_seed: Mapping[str, Mapping[int, Mapping[str, float | None]]]
    reliability: Mapping[str, tuple[tuple[ReliabilityBin, ...], tuple[ReliabilityBin, ...]]]
    cautions: tuple[str, ...]
    facts: Mapping[str, str]
    runs: tuple[StudyRun, ...]
    leaks: LeakageAudit | None = None
    plots: Mapping[str, Picture] = field(default_factory=dict)
    sheets: tuple[Picture, ...] = ()
    argmax: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    argmax_by_size: Mapping[str, Mapping[str, Mapping[str, Interval]]] = field(default_factory=dict)
    froc: Mapping[str, tuple[Curve, ...]] = field(default_factory=dict)
    ensembles: tuple[RunResults, ...] = ()


def compute_findings(
    results: Mapping[str, Sequence[SliceResult]],
    data_label: str,
    *,
    title: str = TITLE,
    facts: Mapping[str, str] | None = None,
    cautions: Sequence[str] = (),
    runs: Sequence[StudyRun] = (),
    ensembles: Sequence[RunResults] = (),
    argmax: Mapping[str, Sequence[SliceResult]] | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Findings:
    """Compute measures with intervals, paired differences, and everything else from slice results.

    Args:
      results: protocol or ensemble -> its slices, of all folds and seeds.
      argmax: as ``results``, by argmax without post-processing.
      samples: number of bootstrap resamples and of permutations.
      seed: seed of both, the same for all protocols, so that they share resamples.

    Raises:
      ValueError: no protocol, a protocol without slices, protocols with different slices, or an
        empty data label.
    """
    measured_label(data_label)
    empty = [name for name, slices in results.items() if not slices]
    if not results or empty:
        raise ValueError(
            f"expected results of at least one slice per protocol; found "
            f"{'none for ' + ', '.join(empty) if empty else 'no protocol'}"
        )
    resamples, by_size, size_counts, curves, counts = {}, {}, {}, {}, {}
    for name, slices in results.items():
        resamples[name], by_size[name], size_counts[name] = _resampled(slices, samples, seed)
        weights = row_weights(slices)
        curves[name] = (
            reliability(slices, weights, scaled=False),
            reliability(slices, weights, scaled=True),
        )
        summary = summarise(slices)
        counts[name] = {count: int(summary[count] or 0) for count in COUNTS}
    measured = {p: {m: r.interval(m) for m in r.observed} for p, r in resamples.items()}
    # Protocols whose decision is argmax have the same figures twice.
    raw = {p: tuple(s) for p, s in (argmax or {}).items() if tuple(s) != tuple(results[p])}
    of_raw = {p: _resampled(slices, samples, seed) for p, slices in raw.items()}
    every = {**results, **{raw_name(p): slices for p, slices in raw.items()}}
    by_seed = {n: _by_seed(slices) for n, slices in every.items() if not is_ensemble(n)}
    differences = compare(results, resamples, permutations=samples, samples=samples, seed=seed)
    if any(len(seeds) > 1 for seeds in by_seed.values()):
        networks = " and, within each fold, of its networks"
    else:
        networks = "; one network per fold, so the variance between trainings is not included"
    return Findings(
        title=title,
        data_label=data_label,
        counts=counts,
        measured=measured,
        by_size=by_size,
        size_counts=size_counts,
        by_seed=by_seed,
        differences=differences,
        confusions={p: confusion_matrix(slices) for p, slices in every.items()},
        diagnoses={p: _diagnoses(slices) for p, slices in results.items()},
        reliability=curves,
        cautions=tuple(cautions),
        facts={
            "bootstrap": f"{samples} resamples of patients{networks}, seed {seed}",
            "permutations": f"{_permutations(differences)} of the results of two protocols by "
            "patient, seeds averaged",
            **(facts or {}),
        },
        runs=tuple(runs),
        ensembles=tuple(ensembles),
        argmax={
            p: {m: of_raw[p][0].interval(m) for m in of_raw[p][0].observed}
            if p in of_raw
            else measured[p]
            for p in argmax or {}
        },
        argmax_by_size={p: by_size for p, (_, by_size, _) in of_raw.items()},
        froc={
            p: tuple(_curve(of, samples, seed) for of in (slices, raw.get(p)) if of is not None)
            for p, slices in results.items()
        },
    )


def _curve(slices: Sequence[SliceResult], samples: int, seed: int) -> Curve:
    rankings = rank_lesions(slices, row_weights(slices))
    if rankings is None:
        return ()
    drawn = resample(slices, free_response_curve(rankings), samples=samples, seed=seed)
    return tuple((rate, drawn.interval(rate)) for rate in drawn.observed)


def _resampled(
    slices: Sequence[SliceResult], samples: int, seed: int
) -> tuple[Resamples[str], dict[str, dict[str, Interval]], dict[str, dict[str, int]]]:
    """Resamples of all measures; intervals by size; slices and true lesions by size."""
    sized = measures_by_size(slices)
    together: dict[tuple[str | None, str], MeasureSums] = {
        (None, measure): sums for measure, sums in all_measures(slices).items()
    }
    together |= {(size, m): sums for size, of_size in sized.items() for m, sums in of_size.items()}
    drawn = resample(slices, together, samples=samples, seed=seed)
    intervals = {
        size: {measure: drawn.interval((size, measure)) for measure in of_size}
        for size, of_size in sized.items()
    }
    # Both denominators count slices and lesions once, however many networks predicted them.
    counts = {
        size: {
            "slices": _denominator(of_size["dice2"]),
            "lesions": _denominator(of_size["lesion_recall_iou10"]),
        }
        for size, of_size in sized.items()
    }
    return drawn.renamed({m: (None, m) for size, m in together if size is None}), intervals, counts


def _denominator(sums: MeasureSums) -> int:
    assert isinstance(sums, RatioSums)
    return round(float(sums.denominator.sum()))


def _diagnoses(slices: Sequence[SliceResult]) -> dict[str, int]:
    classes = list(slices[0].classes)
    counts = dict.fromkeys((*classes[LIVER + 1 :], HEALTHY), 0)
    for label in {r.image: r.true_diagnosis for r in slices}.values():
        counts[HEALTHY if label is None else classes[label]] += 1
    return counts


def _by_seed(slices: Sequence[SliceResult]) -> dict[int, dict[str, float | None]]:
    by_seed = {}
    for seed in sorted({r.seed for r in slices}):
        summary = summarise([r for r in slices if r.seed == seed])
        by_seed[seed] = {measure: summary[measure] for measure in PAPER_MEASURES}
    return by_seed


def _permutations(differences: Sequence[PairedDifference]) -> str:
    """Number of exchanges behind the p values, and whether these were all possible ones."""
    exact = sorted({d.exchanges for d in differences if d.exchanges and d.exact})
    drawn = sorted({d.exchanges for d in differences if d.exchanges and not d.exact})
    parts = [f"{count} random exchanges" for count in drawn]
    if exact:
        numbers = str(exact[0]) if len(exact) == 1 else f"{exact[0]} to {exact[-1]}"
        where = " if there are no more" if drawn else ""
        parts.append(f"all {numbers} exchanges{where}")
    return ", ".join(parts) or "no exchanges"

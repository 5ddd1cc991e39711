"""What a report says, before it is laid out: figures, intervals, comparisons, tables."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from liver_tf.labels import HEALTHY, LIVER
from liver_tf.measures.calibration import ReliabilityBin, reliability
from liver_tf.measures.confusion_matrix import Confusion, confusion_matrix
from liver_tf.measures.measure_registry import (
    PAPER_MEASURES,
    all_measures,
    measure_title,
    measures_by_size,
    row_weights,
    summarise,
)
from liver_tf.measures.slice_result import SliceResult
from liver_tf.report.page.page_parts import Picture, Table
from liver_tf.report.tables.paper_table import ABSENT, format_interval, format_p, measured_label
from liver_tf.statistics.bootstrap_intervals import SAMPLES, Interval, resample
from liver_tf.statistics.paired_difference import PairedDifference
from liver_tf.statistics.protocol_comparisons import compare

if TYPE_CHECKING:
    from liver_tf.results.leakage_audit import LeakageAudit
    from liver_tf.results.study_inventory import StudyRun

_COUNTS = ("images", "lesion_images", "healthy_images", "patients", "networks")


@dataclass(frozen=True)
class Findings:
    """All that a report says, before it is laid out.

    Attributes:
      title: heading of the report.
      data_label: what was measured on, e.g. ``PHANTOM data (not patients)``.
      counts: protocol -> images, lesion_images, healthy_images, patients, networks.
      diagnoses: protocol -> true type or ``healthy`` -> slices.
      measured: protocol -> measure -> Interval.
      by_size: protocol -> size bin -> measure -> Interval.
      size_counts: protocol -> size bin -> slices and true lesions in it.
      by_seed: protocol -> seed -> the paper's measures, all folds of the seed together.
      differences: the paper's measures of each protocol against the baseline, and against its
        control of equal length, paired by patient.
      confusions: protocol -> confusion matrix over types.
      reliability: protocol -> curve of the scores as they are, and scaled by the temperature.
      cautions: what must be read before any figure, shown in red.
      facts: what else a reader must know (seeds, versions, fingerprint), by name.
      cells: the runs, measured or not; empty where nobody told.
      leaks: whether networks were tested on what they were trained on; None where not compared.
      plots: ``forest``, ``curves``, ``cycles``, ``reliability``, as far as they could be drawn.
      sheets: outlined slices, one sheet per protocol.
    """

    title: str
    data_label: str
    counts: Mapping[str, Mapping[str, int]]
    measured: Mapping[str, Mapping[str, Interval]]
    differences: tuple[PairedDifference, ...]
    confusions: Mapping[str, Confusion]
    diagnoses: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    by_size: Mapping[str, Mapping[str, Mapping[str, Interval]]] = field(default_factory=dict)
    size_counts: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    by_seed: Mapping[str, Mapping[int, Mapping[str, float | None]]] = field(default_factory=dict)
    reliability: Mapping[str, tuple[tuple[ReliabilityBin, ...], tuple[ReliabilityBin, ...]]] = (
        field(default_factory=dict)
    )
    cautions: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    cells: tuple[StudyRun, ...] = ()
    leaks: LeakageAudit | None = None
    plots: Mapping[str, Picture] = field(default_factory=dict)
    sheets: tuple[Picture, ...] = ()

    def counts_table(self) -> Table:
        """Images and patients by protocol."""
        rows = tuple((p, *(str(c[n]) for n in _COUNTS)) for p, c in self.counts.items())
        return Table(("protocol", "slices", "with lesion", "healthy", "patients", "networks"), rows)

    def other_measures_table(self) -> Table:
        """The measures the paper does not give: a row each, a column per protocol."""
        measures = dict.fromkeys(m for own in self.measured.values() for m in own)
        rows = tuple(
            (measure_title(m), *(format_interval(own.get(m)) for own in self.measured.values()))
            for m in measures
            if m not in PAPER_MEASURES
        )
        return Table(("measure", *self.measured), rows)

    def size_table(self, protocol: str) -> Table:
        """Measures by size of lesion: a row each, a column per bin."""
        bins = self.by_size[protocol]
        measures = dict.fromkeys(measure for own in bins.values() for measure in own)
        counts = self.size_counts[protocol]
        rows = tuple(
            (f"true {what}", *(str(counts[name][what]) for name in bins))
            for what in ("slices", "lesions")
        )
        rows += tuple(
            (measure_title(m), *(format_interval(bins[name].get(m)) for name in bins))
            for m in measures
        )
        return Table(("measure", *(name.replace("_", " ") for name in bins)), rows)

    def seed_table(self) -> Table:
        """The paper's measures of every seed by itself, and their standard deviation."""
        rows = []
        for protocol, seeds in self.by_seed.items():
            for seed, own in seeds.items():
                cells = (_plain(own[measure]) for measure in PAPER_MEASURES)
                rows.append((protocol, str(seed), *cells))
            if len(seeds) > 1:
                spread = (_spread([own[m] for own in seeds.values()]) for m in PAPER_MEASURES)
                rows.append((protocol, "SD over seeds", *(_plain(one) for one in spread)))
        return Table(("protocol", "seed", *map(measure_title, PAPER_MEASURES)), tuple(rows))

    def difference_table(self) -> Table:
        """Paired differences with intervals and p values, and what may be said of each."""
        rows = tuple(
            (
                f"{d.protocol} - {d.reference}",
                measure_title(d.measure),
                format_interval(d.interval, signed=True),
                format_p(d.p),
                format_p(d.p_holm),
                ABSENT if d.patients is None else str(d.patients),
                ABSENT if d.networks is None else str(d.networks),
                d.shown,
            )
            for d in self.differences
        )
        headers = ("protocols", "measure", "difference", "p", "p after Holm")
        return Table((*headers, "patients", "networks each", "shown"), rows)

    def confusion_table(self, protocol: str) -> Table:
        """Slices by true (rows) and predicted (columns) diagnosis."""
        confusion = self.confusions[protocol]
        rows = tuple(
            (name, *(str(n) for n in counts))
            for name, counts in zip(confusion.true_names, confusion.counts, strict=True)
        )
        width = len(confusion.predicted_names)
        return Table(("truth", *confusion.predicted_names), rows, (("", 1), ("predicted", width)))


def evaluate_protocols(
    results: Mapping[str, Sequence[SliceResult]],
    data_label: str,
    *,
    title: str = "Liver lesions: segmentation and type",
    facts: Mapping[str, str] | None = None,
    cautions: Sequence[str] = (),
    cells: Sequence[StudyRun] = (),
    samples: int = SAMPLES,
    seed: int = 0,
) -> Findings:
    """Turns slice results into figures with intervals, paired differences and confusions.

    Args:
      results: protocol -> its slices, of all folds and seeds. Protocols other than the baseline
        are compared with it where there is one; they must have predicted the same slices.
      data_label, title, facts, cautions, cells: as in ``Findings``.
      samples, seed: of bootstrap and permutations; the same for all protocols, so that they share
        resamples.

    Raises:
      ValueError: no protocol, a protocol without slices, unequal slices, or an empty label.
    """
    measured_label(data_label)
    empty = [name for name, own in results.items() if not own]
    if not results or empty:
        raise ValueError(
            f"expected results of at least one slice per protocol; got "
            f"{'none for ' + ', '.join(empty) if empty else 'no protocol'}"
        )
    drawn, by_size, size_counts = {}, {}, {}
    for name, own in results.items():
        sized = measures_by_size(own)
        together = {(None, measure): one for measure, one in all_measures(own).items()}
        together |= {
            (size, measure): one for size, terms in sized.items() for measure, one in terms.items()
        }
        every = resample(own, together, samples=samples, seed=seed)
        drawn[name] = every.renamed({m: (None, m) for size, m in together if size is None})
        # Both denominators count slices and lesions once, however many networks predicted them.
        size_counts[name] = {
            size: {
                "slices": round(terms["dice2"].denominator.sum()),
                "lesions": round(terms["lesion_recall_iou10"].denominator.sum()),
            }
            for size, terms in sized.items()
        }
        by_size[name] = {
            size: {measure: every.interval((size, measure)) for measure in terms}
            for size, terms in sized.items()
        }
    summaries = {name: summarise(own) for name, own in results.items()}
    by_seed = {p: _by_seed(own) for p, own in results.items()}
    differences = compare(results, drawn, permutations=samples, samples=samples, seed=seed)
    return Findings(
        title=title,
        data_label=data_label,
        counts={p: {n: int(s[n]) for n in _COUNTS} for p, s in summaries.items()},
        measured={p: {m: one.interval(m) for m in one.observed} for p, one in drawn.items()},
        by_size=by_size,
        size_counts=size_counts,
        by_seed=by_seed,
        differences=differences,
        confusions={p: confusion_matrix(own) for p, own in results.items()},
        diagnoses={p: _diagnoses(own) for p, own in results.items()},
        reliability={
            p: tuple(reliability(own, row_weights(own), scaled=s) for s in (False, True))
            for p, own in results.items()
        },
        cautions=tuple(cautions),
        facts={
            "bootstrap": f"{samples} resamples of patients{_of_seeds(by_seed)}, seed {seed}",
            "permutations": f"{_exchanges(differences)} of the two protocols by patient, seeds "
            "averaged",
        }
        | dict(facts or {}),
        cells=tuple(cells),
    )


def _diagnoses(results: Sequence[SliceResult]) -> dict[str, int]:
    names = (*list(results[0].classes)[LIVER + 1 :], HEALTHY)
    label_of = {r.image: r.true_diagnosis for r in results}
    found = dict.fromkeys(names, 0)
    for label in label_of.values():
        found[HEALTHY if label is None else list(results[0].classes)[label]] += 1
    return found


def _by_seed(results: Sequence[SliceResult]) -> dict[int, dict[str, float | None]]:
    found = {}
    for seed in sorted({result.seed for result in results}):
        summary = summarise([result for result in results if result.seed == seed])
        found[seed] = {measure: summary[measure] for measure in PAPER_MEASURES}
    return found


def _of_seeds(by_seed: Mapping[str, Mapping[int, object]]) -> str:
    if any(len(own) > 1 for own in by_seed.values()):
        return " and, within each fold, of its networks"
    return "; one network a fold, so that what another training would give is not in the intervals"


def _exchanges(differences: Sequence[PairedDifference]) -> str:
    """How many exchanges were made for p, and whether they were all."""
    every = sorted({d.exchanges for d in differences if d.exchanges and d.exact})
    drawn = sorted({d.exchanges for d in differences if d.exchanges and not d.exact})
    parts = [f"{count} exchanges at random" for count in drawn]
    if every:
        numbers = str(every[0]) if len(every) == 1 else f"{every[0]} to {every[-1]}"
        where = " where there are no more" if drawn else ""
        parts.append(f"all {numbers} exchanges{where}")
    return ", ".join(parts) or "no exchanges"


def _plain(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.3f}"


def _spread(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.stdev(known) if len(known) > 1 else None

"""Tables of a report: a row per protocol, measure, cycle or run."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from liver_tf.measures.free_response import AVERAGE_PRECISION, RATES
from liver_tf.measures.measure_registry import COMPARED, PAPER_MEASURES, measure_title
from liver_tf.report.page.page_parts import Table
from liver_tf.report.tables.paper_table import ABSENT, format_interval, format_p
from liver_tf.results.run_results import raw_name
from liver_tf.results.training_history import FinishedCycle

if TYPE_CHECKING:
    from liver_tf.report.findings import Findings
    from liver_tf.results.study_inventory import StudyRun

_HEALTHY = "healthy_false_positive_rate", "healthy_false_positives_per_slice"
_COUNTS = {
    "images": "slices",
    "lesion_images": "with lesion",
    "healthy_images": "healthy",
    "patients": "patients",
    "networks": "networks",
}


def brief_table(findings: Findings) -> Table:
    """The measures in which protocols are compared, a row per protocol."""
    rows = tuple(
        (name, *(format_interval(measured.get(measure)) for measure in COMPARED))
        for name, measured in findings.measured.items()
    )
    return Table(("protocol", *map(measure_title, COMPARED)), rows, stacked=True)


def counts_table(findings: Findings) -> Table:
    """Sample sizes, a row per protocol."""
    rows = tuple((p, *(str(counts[n]) for n in _COUNTS)) for p, counts in findings.counts.items())
    return Table(("protocol", *_COUNTS.values()), rows)


def argmax_table(findings: Findings) -> Table:
    """The compared measures by the run's decision and by raw argmax, side by side."""
    rows = tuple(
        (name, *(format_interval(of.get(m)) for m in COMPARED for of in (measured, argmax)))
        for name, measured in findings.measured.items()
        for argmax in (findings.argmax.get(name, {}),)
    )
    return Table(
        ("protocol", *("run's decision", "raw argmax") * len(COMPARED)),
        rows,
        (("", 1), *((measure_title(m), 2) for m in COMPARED)),
    )


def _decisions(findings: Findings) -> Iterator[tuple[str, str, Mapping, Mapping]]:
    """By the run's decision, then by raw argmax if it is another.

    Yields:
      The protocol, the name of the row, its measures, and its measures by size.
    """
    for name, measured in findings.measured.items():
        yield name, name, measured, findings.by_size[name]
        if name in findings.argmax_by_size:
            sized = findings.argmax_by_size[name]
            yield name, raw_name(name), findings.argmax[name], sized


def further_measures_table(findings: Findings) -> Table:
    """The measures beyond the paper: a row per measure, a column per protocol and decision."""
    columns = {title: measured for _, title, measured, _ in _decisions(findings)}
    measures = dict.fromkeys(m for measured in columns.values() for m in measured)
    rows = tuple(
        (measure_title(m), *(format_interval(of.get(m)) for of in columns.values()))
        for m in measures
        if m not in PAPER_MEASURES
    )
    return Table(("measure", *columns), rows)


def froc_table(findings: Findings) -> Table:
    """Average precision and sensitivities, a row per protocol and decision."""
    ends = {
        raw_name(name) if number else name: curve[-1][0]
        for name, curves in findings.froc.items()
        for number, curve in enumerate(curves)
        if curve
    }
    measures = (AVERAGE_PRECISION, *RATES)
    rows = tuple(
        (
            title,
            *(format_interval(measured.get(measure)) for measure in measures),
            f"{ends[title]:.2f}" if title in ends else ABSENT,
        )
        for _, title, measured, _ in _decisions(findings)
    )
    headers = ("average precision", *(f"sensitivity at {rate:g}" for rate in RATES.values()))
    return Table(("protocol", *headers, "most false lesions per slice"), rows)


def sensitivity_table(findings: Findings, measure: str) -> Table:
    """The sensitivity at one of ``RATES`` by size and by type of the true lesion."""
    sizes = dict.fromkeys(size for by_size in findings.by_size.values() for size in by_size)
    types = next(iter(findings.diagnoses.values()), {})
    kinds = [kind for kind in types if any(f"{measure}_{kind}" in of for of in _measures(findings))]
    rows = tuple(
        (
            title,
            *(format_interval(by_size.get(size, {}).get(measure)) for size in sizes),
            *(format_interval(measured.get(f"{measure}_{kind}")) for kind in kinds),
        )
        for _, title, measured, by_size in _decisions(findings)
    )
    return Table(("protocol", *(size.replace("_", " ") for size in sizes), *kinds), rows)


def _measures(findings: Findings) -> Iterator[Mapping]:
    return (measured for _, _, measured, _ in _decisions(findings))


def difference_table(findings: Findings) -> Table:
    """Paired differences with intervals, p values and outcome."""
    rows = tuple(
        (
            f"{d.protocol} - {d.reference}",
            measure_title(d.measure),
            format_interval(d.interval, signed=True),
            *map(format_p, (d.p, d.p_holm)),
            *(ABSENT if count is None else str(count) for count in (d.patients, d.networks)),
            d.shown,
        )
        for d in findings.differences
    )
    headers = ("protocols", "measure", "difference", "p", "p after Holm")
    return Table((*headers, "patients", "networks each", "outcome"), rows)


def confusion_table(findings: Findings, protocol: str) -> Table:
    """Slices by true (rows) and predicted (columns) diagnosis."""
    confusion = findings.confusions[protocol]
    named = zip(confusion.true_names, confusion.counts, strict=True)
    rows = tuple((name, *map(str, counts)) for name, counts in named)
    width = len(confusion.predicted_names)
    return Table(("truth", *confusion.predicted_names), rows, (("", 1), ("predicted", width)))


def healthy_table(findings: Findings) -> Table:
    """False positives on healthy slices, a row per protocol."""
    rows = tuple(
        (
            title,
            str(findings.counts[name]["healthy_images"]),
            *(format_interval(measured.get(measure)) for measure in _HEALTHY),
        )
        for name, title, measured, _ in _decisions(findings)
    )
    headers = ("protocol", "healthy slices", "false-positive rate")
    return Table((*headers, "false-positive lesions per slice"), rows)


def types_table(findings: Findings) -> Table:
    """Sensitivity and specificity of each type, a row per protocol."""
    types = [
        measure.removeprefix("sensitivity_")
        for measure in next(iter(findings.measured.values()))
        if measure.startswith("sensitivity_")
    ]
    counts = next(iter(findings.diagnoses.values()), {})
    rows = tuple(
        (
            protocol,
            *(
                format_interval(measured.get(f"{kind}_{name}"))
                for name in types
                for kind in ("sensitivity", "specificity")
            ),
        )
        for _, protocol, measured, _ in _decisions(findings)
    )
    return Table(
        ("protocol", *("sensitivity", "specificity") * len(types)),
        rows,
        (("", 1), *((f"{name} ({counts.get(name, 0)} slices)", 2) for name in types)),
    )


def sizes_table(findings: Findings, measure: str) -> Table:
    """One measure by lesion size with sample sizes, a row per protocol."""
    what = "lesions" if measure.startswith("lesion_") else "slices"
    bins = dict.fromkeys(size for by_size in findings.by_size.values() for size in by_size)
    rows = tuple(
        (
            title,
            *(
                format_interval(by_size[size].get(measure))
                + f", {findings.size_counts[name][size][what]} {what}"
                if size in by_size
                else ABSENT
                for size in bins
            ),
        )
        for name, title, _, by_size in _decisions(findings)
    )
    return Table(("protocol", *(size.replace("_", " ") for size in bins)), rows)


def size_table(findings: Findings, protocol: str) -> Table:
    """All measures of a protocol by lesion size: a row per measure, a column per bin."""
    bins = findings.by_size[protocol]
    raw = findings.argmax_by_size.get(protocol)
    counts = findings.size_counts[protocol]
    rows = tuple(
        (f"true {what}", *(str(counts[size][what]) for size in bins))
        for what in ("slices", "lesions")
    )
    measures = dict.fromkeys(measure for of_size in bins.values() for measure in of_size)
    rows += tuple(
        (title, *(format_interval(of_size.get(m)) for of_size in sized.values()))
        for m in measures
        for title, sized in ((measure_title(m), bins), (raw_name(measure_title(m)), raw))
        if sized
    )
    return Table(("measure", *(size.replace("_", " ") for size in bins)), rows)


def seed_table(findings: Findings) -> Table:
    """The paper's measures of every seed, and their standard deviation."""
    rows = []
    for protocol, seeds in findings.by_seed.items():
        rows += [
            (protocol, str(seed), *(_plain(values[m]) for m in PAPER_MEASURES))
            for seed, values in seeds.items()
        ]
        if len(seeds) > 1:
            spread = (_deviation([values[m] for values in seeds.values()]) for m in PAPER_MEASURES)
            rows.append((protocol, "SD over seeds", *map(_plain, spread)))
    return Table(("protocol", "seed", *map(measure_title, PAPER_MEASURES)), tuple(rows))


def cycles_table(runs: Sequence[StudyRun]) -> Table:
    """Validation of the weights that each cycle kept, a row per protocol and cycle."""
    rows = []
    for protocol, networks in cycles_by_protocol(runs).items():
        for k in range(max(map(len, networks))):
            cycles = [network[k] for network in networks if k < len(network)]
            ranges = (
                _range([len(c.epochs) for c in cycles], ".0f"),
                _range([c.best_epoch for c in cycles], ".0f"),
                _range([c.kept("val_loss") for c in cycles], ".3f"),
                _range([c.kept("val_dice") for c in cycles], ".3f"),
                _range([c.seconds for c in cycles], ".0f"),
            )
            rows.append((protocol, str(k + 1), cycles[0].fixed_text, str(len(cycles)), *ranges))
    headers = ("protocol", "cycle", "frozen blocks", "networks", "epochs", "best epoch")
    more = ("validation loss", "validation Dice of the types", "training, s")
    return Table((*headers, *more), tuple(rows))


def cycles_by_protocol(runs: Sequence[StudyRun]) -> dict[str, list[Sequence[FinishedCycle]]]:
    """Finished cycles of every run by protocol; runs validated on the test fold separately."""
    by_protocol: dict[str, list[Sequence[FinishedCycle]]] = {}
    for run in runs:
        if run.cycles:
            by_protocol.setdefault(run.title, []).append(run.cycles)
    return by_protocol


def runs_table(runs: Sequence[StudyRun]) -> Table:
    """Every run: state, training and evaluation."""
    keys = [cycle.key for run in runs for cycle in run.cycles if cycle.key]
    rows = []
    for run in runs:
        training = evaluation = (ABSENT,) * 3
        if run.cycles:
            epochs = sum(len(cycle.epochs) for cycle in run.cycles)
            training = (str(len(run.cycles)), str(epochs), f"{run.seconds:.0f}")
        if run.results is not None:
            temperature, made_of = run.results.temperature, run.results.made_of
            evaluation = (
                ABSENT if temperature is None else f"{temperature.value:.2f}",
                str(run.results.looks),
                made_of.get("postprocessing", ABSENT),
            )
        wall = f"{sum(run.wall_s.values()):.0f}" if run.wall_s else ABSENT
        shared = sum(keys.count(cycle.key) > 1 for cycle in run.cycles if cycle.key)
        rows.append((run.name, run.state, *training, wall, str(shared or ABSENT), *evaluation))
    headers = ("run", "state", "cycles", "epochs", "training, s", "wall-clock time, s")
    more = ("shared cycles", "temperature", "evaluations of the test fold", "post-processing")
    return Table((*headers, *more), tuple(rows), words=True)


def _range(values: Sequence[float | None], form: str) -> str:
    """``0.52 (0.40 to 0.61)``: mean, minimum and maximum; one value if they agree."""
    known = [value for value in values if value is not None]
    if not known:
        return ABSENT
    mean, low, high = (f"{f(known):{form}}" for f in (statistics.fmean, min, max))
    return mean if low == high else f"{mean} ({low} to {high})"


def _plain(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.3f}"


def _deviation(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.stdev(known) if len(known) > 1 else None

"""Tables of a report that are compact: a row per protocol, cycle or run."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from liver_tf.report.page.page_parts import Table
from liver_tf.report.tables.paper_table import ABSENT, format_interval
from liver_tf.results.training_history import FinishedCycle

if TYPE_CHECKING:
    from liver_tf.report.findings import Findings
    from liver_tf.results.study_inventory import StudyRun

_HEALTHY = "healthy_false_positive_rate", "healthy_false_positives_per_slice"


def healthy_table(findings: Findings) -> Table:
    """False alarms in healthy slices, a row per protocol."""
    rows = tuple(
        (
            name,
            str(findings.counts[name]["healthy_images"]),
            *(format_interval(own.get(measure)) for measure in _HEALTHY),
        )
        for name, own in findings.measured.items()
    )
    headers = ("protocol", "healthy slices", "share with a lesion reported")
    return Table((*headers, "lesions reported per healthy slice"), rows)


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
            name,
            *(
                format_interval(own.get(f"{kind}_{one}"))
                for one in types
                for kind in ("sensitivity", "specificity")
            ),
        )
        for name, own in findings.measured.items()
    )
    return Table(
        ("protocol", *("sensitivity", "specificity") * len(types)),
        rows,
        (("", 1), *((f"{one} ({counts.get(one, 0)} slices)", 2) for one in types)),
    )


def sizes_table(findings: Findings, measure: str) -> Table:
    """One measure by size of lesion, a row per protocol; slices or lesions of each bin above."""
    what = "lesions" if measure.startswith("lesion_") else "slices"
    bins = dict.fromkeys(size for own in findings.by_size.values() for size in own)
    rows = tuple(
        (
            name,
            *(
                format_interval(own[size].get(measure))
                + f", {findings.size_counts[name][size][what]} {what}"
                if size in own
                else ABSENT
                for size in bins
            ),
        )
        for name, own in findings.by_size.items()
    )
    return Table(("protocol", *(size.replace("_", " ") for size in bins)), rows)


def cycles_table(cells: Sequence[StudyRun]) -> Table:
    """What validation says of the weights that each cycle kept, a row per protocol and cycle."""
    rows = []
    for protocol, runs in cycles_by_protocol(cells).items():
        for k in range(max(map(len, runs))):
            here = [cycles[k] for cycles in runs if k < len(cycles)]
            rows.append(
                (
                    protocol,
                    str(k + 1),
                    here[0].fixed_text,
                    str(len(here)),
                    _span([len(one.epochs) for one in here], ".0f"),
                    _span([one.best_epoch for one in here], ".0f"),
                    _span([one.kept("val_loss") for one in here], ".3f"),
                    _span([one.kept("val_dice") for one in here], ".3f"),
                    _span([one.seconds for one in here], ".0f"),
                )
            )
    headers = ("protocol", "cycle", "blocks held fixed", "networks", "epochs", "epoch kept")
    more = ("validation loss", "validation Dice of the types", "training, s")
    return Table((*headers, *more), tuple(rows))


def cycles_by_protocol(cells: Sequence[StudyRun]) -> dict[str, list[Sequence[FinishedCycle]]]:
    """Finished cycles of every run that has some, by protocol; loose runs by themselves."""
    found: dict[str, list[Sequence[FinishedCycle]]] = {}
    for cell in cells:
        if cell.cycles:
            found.setdefault(cell.title, []).append(cell.cycles)
    return found


def cells_table(cells: Sequence[StudyRun]) -> Table:
    """Every run: its state, training, and how it was measured."""
    keys = [cycle.key for cell in cells for cycle in cell.cycles if cycle.key]
    rows = []
    for cell in cells:
        shared = sum(keys.count(cycle.key) > 1 for cycle in cell.cycles if cycle.key)
        results = cell.results
        temperature = None if results is None else results.temperature
        rows.append(
            (
                cell.name,
                cell.state,
                str(len(cell.cycles)) if cell.cycles else ABSENT,
                str(sum(len(cycle.epochs) for cycle in cell.cycles)) if cell.cycles else ABSENT,
                f"{cell.seconds:.0f}" if cell.cycles else ABSENT,
                f"{sum(cell.wall_s.values()):.0f}" if cell.wall_s else ABSENT,
                str(shared) if shared else ABSENT,
                ABSENT if temperature is None else f"{temperature.value:.2f}",
                ABSENT if results is None else str(results.looks),
                ABSENT if results is None else results.made_of.get("postprocessing", ABSENT),
            )
        )
    headers = ("run", "state", "cycles", "epochs", "training, s")
    more = ("wall time, s", "cycles shared", "temperature", "times measured", "post-processing")
    return Table((*headers, *more), tuple(rows), words=True)


def _span(values: Sequence[float | None], form: str) -> str:
    """``0.52 (0.40 to 0.61)``: mean, least and greatest; the value alone where they agree."""
    known = [value for value in values if value is not None]
    if not known:
        return ABSENT
    mean, low, high = (f"{f(known):{form}}" for f in (statistics.fmean, min, max))
    return mean if low == high else f"{mean} ({low} to {high})"

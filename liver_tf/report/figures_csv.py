"""All figures of a report as CSV in long form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liver_tf.csv_text import csv_text
from liver_tf.report.tables.paper_table import EARLIER_WORK, PUBLISHED, PUBLISHED_DATA
from liver_tf.statistics.bootstrap_intervals import Interval

if TYPE_CHECKING:
    from liver_tf.report.findings import Findings

COLUMNS = (
    *("source", "data", "protocol", "measure", "size", "value", "low", "high"),
    *("bootstrap_samples", "p", "p_holm", "shown", "patients", "slices", "networks"),
)


def measures_csv(findings: Findings) -> str:
    """All figures, one per row; undefined values are empty.

    ``size`` is a size bin, empty for all lesions; ``patients`` contribute to the measure;
    ``slices`` and ``networks`` belong to the protocol, size bin or comparison. Intervals of small
    samples, which the pages omit, are included.
    """
    rows: list[tuple[object, ...]] = [COLUMNS]

    def row(
        source: str,
        protocol: str,
        measure: str,
        figure: Interval,
        *,
        size: str = "",
        data: str = findings.data_label,
        p_values: tuple[float | None, float | None] = (None, None),
        shown: str = "",
        behind: tuple[int | None, int | None] = (None, None),
    ) -> None:
        numbers = (figure.value, figure.low, figure.high, *p_values)
        *ends, p, p_holm = (None if v is None else f"{v:.6g}" for v in numbers)
        figures = (*ends, figure.samples or "", p, p_holm, shown, figure.patients, *behind)
        rows.append((source, data, protocol, measure, size, *figures))

    for protocol, measured in findings.measured.items():
        counts = findings.counts[protocol]
        behind = (counts["images"], counts["networks"])
        for measure, interval in measured.items():
            row("measured", protocol, measure, interval, behind=behind)
        for measure, interval in findings.argmax.get(protocol, {}).items():
            row("measured, raw argmax", protocol, measure, interval, behind=behind)
        for source, by_size in (
            ("measured by size", findings.by_size[protocol]),
            ("measured by size, raw argmax", findings.argmax_by_size.get(protocol, {})),
        ):
            for size, sized in by_size.items():
                behind = (findings.size_counts[protocol][size]["slices"], counts["networks"])
                for measure, interval in sized.items():
                    row(source, protocol, measure, interval, size=size, behind=behind)
    for d in findings.differences:
        name = f"{d.protocol} - {d.reference}"
        row(
            *("measured difference", name, d.measure, d.interval),
            p_values=(d.p, d.p_holm),
            shown=d.shown,
            behind=(None, d.networks),
        )
    for protocol, published in (PUBLISHED | {"earlier work": EARLIER_WORK}).items():
        for measure, value in published.items():
            figure = Interval(value, None, None, 0)
            row("published", protocol, measure, figure, data=PUBLISHED_DATA)
    return csv_text(rows)

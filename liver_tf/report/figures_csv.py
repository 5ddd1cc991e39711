"""All figures of a report as CSV in long form."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

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

    ``source`` is ``measured``, ``measured by size``, ``measured difference`` or ``published``;
    ``size`` is a size bin, empty for all lesions; ``patients`` is the number that contribute to the
    measure; ``slices`` and ``networks`` belong to the protocol, size bin or comparison. Intervals
    of small samples, which the pages omit, are included.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)

    def row(
        source: str,
        protocol: str,
        measure: str,
        figure: Interval,
        *,
        size: str = "",
        data: str = findings.data_label,
        p: tuple[float | None, float | None] = (None, None),
        shown: str = "",
        behind: tuple[int | None, int | None] = (None, None),
    ) -> None:
        numbers = (figure.value, figure.low, figure.high, None, *p)
        value, low, high, _, *ps = ("" if v is None else f"{v:.6g}" for v in numbers)
        counts = ("" if n is None else n for n in (figure.patients, *behind))
        figures = (value, low, high, figure.samples or "", *ps, shown, *counts)
        writer.writerow((source, data, protocol, measure, size, *figures))

    for protocol, measured in findings.measured.items():
        counts = findings.counts[protocol]
        behind = (counts["images"], counts["networks"])
        for measure, interval in measured.items():
            row("measured", protocol, measure, interval, behind=behind)
        for size, sized in findings.by_size.get(protocol, {}).items():
            slices = findings.size_counts[protocol][size]["slices"]
            of_size = (slices, counts["networks"])
            for measure, interval in sized.items():
                row("measured by size", protocol, measure, interval, size=size, behind=of_size)
    for d in findings.differences:
        name = f"{d.protocol} - {d.reference}"
        row(
            *("measured difference", name, d.measure, d.interval),
            p=(d.p, d.p_holm),
            shown=d.shown,
            behind=(None, d.networks),
        )
    published = PUBLISHED | {"earlier work": EARLIER_WORK}
    for protocol, figures in published.items():
        for measure, value in figures.items():
            figure = Interval(value, None, None, 0)
            row("published", protocol, measure, figure, data=PUBLISHED_DATA)
    return out.getvalue()

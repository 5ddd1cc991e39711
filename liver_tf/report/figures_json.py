"""All figures of a report as plain values, for programs; the words are in the pages."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from liver_tf.measures.measure_registry import measure_title
from liver_tf.statistics.bootstrap_intervals import LEVEL, Interval

if TYPE_CHECKING:
    from liver_tf.report.findings import Findings
    from liver_tf.results.study_inventory import StudyRun

SCHEMA_VERSION = 1


def measures_json(findings: Findings) -> dict:
    """A dictionary for ``json.dumps``; undefined values are None, never NaN.

    ``networks`` of a protocol tell by hashes which were measured, and with which liver network and
    post-processing.
    """
    return {
        "schema": SCHEMA_VERSION,
        "title": findings.title,
        "data": findings.data_label,
        "level": LEVEL,
        "cautions": list(findings.cautions),
        "facts": dict(findings.facts),
        "titles": {
            measure: measure_title(measure) for own in findings.measured.values() for measure in own
        },
        "protocols": {
            protocol: {
                "counts": dict(findings.counts[protocol]),
                "networks": [
                    {"cell": cell.name, **cell.results.made_of}
                    for cell in findings.cells
                    if cell.results is not None and protocol == _pooled_as(cell, findings)
                ],
                "measures": _intervals(own),
                "by_size": {
                    size: _intervals(sized)
                    for size, sized in findings.by_size.get(protocol, {}).items()
                },
                "size_counts": {
                    size: dict(counts)
                    for size, counts in findings.size_counts.get(protocol, {}).items()
                },
                "by_seed": {
                    str(seed): dict(values)
                    for seed, values in findings.by_seed.get(protocol, {}).items()
                },
                "confusion": {
                    "true": list(findings.confusions[protocol].true_names),
                    "predicted": list(findings.confusions[protocol].predicted_names),
                    "slices": findings.confusions[protocol].counts.tolist(),
                },
                "reliability": {
                    name: [asdict(one) for one in curve]
                    for name, curve in zip(
                        ("unscaled", "scaled"),
                        findings.reliability.get(protocol, ()),
                        strict=False,
                    )
                },
            }
            for protocol, own in findings.measured.items()
        },
        "differences": [
            {
                "protocol": d.protocol,
                "reference": d.reference,
                "measure": d.measure,
                **asdict(d.interval),
                "p": d.p,
                "p_holm": d.p_holm,
                "patients": d.patients,
                "networks": d.networks,
                "verdict": d.verdict(),
            }
            for d in findings.differences
        ],
    }


def _pooled_as(cell: StudyRun, findings: Findings) -> str:
    """Under which name a cell's results were pooled."""
    return cell.title if cell.title in findings.measured else cell.protocol


def _intervals(own: dict[str, Interval]) -> dict[str, dict]:
    return {measure: asdict(interval) for measure, interval in own.items()}

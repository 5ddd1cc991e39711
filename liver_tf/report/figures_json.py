"""All figures of a report as plain values for other programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from liver_tf.measures.measure_registry import measure_title
from liver_tf.statistics.bootstrap_intervals import LEVEL, Interval

if TYPE_CHECKING:
    from liver_tf.report.findings import Findings
    from liver_tf.results.study_inventory import StudyRun

SCHEMA_VERSION = 1


def measures_json(findings: Findings) -> dict[str, Any]:
    """Dictionary for ``json.dumps``; undefined values are None, never NaN.

    ``networks`` lists the evaluated networks of a protocol with the hashes of their weights, their
    liver network and their post-processing.
    """
    return {
        "schema": SCHEMA_VERSION,
        "title": findings.title,
        "data": findings.data_label,
        "level": LEVEL,
        "cautions": list(findings.cautions),
        "facts": dict(findings.facts),
        "titles": {
            measure: measure_title(measure)
            for measured in findings.measured.values()
            for measure in measured
        },
        "protocols": {
            protocol: {
                "counts": dict(findings.counts[protocol]),
                "networks": [
                    {"cell": run.name, **run.results.made_of}
                    for run in findings.runs
                    if run.results is not None and protocol == _pooled_as(run, findings)
                ],
                "measures": _intervals(measured),
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
                    name: [asdict(reliability_bin) for reliability_bin in curve]
                    for name, curve in zip(
                        ("unscaled", "scaled"),
                        findings.reliability.get(protocol, ()),
                        strict=False,
                    )
                },
            }
            for protocol, measured in findings.measured.items()
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


def _pooled_as(run: StudyRun, findings: Findings) -> str:
    """The protocol under which the results of a run were pooled."""
    return run.title if run.title in findings.measured else run.protocol


def _intervals(intervals: Mapping[str, Interval]) -> dict[str, dict[str, Any]]:
    return {measure: asdict(interval) for measure, interval in intervals.items()}

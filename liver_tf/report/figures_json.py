"""All figures of a report as plain values for other programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from liver_tf.measures.measure_registry import measure_title
from liver_tf.statistics.bootstrap_intervals import LEVEL, Interval

if TYPE_CHECKING:
    from liver_tf.report.findings import Findings

SCHEMA_VERSION = 1


def measures_json(findings: Findings) -> dict[str, Any]:
    """Dictionary for ``json.dumps``; undefined values are None, never NaN.

    ``networks`` lists what the results of each network depend on.
    """
    return {
        "schema": SCHEMA_VERSION,
        "title": findings.title,
        "data": findings.data_label,
        "level": LEVEL,
        "cautions": findings.cautions,
        "facts": findings.facts,
        "titles": {
            measure: measure_title(measure)
            for measured in findings.measured.values()
            for measure in measured
        },
        "protocols": {
            protocol: {
                "counts": findings.counts[protocol],
                "networks": [
                    {"cell": run.name, **run.results.made_of}
                    for run in findings.runs
                    if run.results is not None
                    and protocol == (run.title if run.title in findings.measured else run.protocol)
                ]
                + [
                    {"cell": ensemble.name, **ensemble.made_of}
                    for ensemble in findings.ensembles
                    if protocol == ensemble.protocol
                ],
                "measures": _intervals(measured),
                "argmax": _intervals(findings.argmax.get(protocol, {})),
                "by_size": {
                    size: _intervals(sized) for size, sized in findings.by_size[protocol].items()
                },
                "argmax_by_size": {
                    size: _intervals(sized)
                    for size, sized in findings.argmax_by_size.get(protocol, {}).items()
                },
                "froc": [
                    [{"rate": rate, **asdict(interval)} for rate, interval in curve]
                    for curve in findings.froc.get(protocol, ())
                ],
                "size_counts": findings.size_counts[protocol],
                "by_seed": findings.by_seed.get(protocol, {}),
                "confusion": {
                    "true": findings.confusions[protocol].true_names,
                    "predicted": findings.confusions[protocol].predicted_names,
                    "slices": findings.confusions[protocol].counts.tolist(),
                },
                "reliability": dict(
                    zip(
                        ("unscaled", "scaled"),
                        ([asdict(b) for b in curve] for curve in findings.reliability[protocol]),
                        strict=True,
                    )
                ),
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


def _intervals(intervals: Mapping[str, Interval]) -> dict[str, dict[str, Any]]:
    return {measure: asdict(interval) for measure, interval in intervals.items()}

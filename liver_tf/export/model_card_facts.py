"""Facts for the model card: provenance of the runs, and measures of the exported model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from liver_tf import run_files
from liver_tf.inference.cascade import Cascade
from liver_tf.model.weights_file import stored_hash
from liver_tf.refusals import Refusal

#: Entries of ``measures.json`` that must match the exported model, and their names in messages.
_COMPARED = {
    "weights": "weights",
    "liver_weights": "liver network",
    "postprocessing": "post-processing",
}


def provenance_of(runs: list[Path], liver_run: Path) -> dict[str, str]:
    """Fold, seed and protocol of the runs (from their folders), weights and numbers of cases."""
    provenance = {}
    for number, run in enumerate(runs, 1):
        name = f"run {number}" if len(runs) > 1 else "run"
        provenance[name] = "/".join(run.resolve().parts[-3:])
        provenance |= _run_facts(name, run)
    liver = {"liver run": liver_run.resolve().name}
    return {**provenance, **liver, **_run_facts("liver run", liver_run)}


def _run_facts(name: str, run: Path) -> dict[str, str]:
    """Weights and numbers of cases; cases are patients, or scans of patients."""
    facts = {f"{name}, weights": stored_hash(run / run_files.WEIGHTS)}
    try:
        split = run_files.read_identity(run)["split"]
        parts = [f"{len(split[part])} {part}" for part in ("training", "validation", "test")]
    except (OSError, ValueError, KeyError, TypeError):
        return facts
    return {**facts, f"{name}, cases": ", ".join(parts)}


def measures_of(path: Path, runs: list[Path], liver_run: Path, cascade: Cascade) -> dict[str, Any]:
    """The measures of an exported run in ``measures.json``, for its model card.

    They must have been computed with the same weights, liver network and post-processing, without
    flips, and with lesions in the liver only.

    Raises:
      Refusal: ``measures-unreadable``; ``measures-other-run`` if the file has no measures of the
        model, or if several runs are exported, whose average is not evaluated.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        protocols = report["protocols"]
        shared = {name: report[name] for name in ("data", "level", "titles", "cautions")}
    except (OSError, ValueError, KeyError, TypeError):
        raise Refusal(
            "measures-unreadable",
            path,
            expected="a measures.json of trainers.evaluate",
            found="a missing file or one with other contents",
            remedy="Name the measures.json that trainers.evaluate wrote.",
        ) from None
    if len(runs) > 1:
        raise _not_of_model(path, "several exported runs, whose average was not measured")
    facts = cascade.facts()
    deviations = ["test-time flips"] if facts["flips"] else []
    if not facts["in_liver_only"]:
        deviations.append("lesions outside the liver")
    if deviations:
        raise _not_of_model(path, f"measures made without {' and '.join(deviations)}")
    exported = {
        "weights": stored_hash(runs[0] / run_files.WEIGHTS),
        "liver_weights": stored_hash(liver_run / run_files.WEIGHTS),
        "postprocessing": cascade.how.text(),
    }
    # The protocol of this name first: another protocol's run may be a copy of this one.
    name = runs[0].resolve().name
    candidates = sorted(protocols.items(), key=lambda item: item[0] != name)
    protocol = _matching_protocol(path, [entry for _, entry in candidates], exported)
    return {**shared, "counts": protocol["counts"], "measures": protocol["measures"]}


def _matching_protocol(path: Path, protocols: list[dict], exported: dict[str, str]) -> dict:
    """The protocol with a network that was measured as it is exported."""
    unknown, near = False, None
    for protocol in protocols:
        networks = protocol.get("networks") or []
        unknown = unknown or not networks
        for network in networks:
            if all(network.get(name) == value for name, value in exported.items()):
                return protocol
            if network.get("weights") == exported["weights"]:
                near = network
    if near is not None:
        other = [text for name, text in _COMPARED.items() if near.get(name) != exported[name]]
        raise _not_of_model(path, f"measures of these weights with another {' and '.join(other)}")
    raise _not_of_model(
        path, "measures that do not state their weights" if unknown else "measures of other weights"
    )


def _not_of_model(path: Path, found: str) -> Refusal:
    return Refusal(
        "measures-other-run",
        path,
        expected="measures of the model that is exported",
        found=found,
        remedy="Omit --measures, or evaluate the run as it is exported (trainers.evaluate).",
    )

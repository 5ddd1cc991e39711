"""What travels with an exported model besides its weights."""

from __future__ import annotations

import json
from pathlib import Path

from liver_tf import run_files
from liver_tf.inference.cascade import Cascade
from liver_tf.model.weights_file import stored_hash
from liver_tf.refusals import Refusal

#: What must be the same for measures to be of the exported model, by its name in ``made_of``.
_SAME = {
    "weights": "weights",
    "liver_weights": "liver network",
    "postprocessing": "post-processing",
}


def provenance_of(runs: list[Path], liver_run: Path) -> dict[str, str]:
    """Protocols of the runs, with fold and seed as their folders name them, and their weights."""
    told = {}
    for number, run in enumerate(runs, 1):
        name = f"run {number}" if len(runs) > 1 else "run"
        told[name] = "/".join(run.resolve().parts[-3:])
        told |= _facts(name, run)
    return {**told, "liver run": liver_run.resolve().name, **_facts("liver run", liver_run)}


def _facts(name: str, run: Path) -> dict[str, str]:
    """What a run's folder tells of it; its cases are patients, or scans of patients."""
    facts = {f"{name}, weights": stored_hash(run / run_files.WEIGHTS)}
    try:
        split = run_files.read_identity(run)["split"]
        parts = [f"{len(split[part])} {part}" for part in ("training", "validation", "test")]
    except (OSError, ValueError, KeyError, TypeError):
        return facts
    return {**facts, f"{name}, cases": ", ".join(parts)}


def measures_of(path: Path, runs: list[Path], liver_run: Path, cascade: Cascade) -> dict:
    """What ``trainers.evaluate`` measured of an exported run, for its model card.

    Measures are of the exported model if they were made with the same weights, liver network and
    post-processing, without mirror images, and of lesions in the liver only.

    Raises ``Refusal``: ``measures-unreadable``, and ``measures-other-run`` where the file knows
    nothing of the run, does not tell what it was made of, or was made of something else; or where
    several are exported: nobody has measured their mean.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        protocols = report["protocols"]
        told = {name: report[name] for name in ("data", "level", "titles", "cautions")}
    except (OSError, ValueError, KeyError, TypeError):
        raise Refusal(
            "measures-unreadable",
            path,
            expected="the measures.json of a report",
            found="a file that is missing or something else",
            remedy="Name the file that trainers.evaluate wrote.",
        ) from None
    if len(runs) > 1:
        raise _other(path, "several runs, whose mean was not measured")
    differing = [
        name
        for name, differs in (
            ("mirror images averaged", cascade.facts()["flips"]),
            ("lesions outside the liver kept", not cascade.facts()["in_liver_only"]),
        )
        if differs
    ]
    if differing:
        raise _other(path, f"measures made in another way: not with {', '.join(differing)}")
    ours = {
        "weights": stored_hash(runs[0] / run_files.WEIGHTS),
        "liver_weights": stored_hash(liver_run / run_files.WEIGHTS),
        "postprocessing": cascade.how.text(),
    }
    # Its own name first: another protocol's run may have been copied from it.
    name = runs[0].resolve().name
    own = _protocol_of(path, sorted(protocols.items(), key=lambda one: one[0] != name), ours)
    return {**told, "counts": own["counts"], "measures": own["measures"]}


def _protocol_of(path: Path, protocols: list[tuple[str, dict]], ours: dict[str, str]) -> dict:
    """The protocol of which the network with our weights was measured as we export it."""
    untold, near = False, None
    for _, own in protocols:
        networks = own.get("networks") or []
        untold = untold or not networks
        for network in networks:
            if all(network.get(name) == value for name, value in ours.items()):
                return own
            if network.get("weights") == ours["weights"]:
                near = network
    if near is not None:
        others = [text for name, text in _SAME.items() if near.get(name) != ours[name]]
        raise _other(path, f"measures of these weights with another {' and '.join(others)}")
    if untold:
        raise _other(path, "measures that do not tell of which weights they are")
    raise _other(path, "measures of other weights")


def _other(path: Path, found: str) -> Refusal:
    return Refusal(
        "measures-other-run",
        path,
        expected="measures of the model that is exported",
        found=found,
        remedy="Leave --measures out, or measure the run as it is exported (trainers.evaluate).",
    )

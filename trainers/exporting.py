"""What travels with an exported model besides its weights."""

from __future__ import annotations

import json
from pathlib import Path

from liver_tf.refusals import Refusal


def provenance_of(runs: list[Path]) -> dict[str, str]:
    """Protocols of the runs, with fold and seed as their folders name them."""
    return {
        f"run {number}" if len(runs) > 1 else "run": "/".join(run.resolve().parts[-3:])
        for number, run in enumerate(runs, 1)
    }


def measures_of(path: Path, runs: list[Path]) -> dict | None:
    """What ``trainers.evaluate`` measured of an exported run, for its model card.

    Raises ``Refusal``: ``measures-unreadable``, and ``measures-other-run`` where the file knows
    nothing of the run, or several are exported: nobody has measured their mean.
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
            came="a file that is missing or something else",
            remedy="Name the file that trainers.evaluate wrote.",
        ) from None
    name = runs[0].resolve().name
    if len(runs) > 1 or name not in protocols:
        raise Refusal(
            "measures-other-run",
            path,
            expected="measures of the run that is exported",
            came="several runs, whose mean was not measured" if len(runs) > 1 else "others",
            remedy="Leave --measures out, or name the report of this run.",
        )
    own = protocols[name]
    return {**told, "counts": own["counts"], "measures": own["measures"]}

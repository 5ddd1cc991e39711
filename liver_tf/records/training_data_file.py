"""``seen.json``: what a network was trained on, beside its weights, for the leakage guard.

It holds pseudonyms and hashes of slices, no pixels. So the guard needs no records of the
pre-training, which may lie on another machine. Whoever gives weights away may leave it out: a hash
tells whoever has a slice that it was trained on.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from liver_tf import atomic_files
from liver_tf.records.leakage import HashedCase, SplitPart
from liver_tf.records.slice_hash import parse_hashes
from liver_tf.refusals import Refusal

#: In an ROI record set: the ``seen.json`` of the liver network that cut it.
LIVER_TRAINING_DATA = "liver_seen.json"


def save_training_data(path: Path, parts: tuple[SplitPart, ...]) -> None:
    """Write the parts that a network was trained on, or early stopping looked at."""
    atomic_files.write_json(path, [asdict(part) for part in parts])


def load_training_data(path: Path) -> tuple[SplitPart, ...]:
    """The inverse of ``save_training_data``.

    Raises ``Refusal``: ``no-seen`` where there is no such file, ``seen-damaged``.
    """
    if not path.is_file():
        raise Refusal(
            "no-seen",
            path,
            expected="the list of what the network was trained on",
            found="no such file",
            remedy="Start its training again with the same arguments: it writes the list and ends "
            "at once. If nobody can tell, --accept_unknown_training leaves the comparison out.",
        )
    try:
        parts = json.loads(path.read_text(encoding="utf-8"))
        seen = tuple(
            SplitPart(p["name"], p["site_key"], tuple(map(_case, p["cases"]))) for p in parts
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refusal(
            "seen-damaged",
            path,
            expected="the list that training wrote",
            found="something else",
            remedy="Delete it and start that training again with the same arguments.",
        ) from None
    return seen


def _case(value: dict) -> HashedCase:
    parse_hashes(value["hashes"])
    return HashedCase(value["case"], value["patient"], value["group"], tuple(value["hashes"]))

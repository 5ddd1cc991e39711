"""``seen.json``: the training data of a network, stored beside its weights for the leakage guard.

It holds pseudonyms and slice hashes, no pixels, so the guard does not need the records of the
pre-training. When weights are given away it may be removed: with a slice at hand, its hash reveals
that the slice was used.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from liver_tf import atomic_files
from liver_tf.bounded_files import read_json
from liver_tf.records.bad_records import bad_records
from liver_tf.records.leakage import HashedCase, SplitPart
from liver_tf.records.slice_hash import parse_hashes

#: In an ROI record set: the ``seen.json`` of the liver network that cut the ROIs.
LIVER_TRAINING_DATA = "liver_seen.json"
#: In a record set with made labels: the ``seen.json`` of the network that made them.
LABEL_TRAINING_DATA = "labels_seen.json"
#: The whole file, for a network that learned from no patient.
PHANTOMS_ONLY = {"training_data": "computed phantoms only, no patient"}


def save_training_data(path: Path, parts: tuple[SplitPart, ...]) -> None:
    """Write the cases used for training or early stopping."""
    atomic_files.write_json(path, [asdict(part) for part in parts])


def load_training_data(path: Path) -> tuple[SplitPart, ...]:
    """The inverse of ``save_training_data``; empty for a file of ``PHANTOMS_ONLY``.

    Raises:
      Refusal: ``no-seen`` if there is no such file, ``seen-damaged``.
    """
    if not path.is_file():
        expected = "the list of the training data of the network"
        raise bad_records("no-seen", path, expected, "no such file")
    try:
        parts = read_json(path)
        if parts == PHANTOMS_ONLY:
            return ()
        seen = tuple(
            SplitPart(p["name"], p["site_key"], tuple(map(_case, p["cases"]))) for p in parts
        )
        if not any(part.cases for part in seen):
            raise ValueError("no network learns from nothing")
        return seen
    except (ValueError, KeyError, TypeError, AttributeError):
        expected = "the list that training writes"
        raise bad_records("seen-damaged", path, expected, "other content") from None


def _case(value: dict[str, Any]) -> HashedCase:
    parse_hashes(value["hashes"])
    return HashedCase(value["case"], value["patient"], value["group"], tuple(value["hashes"]))

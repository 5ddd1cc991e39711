"""``run.json``: a run can only be resumed with the arguments and data it was started with."""

import itertools
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from liver_tf import atomic_files, run_files
from liver_tf.counted import counted
from liver_tf.disk_full import disk_full_as_refusal
from liver_tf.refusals import Refusal

_MAX_LENGTH = 60
#: Differences that are listed; the number of the others is stated.
_MAX_LISTED = 8

#: Each entry of ``run.json`` that decides others, which are then listed as its consequence.
_DECIDES = {
    "data_fingerprint": ("split", "task"),
    "seed": ("split", "task"),
    "fold": ("split", "task"),
    "validation": ("split", "task"),
}

_Difference = tuple[str, Any, Any]


def open_run(
    folder: Path, identity: dict[str, Any], versions: dict[str, str] | None = None
) -> str | None:
    """Start a run, or check that it may be resumed.

    Args:
      identity: Everything that determines the weights, except library versions.
      versions: Library versions; a run may be resumed with others.

    Returns:
      A note if the versions differ, otherwise None.

    Raises:
      Refusal: ``run-differs``, with the differences; ``run-damaged``.
    """
    identity = json.loads(json.dumps(identity))
    path = folder / run_files.IDENTITY
    if not path.exists():
        with disk_full_as_refusal():
            atomic_files.write_json(path, identity | ({"versions": versions} if versions else {}))
        return None
    try:
        stored = run_files.read_identity(folder)
    except (ValueError, TypeError):
        raise Refusal(
            "run-damaged",
            path,
            expected="the JSON written when the run was started",
            found="a file that cannot be parsed",
            remedy="Delete the run's folder and start again, or use another folder.",
        ) from None
    started_with = stored.pop("versions", None)
    if stored != identity:
        raise Refusal(
            "run-differs",
            folder,
            expected="the arguments and data with which this run was started",
            found=differences_text(_differences(stored, identity)),
            remedy="Resume with the same arguments, or use another folder (--run or --runs).",
        )
    if versions and started_with and started_with != versions:
        differences = differences_text(_differences(started_with, versions))
        return (
            f"this run was started with other versions ({differences}): its weights may differ in "
            "their last bits from those of an undisturbed run"
        )
    return None


def differences_text(differences: Iterable[_Difference]) -> str:
    """The differences that the user made: without their consequences, equal ones in one entry.

    Args:
      differences: Name, such as ``protocol.cycles[2].epochs``, value before and value now.
    """
    by_root: dict[str, list[_Difference]] = {}
    for each in differences:
        by_root.setdefault(re.split(r"[.\[]", each[0])[0], []).append(each)
    decided = {name for root in by_root for name in _DECIDES.get(root, ())}
    parts = []
    # What decides others comes first.
    for root in sorted(by_root, key=lambda root: (root not in _DECIDES, root)):
        if root not in decided:
            parts += _grouped(by_root[root])
    more = len(parts) - _MAX_LISTED
    parts[_MAX_LISTED:] = [f"and {counted(more, 'more difference')}"] if more > 0 else []
    follow = sorted(decided & by_root.keys())
    parts += [f"accordingly also {' and '.join(follow)}"] if follow else []
    return "; ".join(parts)


def _grouped(differences: Iterable[_Difference]) -> list[str]:
    """A line per change; one that several cycles share names them all: ``cycles[1,2,3]``."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, old, new in differences:
        before, number, after = re.fullmatch(r"(.*?)(?:\[(\d+)\](.*))?", name).groups()
        group = (before, after or "", f"{_truncated(old)} before, {_truncated(new)} now")
        groups.setdefault(group, []).append(number or "")
    return [
        f"{before}[{','.join(numbers)}]{after}: {change}" if numbers[0] else f"{before}: {change}"
        for (before, after, change), numbers in groups.items()
    ]


def _differences(old: Any, new: Any, name: str = "") -> list[_Difference]:
    """The differences of two JSON values; of long lists only the first one."""
    if old == new:
        return []
    inner: list[tuple[str, Any, Any]] = []
    if isinstance(old, dict) and isinstance(new, dict):
        prefix = f"{name}." if name else ""
        inner = [(prefix + key, old.get(key), new.get(key)) for key in sorted({*old, *new})]
    elif isinstance(old, list) and isinstance(new, list):
        pairs = enumerate(itertools.zip_longest(old, new), 1)
        changed = [(f"{name}[{number}]", *pair) for number, pair in pairs if pair[0] != pair[1]]
        if any(isinstance(value, dict) for value in (*old, *new)):
            inner = changed
        elif max(len(json.dumps(old)), len(json.dumps(new))) > _MAX_LENGTH:
            inner = changed[:1]
    if inner:
        return [each for key, *pair in inner for each in _differences(pair[0], pair[1], key)]
    return [(name, old, new)]


def _truncated(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 3]}..."

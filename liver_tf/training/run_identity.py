"""``run.json``: a run can only be resumed with the arguments and data it was started with."""

import itertools
import json
from pathlib import Path
from typing import Any

from liver_tf import atomic_files, run_files
from liver_tf.disk_full import disk_full_as_refusal
from liver_tf.refusals import Refusal

_MAX_LENGTH = 60


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
            found="; ".join(_differences(stored, identity)),
            remedy="Resume with the same arguments, or use another folder (--run or --runs).",
        )
    if versions and started_with and started_with != versions:
        differences = "; ".join(_differences(started_with, versions))
        return (
            f"this run was started with other versions ({differences}): its weights may differ in "
            "their last bits from those of an undisturbed run"
        )
    return None


def _differences(old: Any, new: Any, name: str = "") -> list[str]:
    """One line per difference of two JSON values; of long lists only the first difference."""
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
        return [line for key, *pair in inner for line in _differences(pair[0], pair[1], key)]
    return [f"{name}: {_truncated(old)} before, {_truncated(new)} now"]


def _truncated(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 3]}..."

"""``run.json``: a run can only be resumed with the arguments and data it was started with."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from liver_tf import atomic_files, run_files
from liver_tf.disk_full import disk_full_as_refusal
from liver_tf.refusals import Refusal
from liver_tf.training.run_differences import run_differences


def open_run(
    folder: Path,
    identity: dict[str, Any],
    versions: dict[str, str] | None = None,
    given: Collection[str] = (),
) -> str | None:
    """Start a run, or check that it may be resumed.

    Args:
      identity: Everything that determines the weights, except library versions.
      versions: Library versions; a run may be resumed with others.
      given: Names of the flags that the user has set, for the message.

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
            found=run_differences(stored, identity, given),
            remedy="Resume with the same arguments, or use another folder "
            f"({'--runs' if 'fold' in identity else '--run'}).",
        )
    if versions and started_with and started_with != versions:
        changed = "; ".join(
            f"{name} {started_with.get(name)} before, {version} now"
            for name, version in versions.items()
            if started_with.get(name) != version
        )
        return (
            f"this run was started with other versions ({changed}): its weights may differ in "
            "their last bits from those of an undisturbed run"
        )
    return None

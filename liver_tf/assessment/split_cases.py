"""The cases of a run's validation or test part, checked against the record set."""

from __future__ import annotations

from pathlib import Path

from liver_tf import run_files
from liver_tf.model.description import Description, load_description
from liver_tf.records.manifest import Manifest
from liver_tf.refusals import Refusal


def cases_of_part(run: Path, manifest: Manifest, part: str) -> list[str]:
    """The cases of a run's ``test`` or ``validation`` part.

    Raises:
      Refusal: ``label-set-differs``, ``window-differs``, ``other-records``, ``no-patients``.
    """
    description = load_description(run)
    _check_meaning(description, manifest, run)
    source = (description.roi or {}).get("source_fingerprint")
    if source != manifest.fingerprint:
        raise Refusal(
            "other-records",
            run,
            expected=f"the records from which the run's ROIs were cut, {str(source)[:16]}",
            found=f"records with fingerprint {manifest.fingerprint[:16]}",
            remedy="Set --records to the records of the run.",
        )
    cases = run_files.read_identity(run)["split"][part]
    if not cases:
        raise Refusal(
            "no-patients",
            run,
            expected=f"a run with {part} patients",
            found="none: it was trained without folds",
            remedy="Fine-tune with --folds_file, which sets test patients aside.",
        )
    return cases


def _check_meaning(description: Description, manifest: Manifest, run: Path) -> None:
    """Refuse records with a different label set or HU window than the training data."""
    trained, given = description.label_set.classes, manifest.label_set.classes
    if trained != given:
        raise Refusal(
            "label-set-differs",
            run,
            expected=f"records with the run's classes, {', '.join(trained)}",
            found=f"records with {', '.join(given)}",
            remedy="Set --records to the records of the run.",
        )
    if tuple(description.window) != tuple(manifest.window):
        raise Refusal(
            "window-differs",
            run,
            expected=f"records with the run's window {list(description.window)} HU",
            found=f"{list(manifest.window)} HU",
            remedy="Set --records to the records of the run.",
        )

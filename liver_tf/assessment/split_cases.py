"""The cases of a run's validation or test part, checked against the record set."""

from pathlib import Path

from liver_tf import run_files
from liver_tf.model.description import load_description
from liver_tf.records.manifest import Manifest
from liver_tf.refusals import Refusal


def cases_of_part(run: Path, manifest: Manifest, part: str) -> list[str]:
    """The cases of a run's ``test`` or ``validation`` part.

    Raises:
      Refusal: ``label-set-differs``, ``window-differs``, ``other-records``, ``no-patients``,
        ``run-damaged``.
    """
    description = load_description(run)
    trained, given = description.label_set.classes, manifest.label_set.classes
    window, given_window = list(description.window), list(manifest.window)
    source = str((description.roi or {}).get("source_fingerprint"))
    if trained != given:
        expected = f"records with the run's classes, {', '.join(trained)}"
        raise _wrong_records("label-set-differs", run, expected, f"records with {', '.join(given)}")
    if window != given_window:
        expected = f"records with the run's window {window} HU"
        raise _wrong_records("window-differs", run, expected, f"{given_window} HU")
    if source != manifest.fingerprint:
        expected = f"the records from which the run's ROIs were cut, {source[:16]}"
        found = f"records with fingerprint {manifest.fingerprint[:16]}"
        raise _wrong_records("other-records", run, expected, found)
    cases = run_files.require_identity(run, part)["split"][part]
    if not cases:
        raise Refusal(
            "no-patients",
            run,
            expected=f"a run with {part} patients",
            found="none: it was trained without folds",
            remedy="Fine-tune with --folds_file, which sets test patients aside.",
        )
    return cases


def _wrong_records(code: str, run: Path, expected: str, found: str) -> Refusal:
    remedy = "Set --records to the records of the run."
    return Refusal(code, run, expected=expected, found=found, remedy=remedy)

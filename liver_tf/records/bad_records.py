"""Refusals of record sets: what the user can do, by reason code."""

from pathlib import Path

from liver_tf.refusals import Refusal

_CASE_PAIRS = (
    "Write a line such as c-0123456789abcdef,c-fedcba9876543210 for every pair, with the "
    "pseudonyms that liver-tf check_leakage prints."
)

_REMEDIES = {
    "no-manifest": "Run liver-tf build_tfrecords (for ROIs liver-tf make_rois). An interrupted "
    "conversion resumes with the same command.",
    "schema-version": "Convert the data again with this version of the program.",
    "manifest-damaged": "Delete the file and convert the data again: complete shards are kept.",
    "no-folds": "Set --folds_file, or convert the data again.",
    "folds-damaged": "Convert the data again: complete shards are kept, and the folds are the "
    "same.",
    "folds-differ": "Use the folds that were made from these data.",
    "fold-empty": "Choose another fold, or make folds of more patients.",
    "test-patient-unknown": "Write one patient ID per line in --test_patients, as it is spelled in "
    "the source, of patients that were not refused.",
    "no-seen": "Run its training again with the same arguments, which writes the list and ends at "
    "once. If the training data are unknown, --accept_unknown_training skips the comparison.",
    "seen-damaged": "Delete it and run the training again with the same arguments.",
    "output-foreign": "Choose another --output.",
    "output-other-set": "Choose another --output, or delete that record set.",
    "nothing-converted": "Read the other refusals; check --source and --input.",
    "roi-of-roi": "Use a record set written by build_tfrecords.",
    "same-folder": "Choose another --output: whole slices and ROIs are two record sets.",
    "no-roi": "Train the liver network longer, or use --true_liver.",
    "allow-unreadable": _CASE_PAIRS,
    "allow-line": _CASE_PAIRS,
    "allow-unknown-case": _CASE_PAIRS,
}


def bad_records(code: str, path: Path | str | None, expected: str, found: str) -> Refusal:
    """A refusal with the remedy of its code."""
    return Refusal(code, path, expected=expected, found=found, remedy=_REMEDIES[code])

"""The leakage guard in training: no test case of a fold may be in the training data."""

from pathlib import Path

from liver_tf import run_files
from liver_tf.atomic_files import sha256_of
from liver_tf.counted import counted
from liver_tf.records.allowed_pairs import load_allowed
from liver_tf.records.folds import Split
from liver_tf.records.leakage import (
    SplitPart,
    borders_of,
    find_leaks,
    key_cautions,
    part_of,
    parts_of_split,
    refuse_leaks,
)
from liver_tf.records.manifest import MADE_LABELS, Manifest
from liver_tf.records.training_data_file import (
    LABEL_TRAINING_DATA,
    LIVER_TRAINING_DATA,
    load_training_data,
    save_training_data,
)
from liver_tf.refusals import Refusal


def save_training_cases(
    folder: Path, kind: str, manifest: Manifest, split: Split, before: tuple[SplitPart, ...] = ()
) -> None:
    """Write ``seen.json`` of a run, unless it exists: its cases and those of earlier runs."""
    if not (folder / run_files.TRAINING_DATA).exists():
        cases = (*split.training, *split.validation)
        trained = part_of(f"training of a {kind} network", manifest, cases)
        save_training_data(folder / run_files.TRAINING_DATA, (trained, *before))


def check_fold(
    records: Path,
    manifest: Manifest,
    split: Split,
    pretrained: Path | None,
    *,
    allow_pairs: Path | None,
    accept_unknown: bool,
) -> tuple[SplitPart, ...]:
    """Refuse leaks between the parts of a fold, and from earlier training data into its test part.

    Earlier training data are those of the pre-trained run (None: from scratch), of the liver
    network that cut the ROIs, and of the network that labelled neighbours; without a test part they
    need not be known. If they include
    validation patients, a note is printed: early stopping is optimistic, but the test results are
    valid.

    Returns:
      The training data from which weights are inherited: those of the pre-trained run, and of the
      network whose labels are learned.

    Raises:
      Refusal: As ``refuse_leaks``, ``load_allowed`` and ``load_training_data``.
    """
    accept_unknown = accept_unknown or not split.test
    inherited: tuple[SplitPart, ...] = ()
    if pretrained is not None:
        inherited = _load_known(pretrained / run_files.TRAINING_DATA, accept_unknown)
    before = (*inherited, *_liver_network_data(records, manifest, accept_unknown))
    labels = _label_network_data(records, manifest, accept_unknown)
    training, validation, test = parts_of_split("fold", manifest, split)
    earlier = (*before, *labels)
    borders = borders_of((training, validation, test)) + [(part, test) for part in earlier]
    known = {case.case for part in (part_of("", manifest), *earlier) for case in part.cases}
    allowed = load_allowed(allow_pairs, known)
    for caution in key_cautions(borders):
        print(f"leakage guard: {caution}")
    refuse_leaks(find_leaks(borders, allowed), records, "Nothing was trained.")
    early = find_leaks([(part, validation) for part in before], allowed)
    if early:
        print(
            f"leakage guard: validation shares {counted(len(early), 'pair')} of cases with "
            "earlier training data, so early stopping is optimistic; the test part shares none"
        )
    return (*inherited, *(part for part in labels if part not in inherited))


def _liver_network_data(
    records: Path, manifest: Manifest, accept_unknown: bool
) -> tuple[SplitPart, ...]:
    roi = manifest.roi or {}
    if roi.get("liver") != "network":
        return ()
    path, remedy = records / LIVER_TRAINING_DATA, "Cut the ROIs again."
    return _load_unchanged(path, roi["liver_seen"], accept_unknown, remedy)


def _label_network_data(
    records: Path, manifest: Manifest, accept_unknown: bool
) -> tuple[SplitPart, ...]:
    """Made labels repeat what their network learned from its own training data."""
    if MADE_LABELS not in manifest.made_by:
        return ()
    path, remedy = records / LABEL_TRAINING_DATA, "Make the record set again."
    return _load_unchanged(path, manifest.made_by[MADE_LABELS]["seen"], accept_unknown, remedy)


def _load_unchanged(
    path: Path, expected_sha256: str | None, accept_unknown: bool, remedy: str
) -> tuple[SplitPart, ...]:
    seen = _load_known(path, accept_unknown)
    if seen and sha256_of(path) != expected_sha256:
        expected = "the list that was copied when the records were made"
        raise Refusal("seen-damaged", path, expected=expected, found="another list", remedy=remedy)
    return seen


def _load_known(path: Path, accept_unknown: bool) -> tuple[SplitPart, ...]:
    if accept_unknown and not path.is_file():
        print("leakage guard: the training data of a network are unknown and cannot be compared")
        return ()
    return load_training_data(path)

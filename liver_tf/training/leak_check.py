"""The leakage guard in training: no test case of a fold may be in the training data."""

from pathlib import Path

from liver_tf import run_files
from liver_tf.atomic_files import sha256_of
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
from liver_tf.records.manifest import Manifest
from liver_tf.records.training_data_file import (
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

    Earlier training data are those of the pre-trained run (None: from scratch) and of the liver
    network that cut the ROIs; without a test part they need not be known. If they include
    validation patients, a note is printed: early stopping is optimistic, but the test results are
    valid.

    Returns:
      The training data of the pre-trained run.

    Raises:
      Refusal: As ``refuse_leaks``, ``load_allowed`` and ``load_training_data``.
    """
    accept_unknown = accept_unknown or not split.test
    inherited: tuple[SplitPart, ...] = ()
    if pretrained is not None:
        inherited = _load_known(pretrained / run_files.TRAINING_DATA, accept_unknown)
    before = (*inherited, *_liver_network_data(records, manifest, accept_unknown))
    training, validation, test = parts_of_split("fold", manifest, split)
    borders = borders_of((training, validation, test)) + [(part, test) for part in before]
    known = {case.case for part in (part_of("", manifest), *before) for case in part.cases}
    allowed = load_allowed(allow_pairs, known)
    for caution in key_cautions(borders):
        print(f"leakage guard: {caution}")
    refuse_leaks(find_leaks(borders, allowed), records, "Nothing was trained.")
    early = find_leaks([(part, validation) for part in before], allowed)
    if early:
        print(
            f"leakage guard: validation shares {len(early)} pair(s) of cases with earlier training "
            "data, so early stopping is optimistic; the test part shares none"
        )
    return inherited


def _liver_network_data(
    records: Path, manifest: Manifest, accept_unknown: bool
) -> tuple[SplitPart, ...]:
    roi = manifest.roi or {}
    if roi.get("liver") != "network":
        return ()
    path = records / LIVER_TRAINING_DATA
    seen = _load_known(path, accept_unknown)
    if seen and sha256_of(path) != roi["liver_seen"]:
        raise Refusal(
            "seen-damaged",
            path,
            expected="the list that data_prep.make_rois copied",
            found="another list",
            remedy="Cut the ROIs again.",
        )
    return seen


def _load_known(path: Path, accept_unknown: bool) -> tuple[SplitPart, ...]:
    if accept_unknown and not path.is_file():
        print("leakage guard: the training data of a network are unknown and cannot be compared")
        return ()
    return load_training_data(path)

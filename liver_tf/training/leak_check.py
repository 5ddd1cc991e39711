"""The leakage guard in training: what a network has seen against the test of a fold."""

from __future__ import annotations

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


def note_seen(
    folder: Path, kind: str, manifest: Manifest, split: Split, before: tuple[SplitPart, ...] = ()
) -> None:
    """Write what a run sees beside its weights, once: its cases, and those of runs before it."""
    if not (folder / run_files.TRAINING_DATA).exists():
        cases = (*split.training, *split.validation)
        own = part_of(f"training of a {kind} network", manifest, cases)
        save_training_data(folder / run_files.TRAINING_DATA, (own, *before))


def check_fold(
    records: Path,
    manifest: Manifest,
    split: Split,
    pretrained: Path | None,
    *,
    allow_pairs: Path | None,
    accept_unknown: bool,
) -> tuple[SplitPart, ...]:
    """Refuse leaks between the parts of a fold, and from what was trained on before into its test.

    Trained on before are the pre-trained run (None: from scratch), and the liver network that cut
    the ROIs. Where these saw validation patients early stopping is optimistic, and the measures
    still hold: that is told and not refused. Without a test part they need not be known.

    Returns:
      What the pre-trained run has seen.

    Raises:
      Refusal: as ``refuse_leaks``, ``load_allowed`` and ``load_training_data`` do.
    """
    accept_unknown = accept_unknown or not split.test
    inherited = (
        () if pretrained is None else _seen(pretrained / run_files.TRAINING_DATA, accept_unknown)
    )
    before = (*inherited, *_seen_by_liver_network(records, manifest, accept_unknown))
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
            f"leakage guard: validation shares {len(early)} pair(s) of cases with what was trained "
            "on before, so that early stopping is optimistic; the test part shares none"
        )
    return inherited


def _seen_by_liver_network(
    records: Path, manifest: Manifest, accept_unknown: bool
) -> tuple[SplitPart, ...]:
    roi = manifest.roi or {}
    if roi.get("liver") != "network":
        return ()
    path = records / LIVER_TRAINING_DATA
    seen = _seen(path, accept_unknown)
    if seen and sha256_of(path) != roi["liver_seen"]:
        raise Refusal(
            "seen-damaged",
            path,
            expected="the list that data_prep.make_rois copied",
            found="another",
            remedy="Cut the ROIs again.",
        )
    return seen


def _seen(path: Path, accept_unknown: bool) -> tuple[SplitPart, ...]:
    if accept_unknown and not path.is_file():
        print("leakage guard: not told what a network was trained on, so not compared")
        return ()
    return load_training_data(path)

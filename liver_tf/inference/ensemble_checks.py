"""Checks that networks may form an ensemble: same labels, window and ROI rule, no copies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from liver_tf import run_files
from liver_tf.inference.roi_rule import RoiRule
from liver_tf.model.description import Description, load_description
from liver_tf.model.weights_file import stored_hash
from liver_tf.refusals import Refusal


def check_networks(descriptions: Sequence[Description]) -> None:
    """Raise ``ValueError`` unless these are lesion networks that may be averaged."""
    if not descriptions:
        raise ValueError("expected at least one lesion network, found none")
    for description in descriptions:
        if description.kind != "lesion":
            raise ValueError(f"expected a lesion network, found a {description.kind} network")
        for name, (first, other) in _compared(descriptions[0], description).items():
            if first != other:
                raise ValueError(f"networks differ in {name}: {first} and {other}")


def check_runs(runs: Sequence[Path]) -> None:
    """Refuse runs that may not be averaged. The kind of their networks is not checked.

    Raises:
      Refusal: ``label-set-differs``, ``window-differs``, ``roi-rule-differs``;
        ``ensemble-run-twice`` for a copy of a run, which would count twice; as
        ``load_description`` and ``stored_hash``.
    """
    first, *others = [load_description(run) for run in runs]
    for run, other in zip(runs[1:], others, strict=True):
        compared = _compared(first, other)
        _refuse_other("label-set-differs", run, "label set", *compared["label set"])
        _refuse_other("window-differs", run, "window", *compared["window"])
        _refuse_other("roi-rule-differs", run, "ROI rule", *compared["ROI rule"])
    if others:
        _refuse_copies(runs)


def _refuse_other(code: str, run: Path, name: str, expected: Any, actual: Any) -> None:
    if actual != expected:
        raise Refusal(
            code,
            run,
            expected=f"the {name} of the first run of the ensemble, {expected}",
            found=str(actual),
            remedy="Average only runs that were fine-tuned on the same kind of records.",
        )


def _refuse_copies(runs: Sequence[Path]) -> None:
    first: dict[str, int] = {}
    for number, run in enumerate(runs, 1):
        earlier = first.setdefault(stored_hash(run / run_files.WEIGHTS), number)
        if earlier != number:
            raise Refusal(
                "ensemble-run-twice",
                run,
                expected="runs with different weights",
                found=f"the weights of run {earlier} of the ensemble",
                remedy="Name each run once; a copy would count twice in the average.",
            )


def _compared(first: Description, other: Description) -> dict[str, tuple[Any, Any]]:
    return {
        "label set": (first.label_set.classes, other.label_set.classes),
        "window": (tuple(first.window), tuple(other.window)),
        "ROI rule": (_rule(first), _rule(other)),
    }


def _rule(description: Description) -> RoiRule | None:
    return RoiRule(**description.roi["rule"]) if description.roi else None

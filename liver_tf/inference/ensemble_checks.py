"""Checks that networks may form an ensemble: same labels, window and ROI rule, no copies."""

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
        for name, expected in _shared(descriptions[0]).items():
            if (found := _shared(description)[name]) != expected:
                raise ValueError(f"networks differ in {name}: {expected} and {found}")


def check_runs(runs: Sequence[Path]) -> None:
    """Refuse runs that may not be averaged. The kind of their networks is not checked.

    Raises:
      Refusal: ``label-set-differs``, ``window-differs``, ``roi-rule-differs``;
        ``ensemble-run-twice`` for a copy of a run, which would count twice; as
        ``load_description`` and ``stored_hash``.
    """
    first, *others = [_shared(load_description(run)) for run in runs]
    for run, other in zip(runs[1:], others, strict=True):
        _refuse_other("label-set-differs", run, "label set", first, other)
        _refuse_other("window-differs", run, "window", first, other)
        _refuse_other("roi-rule-differs", run, "ROI rule", first, other)
    hashes = [stored_hash(run / run_files.WEIGHTS) for run in runs] if others else []
    for number, weights in enumerate(hashes):
        if weights in hashes[:number]:
            raise Refusal(
                "ensemble-run-twice",
                runs[number],
                expected="runs with different weights",
                found=f"the weights of run {hashes.index(weights) + 1} of the ensemble",
                remedy="Name each run once; a copy would count twice in the average.",
            )


def _shared(description: Description) -> dict[str, Any]:
    """What networks must have in common to be averaged: values by name."""
    return {
        "label set": description.label_set.classes,
        "window": tuple(description.window),
        "ROI rule": RoiRule(**description.roi["rule"]) if description.roi else None,
    }


def _refuse_other(code: str, run: Path, name: str, first: dict, other: dict) -> None:
    if other[name] != first[name]:
        raise Refusal(
            code,
            run,
            expected=f"the {name} of the first run of the ensemble, {first[name]}",
            found=str(other[name]),
            remedy="Average only runs that were fine-tuned on the same kind of records.",
        )

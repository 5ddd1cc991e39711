"""Networks of an ensemble must mean the same by their answers, and see the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from liver_tf import run_files
from liver_tf.inference.roi_box import RoiRule
from liver_tf.model.description import Description, load_description
from liver_tf.model.weights_file import stored_hash
from liver_tf.refusals import Refusal


def require_agreement(descriptions: Sequence[Description]) -> None:
    """Raise ``ValueError`` unless these are lesion networks that may be averaged."""
    if not descriptions:
        raise ValueError("expected at least one lesion network, got none")
    for one in descriptions:
        if one.kind != "lesion":
            raise ValueError(f"expected a lesion network, got a {one.kind} network")
    for one in descriptions[1:]:
        for what, (first, other) in _meanings(descriptions[0], one).items():
            if first != other:
                raise ValueError(f"networks of another {what}: {first} and {other}")


def refuse_disagreement(runs: Sequence[Path]) -> None:
    """Raise ``Refusal`` where runs may not be averaged.

    Codes: ``label-set-differs``, ``window-differs``, ``roi-rule-differs``, ``ensemble-run-twice``
    (a run copied to another folder would count twice), and as
    :func:`liver_tf.model.description.load_description` and
    :func:`liver_tf.model.weights_file.stored_hash`. A run of another kind is left to
    :meth:`liver_tf.inference.trained_network.TrainedNetwork.of_run`.
    """
    first, *others = [load_description(run) for run in runs]
    for run, other in zip(runs[1:], others, strict=True):
        meanings = _meanings(first, other)
        _refuse_unless_equal(run, "label-set-differs", "label set", meanings)
        _refuse_unless_equal(run, "window-differs", "window", meanings)
        _refuse_unless_equal(run, "roi-rule-differs", "ROI rule", meanings)
    if others:
        _refuse_same_weights(runs)


def _refuse_same_weights(runs: Sequence[Path]) -> None:
    first: dict[str, int] = {}
    for number, run in enumerate(runs, 1):
        earlier = first.setdefault(stored_hash(run / run_files.WEIGHTS), number)
        if earlier != number:
            raise Refusal(
                "ensemble-run-twice",
                run,
                expected="runs of one ensemble with weights of their own",
                found=f"the very weights of run {earlier} of those named: a copy of it",
                remedy="Name each run once; a copy would count twice in the average.",
            )


def _meanings(first: Description, other: Description) -> dict[str, tuple]:
    return {
        "label set": (first.label_set.classes, other.label_set.classes),
        "window": (tuple(first.window), tuple(other.window)),
        "ROI rule": (_rule(first), _rule(other)),
    }


def _rule(description: Description) -> RoiRule | None:
    return RoiRule(**description.roi["rule"]) if description.roi else None


def _refuse_unless_equal(run: Path, code: str, what: str, meanings: dict[str, tuple]) -> None:
    first, other = meanings[what]
    if first != other:
        raise Refusal(
            code,
            run,
            expected=f"runs of one ensemble with the {what} of the first, {first}",
            found=str(other),
            remedy="Average only runs that were fine-tuned on the same kind of records.",
        )

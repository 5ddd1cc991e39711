"""Checks that networks may be combined: same labels, window and ROI rule, no copies."""

from collections.abc import Iterator, Sequence
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


def check_outline_network(outline: Description, lesion: Description) -> None:
    """Raise ``ValueError`` unless a network may outline the lesions that another one types."""
    for name, expected, found in _outline_differences(outline, lesion):
        raise ValueError(f"outline network, {name}: expected {expected}, found {found}")


def check_outline_run(outline: Path, lesion: Path) -> None:
    """Refuse a run whose network may not outline the lesions that that of another run types.

    Raises:
      Refusal: ``outline-differs``; as ``load_description``.
    """
    descriptions = load_description(outline), load_description(lesion)
    for name, expected, found in _outline_differences(*descriptions):
        raise Refusal(
            "outline-differs",
            outline,
            expected=f"{name} {expected}",
            found=str(found),
            remedy="Name the run of the lesion network without types from which the typed one was "
            "fine-tuned with --standardisation=pretrained, or omit --outline_model.",
        )


def _outline_differences(
    outline: Description, lesion: Description
) -> Iterator[tuple[str, object, object]]:
    """What does not fit: its name, what was expected, what was found."""
    if (count := len(outline.label_set.lesions)) != 1:
        classes = ", ".join(outline.label_set.classes)
        yield "classes", "background, liver and one of lesions", f"{classes} ({count} of lesions)"
    if len(lesion.label_set.lesions) < 2:
        types = ", ".join(lesion.label_set.classes)
        yield "a lesion network with", "types of lesions", f"one with {types}"
    of_lesion = _shared_with_outline(lesion)
    for name, found in _shared_with_outline(outline).items():
        if found != of_lesion[name]:
            yield f"the {name} of the lesion network,", of_lesion[name], found


def _shared_with_outline(description: Description) -> dict[str, Any]:
    """What an outline network must have in common with the lesion networks: values by name."""
    shared = {
        **_shared(description),
        "mean and SD": (description.mean_hu, description.sd_hu),
        "image size": description.architecture.image_size,
    }
    del shared["label set"]
    return shared


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

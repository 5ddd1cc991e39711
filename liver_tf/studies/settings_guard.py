"""Keeps runs with different settings apart: a study that would mix them is refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from liver_tf import run_files
from liver_tf.refusals import Refusal
from liver_tf.results.study_inventory import CELLS, FINETUNE, OUTCOME, read_object

#: The entry of ``made_of`` that differs between protocols.
PROTOCOL = "protocol"


def refuse_mixed_settings(study: Path, planned: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ``Refusal``, ``study-differs``, if a run in the study was started with other settings.

    ``planned``: ``StudyJob.made_of`` of the planned runs, by protocol.
    """
    protocols = {name: made_of[PROTOCOL] for name, made_of in planned.items()}
    common = next((_without_protocol(made_of) for made_of in planned.values()), None)
    for path in sorted((study / CELLS).glob(f"*/*/*/{OUTCOME}")):
        fold, protocol, seed = path.parent.relative_to(study / CELLS).parts
        made_of = read_object(path).get("made_of")
        run = study / FINETUNE / fold / seed / protocol
        if not made_of or not (run / run_files.IDENTITY).exists():
            continue  # The run failed before training started.
        common = common or _without_protocol(made_of)
        flags = protocols.setdefault(protocol, made_of[PROTOCOL])
        differences = _differences(_without_protocol(made_of), common)
        differences += _differences({protocol: made_of[PROTOCOL]}, {protocol: flags})
        if differences:
            raise Refusal(
                "study-differs",
                path.parent,
                expected="the settings with which this run of the study was started",
                found="; ".join(differences),
                remedy="Use the same settings to resume, or another folder (--output): a table "
                "cannot compare runs with different settings.",
            )


def _without_protocol(made_of: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in made_of.items() if name != PROTOCOL}


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    lines = []
    for name in sorted({*before, *now}):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if isinstance(old, list) and isinstance(new, list):
            removed = [flag for flag in old if flag not in new]
            added = [flag for flag in new if flag not in old]
            if not removed and not added:  # the same flags in another order
                removed, added = old, new
            old, new = " ".join(removed) or "nothing", " ".join(added) or "nothing"
        lines.append(f"{name}: {_brief(old)} before, {_brief(new)} now")
    return lines


def _brief(value: Any) -> str:
    """The text of a value; hashes are abbreviated."""
    text = str(value)
    return text[:16] if len(text) == 64 and text.isalnum() else text

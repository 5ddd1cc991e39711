"""What all cells of a study share. Cells of two settings are never mixed in one study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from liver_tf import run_files
from liver_tf.atomic_files import sha256_of
from liver_tf.refusals import Refusal
from liver_tf.studies.cell_process import MEMO, read_memo

CELLS, FINETUNE = "cells", "finetune"

#: The part of a cell's ``made_of`` that protocols do not share.
PROTOCOL = "protocol"


def shared(
    settings: Sequence[str],
    *,
    fingerprints: Mapping[str, str],
    folds_file: Path,
    weights: Mapping[str, Path],
) -> dict[str, Any]:
    """All that decides a study's results but what names its cells.

    Args:
      settings: flags of training. fingerprints: of the record sets, by name.
      folds_file: is named by its contents. weights: runs of the networks before, by name; so are
        they.

    Raises:
      Refusal: ``no-model`` where a network is not there, ``no-folds``.
    """
    return {
        "settings": list(settings),
        **fingerprints,
        "folds": sha256_of(folds_file),
        **{name: _of_weights(run) for name, run in weights.items()},
    }


def _of_weights(run: Path) -> str:
    if not (run / run_files.WEIGHTS).is_file():
        raise Refusal(
            "no-model",
            run,
            expected="a finished run with its weights",
            found="a folder without them" if run.is_dir() else "no such folder",
            remedy="Train it first; the same command goes on where a run stopped.",
        )
    return sha256_of(run / run_files.WEIGHTS)


def refuse_others(study: Path, wanted: Mapping[str, Mapping[str, Any]] | None = None) -> None:
    """Refuse to go on where a cell of the study was begun with something else.

    Args:
      wanted: ``made_of`` by protocol, of the cells to come. None: the cells are held against each
        other.

    Raises:
      Refusal: ``study-differs``, and shows the difference.
    """
    common: dict[str, Any] | None = None
    lines = {name: made_of[PROTOCOL] for name, made_of in (wanted or {}).items()}
    for made_of in (wanted or {}).values():
        common = _common(made_of)
    for path in sorted((study / CELLS).glob(f"*/*/*/{MEMO}")):
        place, protocol, seed = path.parent.relative_to(study / CELLS).parts
        made_of = read_memo(path).get("made_of")
        run = study / FINETUNE / place / seed / protocol
        if not made_of or not (run / run_files.IDENTITY).exists():
            continue  # it came to nothing
        common = common or _common(made_of)
        differences = _differences(_common(made_of), common)
        expected = lines.setdefault(protocol, made_of[PROTOCOL])
        differences += _differences({protocol: made_of[PROTOCOL]}, {protocol: expected})
        if differences:
            raise Refusal(
                "study-differs",
                path.parent,
                expected="the settings with which this cell of the study was begun",
                found="; ".join(differences),
                remedy="Give the same to go on, or name another folder by --output: cells of two "
                "settings in one table would be compared as if they were alike.",
            )


def _common(made_of: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in made_of.items() if name != PROTOCOL}


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    found = []
    for name in sorted({*then, *now}):
        old, new = then.get(name), now.get(name)
        if old == new:
            continue
        if isinstance(old, list) and isinstance(new, list):
            left = [one for one in old if one not in new]
            right = [one for one in new if one not in old]
            if not left and not right:  # in another order
                left, right = old, new
            old, new = " ".join(left) or "nothing", " ".join(right) or "nothing"
        found.append(f"{name}: {_brief(old)} then, {_brief(new)} now")
    return found


def _brief(value: Any) -> str:
    """Hashes are told apart by their beginnings."""
    text = str(value)
    return text[:16] if len(text) == 64 and text.isalnum() else text

"""Where a fine-tuned run lies below ``--runs``."""

from __future__ import annotations

from pathlib import Path

#: In place of a fold where there are none.
HOLD_OUT = "hold_out"


def fold_name(fold: int, *, on_test: bool) -> str:
    """The folder of a fold; ``on_test`` where its test patients decided on early stopping."""
    return f"fold{fold}_validated_on_test" if on_test else f"fold{fold}"


def run_folder(runs: Path, place: str, seed: int, protocol: str) -> Path:
    """``place``: of ``fold_name``, or ``HOLD_OUT``."""
    return runs / place / f"seed{seed}" / protocol

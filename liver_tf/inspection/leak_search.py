"""``check_leakage``: patients and slices that record sets or folds share."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from liver_tf.counted import counted
from liver_tf.options import REQUIRED, Options, option

if TYPE_CHECKING:
    from liver_tf.records.leakage import Leak


@dataclass(frozen=True, kw_only=True)
class LeakSearchSettings(Options):
    """Options of the search for leaks."""

    records: tuple[Path, ...] = option(REQUIRED, "Folder of a record set.", repeated=True)
    folds_file: Path | None = option(None, "Folds of the first set.")
    allow_pairs: Path | None = option(
        None, "File of pairs of cases that may have similar slices: two pseudonyms per line."
    )


@dataclass(frozen=True)
class LeakSearch:
    """The outcome of a search: every leak, and what the comparison could not cover."""

    leaks: tuple[Leak, ...]
    cautions: tuple[str, ...]

    def text(self) -> str:
        """Cautions, then the leaks by kind."""
        from liver_tf.records.leakage import KINDS, text_of

        lines = [f"caution: {caution}" for caution in self.cautions]
        for kind in KINDS:
            found = [leak for leak in self.leaks if leak.kind == kind]
            lines += [f"{kind}: {counted(len(found), 'pair')} of cases"]
            lines += [f"  {text_of(leak)}" for leak in found]
        return "\n".join(lines)


def search_leaks(settings: LeakSearchSettings) -> LeakSearch:
    """Compare record sets, or the parts of folds, with each other.

    Raises:
      Refusal: A record set, the folds or the file of allowed pairs cannot be used.
    """
    from liver_tf.records.allowed_pairs import load_allowed
    from liver_tf.records.folds import load_folds
    from liver_tf.records.leakage import (
        borders_of,
        find_leaks,
        key_cautions,
        part_of,
        parts_of_split,
    )
    from liver_tf.records.manifest import load_manifest

    manifests = [load_manifest(folder) for folder in settings.records]
    sets = [
        part_of(str(folder), manifest)
        for folder, manifest in zip(settings.records, manifests, strict=True)
    ]
    if settings.folds_file is None:
        borders = list(itertools.combinations_with_replacement(sets, 2))
    else:
        splits = load_folds(settings.folds_file, manifests[0])
        borders = [(other, sets[0]) for other in sets[1:]]
        for number, split in enumerate(splits):
            borders += borders_of(parts_of_split(f"fold {number}", manifests[0], split))
    known = {case.case for part in sets for case in part.cases}
    leaks = find_leaks(borders, load_allowed(settings.allow_pairs, known))
    return LeakSearch(tuple(leaks), tuple(key_cautions(borders)))

"""Chooses the cases for the verify page: those with cautions first, and every diagnosis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from liver_tf.inspection.fingerprint import CaseRow
from liver_tf.inspection.mask_checks import MASK_CODES

if TYPE_CHECKING:
    from liver_tf.inspection.case_pictures import CasePicture


@dataclass(frozen=True)
class PicturedCase:
    """A case with at least one picture; ``order`` is its position among all cases."""

    order: int
    row: CaseRow
    pictures: tuple[CasePicture, ...]

    @property
    def rank(self) -> int:
        """0 if a mask looks misplaced, 1 with other cautions or refused slices, else 2."""
        if MASK_CODES & set(self.row.cautions):
            return 0
        return 1 if self.row.cautions or self.row.refusals else 2

    @property
    def kinds(self) -> frozenset[str]:
        """Diagnoses of the pictures; without a CSV, whether they show a lesion."""
        return frozenset(
            picture.diagnosis or ("lesion" if max(picture.labels) > 1 else "no lesion")
            for picture in self.pictures
        )


class CaseChoice:
    """Chooses at most ``limit`` cases by their order, in one pass and in bounded memory."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: list[PicturedCase] = []
        self._seen = 0

    def add(self, row: CaseRow, pictures: tuple[CasePicture, ...]) -> None:
        """Consider the next case. A case without pictures is never chosen."""
        case = PicturedCase(self._seen, row, pictures)
        self._seen += 1
        alike = [kept for kept in self._kept if kept.rank == case.rank]
        if any(sum(kind in kept.kinds for kept in alike) < self._limit for kind in case.kinds):
            self._kept.append(case)

    @property
    def pictured(self) -> list[PicturedCase]:
        """The chosen cases, sorted by rank and order.

        First one of each diagnosis, then cases with cautions, then the diagnoses in turn.
        """
        best_first = sorted(self._kept, key=_rank_and_order)
        kinds = sorted({kind for case in best_first for kind in case.kinds})
        by_kind = [[case for case in best_first if kind in case.kinds] for kind in kinds]
        chosen: list[PicturedCase] = []
        for cases in by_kind:
            if not any(case in chosen for case in cases):
                chosen.append(cases[0])
        chosen += [case for case in best_first if case.rank < 2 and case not in chosen]
        while len(chosen) < min(self._limit, len(best_first)):
            for cases in by_kind:
                chosen += [case for case in cases if case not in chosen][:1]
        return sorted(chosen[: self._limit], key=_rank_and_order)


def _rank_and_order(case: PicturedCase) -> tuple[int, int]:
    return case.rank, case.order

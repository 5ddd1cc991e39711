"""Which slices of one scan train, which validate and which test: far apart, none in two parts.

A scan is of one patient, whom no record set may divide; the transfer study does so on purpose, and
so keeps its parts apart by distance.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

#: The end of the liver that is trained on; the other end is tested.
FEET, HEAD = ENDS = ("feet", "head")


@dataclass(frozen=True)
class Distances:
    """Along the scan, in mm between centres of slices.

    Attributes:
      training: length of the part over which training slices are spread.
      validation: length of the part over which validation slices are spread.
      before_validation: at least so far do validation slices lie from all training slices.
      before_test: at least so far do test slices lie from all training and validation slices.
    """

    training: float = 60.0
    validation: float = 8.0
    before_validation: float = 12.0
    before_test: float = 24.0


@dataclass(frozen=True)
class Layout:
    """The parts of a scan; slices by their number, feet to head.

    Attributes:
      end: of ``ENDS``.
      positions_mm: of every slice of the scan.
      training: by how many there are, the training slices of each set.
      validation, test: the same for all sets.
    """

    end: str
    positions_mm: tuple[float, ...]
    training: dict[int, tuple[int, ...]]
    validation: tuple[int, ...]
    test: tuple[int, ...]

    def apart_mm(self, some: Collection[int], others: Collection[int]) -> float:
        """The least distance between a slice of one part and one of another."""
        at = self.positions_mm
        return min(abs(at[one] - at[other]) for one in some for other in others)

    def test_apart_mm(self, count: int) -> float:
        """From the set of ``count`` slices, or its validation slices, to the nearest test slice."""
        return self.apart_mm((*self.training[count], *self.validation), self.test)


def lay_out(
    positions_mm: Sequence[float],
    with_liver: Sequence[bool],
    end: str,
    *,
    counts: Sequence[int],
    validation_slices: int,
    distances: Distances,
) -> Layout:
    """Divide the slices with liver: training from one end, then validation, then all that is left.

    Args:
      positions_mm: of every slice, rising from feet to head. with_liver: of every slice.
      end: of ``ENDS``. counts: how many training slices each set has; they are spread evenly over
        the same part of the scan, so that a larger set is not a nearer one.

    Raises:
      ValueError: slices are not in order, an unknown end, or a part has too few slices.
    """
    if list(positions_mm) != sorted(set(positions_mm)):
        raise ValueError("expected slices in order from feet to head, each at a place of its own")
    if end not in ENDS:
        raise ValueError(f"expected one of {', '.join(ENDS)}, got {end!r}")
    usable = [number for number, there in enumerate(with_liver) if there]
    if not usable:
        raise ValueError("expected slices with liver, got none")
    if end == HEAD:
        usable.reverse()
    away = {number: abs(positions_mm[number] - positions_mm[usable[0]]) for number in usable}
    pool = [number for number in usable if away[number] <= distances.training]
    training = {count: _spread(pool, count, "training") for count in counts}
    begins = away[pool[-1]] + distances.before_validation
    pool = [n for n in usable if begins <= away[n]]
    pool = [n for n in pool if away[n] <= away[pool[0]] + distances.validation]
    validation = _spread(pool, validation_slices, "validation")
    begins = away[pool[-1]] + distances.before_test
    test = tuple(sorted(number for number in usable if away[number] >= begins))
    if not test:
        raise ValueError("no slice is left for the test: shorten the other parts or the distances")
    return Layout(end, tuple(positions_mm), training, validation, test)


def _spread(pool: Sequence[int], count: int, part: str) -> tuple[int, ...]:
    """So many slices, evenly over the pool and from its first to its last, feet to head."""
    if not 1 < count <= len(pool):
        raise ValueError(f"{part}: expected 2 to {len(pool)} slices in this part, got {count}")
    last = len(pool) - 1
    return tuple(sorted(pool[round(place * last / (count - 1))] for place in range(count)))

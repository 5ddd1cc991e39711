"""Which slices of one scan train, validate and test: parts are disjoint and far apart.

Everywhere else the program refuses to split a patient. The transfer study splits one on purpose and
therefore keeps a distance between the parts.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from liver_tf.options import Options, option

#: The end of the liver used for training; the other end is the test part.
FEET, HEAD = ENDS = ("feet", "head")


@dataclass(frozen=True)
class SplitDistances(Options):
    """Distances along the scan, in mm between centres of slices."""

    training_mm: float = option(60.0, "Length of the part with the training slices.", low=0)
    validation_mm: float = option(8.0, "Length of the part with the validation slices.", low=0)
    before_validation_mm: float = option(
        12.0, "Minimum distance from training to validation slices.", low=0
    )
    before_test_mm: float = option(
        24.0, "Minimum distance from training and validation to test slices.", low=0
    )


@dataclass(frozen=True)
class ScanSplit:
    """The parts of a scan; slices are numbered from feet to head.

    Attributes:
      end: the end of the liver used for training, one of ``ENDS``.
      positions_mm: of every slice of the scan.
      training: slices of each training set, by their count.
      validation, test: slices, the same for all training sets.
    """

    end: str
    positions_mm: tuple[float, ...]
    training: dict[int, tuple[int, ...]]
    validation: tuple[int, ...]
    test: tuple[int, ...]

    def distance_mm(self, slices: Collection[int], others: Collection[int]) -> float:
        """Smallest distance between a slice of one part and a slice of another."""
        at = self.positions_mm
        return min(abs(at[one] - at[other]) for one in slices for other in others)

    def test_distance_mm(self, count: int) -> float:
        """Smallest distance from training (``count`` slices) and validation to a test slice."""
        return self.distance_mm((*self.training[count], *self.validation), self.test)


def split_scan(
    positions_mm: Sequence[float],
    with_liver: Sequence[bool],
    end: str,
    *,
    counts: Sequence[int],
    validation_slices: int,
    distances: SplitDistances,
) -> ScanSplit:
    """Split the slices with liver: training at one end, then validation, the rest is the test.

    Slices are numbered from feet to head, in the order of ``positions_mm`` and ``with_liver``. The
    training sets (``counts``) are spread evenly over the same part of the scan, so a larger set is
    not nearer to the test.

    Raises:
      ValueError: slices are out of order, the end is unknown, or a part has too few slices.
    """
    if list(positions_mm) != sorted(set(positions_mm)):
        raise ValueError("expected slices in order from feet to head, at different positions")
    if end not in ENDS:
        raise ValueError(f"expected one of {', '.join(ENDS)}, found {end!r}")
    usable = [number for number, liver in enumerate(with_liver) if liver]
    if not usable:
        raise ValueError("expected slices with liver, found none")
    if end == HEAD:
        usable.reverse()
    offset = {number: abs(positions_mm[number] - positions_mm[usable[0]]) for number in usable}
    pool = [number for number in usable if offset[number] <= distances.training_mm]
    training = {count: _spread(pool, count, "training") for count in counts}
    start = offset[pool[-1]] + distances.before_validation_mm
    pool = [number for number in usable if start <= offset[number]]
    pool = [
        number for number in pool if offset[number] <= offset[pool[0]] + distances.validation_mm
    ]
    validation = _spread(pool, validation_slices, "validation")
    start = offset[pool[-1]] + distances.before_test_mm
    test = tuple(sorted(number for number in usable if offset[number] >= start))
    if not test:
        raise ValueError("no slice is left for the test: shorten the other parts or the distances")
    return ScanSplit(end, tuple(positions_mm), training, validation, test)


def _spread(pool: Sequence[int], count: int, part: str) -> tuple[int, ...]:
    """Slices spread evenly from the first to the last of a pool, in order from feet to head."""
    if not 1 < count <= len(pool):
        raise ValueError(f"{part}: expected 2 to {len(pool)} slices in this part, found {count}")
    last = len(pool) - 1
    return tuple(sorted(pool[round(place * last / (count - 1))] for place in range(count)))

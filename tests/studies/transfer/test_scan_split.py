"""The parts of a scan: disjoint, with the required distances in millimetres between them."""

import itertools

import pytest

from liver_tf.studies.transfer.scan_split import ENDS, FEET, HEAD, SplitDistances, split_scan

#: A scan of 40 slices, 3 mm apart, from 100 mm on; the liver in slices 2 to 37.
POSITIONS = [100.0 + 3 * number for number in range(40)]
LIVER = [2 <= number <= 37 for number in range(40)]
DISTANCES = SplitDistances(
    training_mm=30, validation_mm=6, before_validation_mm=10, before_test_mm=20
)


def split_of(end=FEET, positions=POSITIONS, liver=LIVER, distances=DISTANCES, counts=(4, 6, 11)):
    return split_scan(
        positions, liver, end, counts=counts, validation_slices=2, distances=distances
    )


def test_parts_follow_from_the_distances():
    split = split_of()
    # 30 mm from slice 2 on are slices 2 to 12.
    assert split.training[11] == tuple(range(2, 13))
    assert split.training[6] == (2, 4, 6, 8, 10, 12)
    assert split.training[4] == (2, 5, 9, 12)
    # 10 mm beyond slice 12 (at 136 mm) begins at slice 16, 12 mm off; 6 mm from there is 18.
    assert split.validation == (16, 18)
    # 20 mm beyond 18 (at 154 mm) is slice 25 at 175 mm; the last with liver is 37.
    assert split.test == tuple(range(25, 38))
    assert split.distance_mm(split.training[4], split.validation) == 12
    assert split.distance_mm(split.test, split.training[4]) == 39
    assert split.test_distance_mm(4) == 21


def test_the_other_end_is_the_mirror_image():
    split = split_of(HEAD)
    assert split.training[6] == (27, 29, 31, 33, 35, 37)
    assert split.validation == (21, 23)
    assert split.test == tuple(range(2, 15))
    assert split.test_distance_mm(6) == 21


@pytest.mark.parametrize("end", ENDS)
def test_parts_are_disjoint_and_at_least_the_required_distances_apart(end):
    uneven = list(itertools.accumulate(1 + number % 4 for number in range(40)))
    split = split_of(
        end, positions=uneven, distances=SplitDistances(22, 8, 7, 13), counts=(2, 3, 5)
    )
    at = split.positions_mm
    for slices in split.training.values():
        parts = [set(slices), set(split.validation), set(split.test)]
        assert all(len(part) > 1 for part in parts)
        assert sum(map(len, parts)) == len(set.union(*parts))
        assert all(abs(at[a] - at[b]) >= 7 for a in slices for b in split.validation)
        assert all(abs(at[a] - at[b]) >= 13 for a in parts[0] | parts[1] for b in split.test)
        assert max(at[n] for n in slices) - min(at[n] for n in slices) <= 22
        assert all(LIVER[number] for part in parts for number in part)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counts": (12,)}, "training: expected 2 to 11 slices"),
        ({"counts": (1,)}, "training: expected 2 to 11 slices"),
        ({"distances": SplitDistances(30, 6, 10, 90)}, "no slice is left for the test"),
        ({"liver": [False] * 40}, "expected slices with liver"),
        ({"positions": POSITIONS[::-1]}, "in order from feet to head"),
        ({"end": "left"}, "expected one of feet, head"),
    ],
)
def test_a_scan_that_cannot_be_split_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        split_of(**changes)

"""One scan in parts: millimetres between them, and no slice in two of them."""

import itertools

import pytest

from liver_tf.studies.transfer.transfer_layout import ENDS, FEET, HEAD, Distances, lay_out

#: A scan of 40 slices, 3 mm apart, from 100 mm on; the liver in slices 2 to 37.
POSITIONS = [100.0 + 3 * number for number in range(40)]
LIVER = [2 <= number <= 37 for number in range(40)]
DISTANCES = Distances(training=30, validation=6, before_validation=10, before_test=20)


def laid_out(end=FEET, positions=POSITIONS, liver=LIVER, distances=DISTANCES, counts=(4, 6, 11)):
    return lay_out(positions, liver, end, counts=counts, validation_slices=2, distances=distances)


def test_parts_are_where_millimetres_put_them():
    layout = laid_out()
    # 30 mm from slice 2 on are slices 2 to 12.
    assert layout.training[11] == tuple(range(2, 13))
    assert layout.training[6] == (2, 4, 6, 8, 10, 12)
    assert layout.training[4] == (2, 5, 9, 12)
    # 10 mm beyond slice 12 (at 136 mm) begins at slice 16, 12 mm off; 6 mm from there is 18.
    assert layout.validation == (16, 18)
    # 20 mm beyond 18 (at 154 mm) is slice 25 at 175 mm; the last with liver is 37.
    assert layout.test == tuple(range(25, 38))
    assert layout.apart_mm(layout.training[4], layout.validation) == 12
    assert layout.apart_mm(layout.test, layout.training[4]) == 39
    assert layout.test_apart_mm(4) == 21


def test_the_other_end_is_the_mirror_image():
    layout = laid_out(HEAD)
    assert layout.training[6] == (27, 29, 31, 33, 35, 37)
    assert layout.validation == (21, 23)
    assert layout.test == tuple(range(2, 15))
    assert layout.test_apart_mm(6) == 21


@pytest.mark.parametrize("end", ENDS)
def test_no_slice_lies_in_two_parts_and_none_is_nearer_than_asked(end):
    uneven = list(itertools.accumulate(1 + number % 4 for number in range(40)))
    layout = laid_out(end, positions=uneven, distances=Distances(22, 8, 7, 13), counts=(2, 3, 5))
    at = layout.positions_mm
    for slices in layout.training.values():
        parts = [set(slices), set(layout.validation), set(layout.test)]
        assert all(len(part) > 1 for part in parts)
        assert sum(map(len, parts)) == len(set.union(*parts))
        assert all(abs(at[a] - at[b]) >= 7 for a in slices for b in layout.validation)
        assert all(abs(at[a] - at[b]) >= 13 for a in parts[0] | parts[1] for b in layout.test)
        assert max(at[n] for n in slices) - min(at[n] for n in slices) <= 22
        assert all(LIVER[number] for part in parts for number in part)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"counts": (12,)}, "training: expected 2 to 11 slices"),
        ({"counts": (1,)}, "training: expected 2 to 11 slices"),
        ({"distances": Distances(30, 6, 10, 90)}, "no slice is left for the test"),
        ({"liver": [False] * 40}, "expected slices with liver"),
        ({"positions": POSITIONS[::-1]}, "in order from feet to head"),
        ({"end": "left"}, "expected one of feet, head"),
    ],
)
def test_what_cannot_be_divided_is_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        laid_out(**changes)

"""Pairs of true and predicted lesions worked out by hand."""

import itertools

import numpy as np
import pytest

from liver_tf.labels import LESION_TYPES
from liver_tf.measures.compare_with_truth import compare_with_truth
from liver_tf.measures.lesion_matching import match_components


def line(text):
    return np.array([[character == "#" for character in text]])


def overlaps(truth, predicted):
    _, _, of_true, of_found, _ = match_components(truth, predicted)
    return of_true.tolist(), of_found.tolist()


def test_each_lesion_has_at_most_one_match():
    # One prediction over two true lesions, 2 of 6 and 2 of 5 pixels shared: it finds the second.
    assert overlaps(line("###.##...."), line(".#####....")) == ([0.0, 2 / 5], [2 / 5])
    # Two fragments on one true lesion: the larger one is its partner, the other a false alarm.
    assert overlaps(line("######"), line("##.###")) == ([3 / 6], [0.0, 3 / 6])


def test_the_sum_of_overlaps_decides():
    # Shared: (first, first) 1 of 5, (second, first) 2 of 6, (second, second) 1 of 4. The best
    # single pair, 2 of 6, would leave the others without partners.
    assert overlaps(line("##.####"), line(".####.#")) == ([1 / 5, 1 / 4], [1 / 5, 1 / 4])


def test_corners_connect():
    diagonal = np.eye(3, dtype=bool)
    assert overlaps(diagonal, diagonal) == ([1.0], [1.0])
    cube = np.zeros((2, 2, 2), bool)
    cube[0, 0, 0] = cube[1, 1, 1] = True
    numbers, _, of_true, *_ = match_components(cube, cube)
    assert numbers.max() == 1
    assert of_true.tolist() == [1.0]


def test_scores_by_hand():
    """Means of the probabilities; a true lesion has that of its match, here of the second."""
    truth, predicted = line("####..#"), line("#.##.#.")
    chances = np.array([[0.9, 0.8, 0.5, 0.6, 0.7, 0.2, 0.1]])
    where = {"patient": "p", "case": "c", "slice_index": 0, "lesion_probability": chances}
    result = compare_with_truth(
        np.uint8(truth) * 2, np.uint8(predicted) * 3, LESION_TYPES, spacing_mm=(1.0, 1.0), **where
    )
    # The last true pixel touches the last predicted one at no point: they do not overlap.
    assert [x.score for x in result.found_lesions] == pytest.approx([0.9, 0.55, 0.2])
    assert [x.iou for x in result.found_lesions] == [0.0, 0.5, 0.0]
    assert [x.score for x in result.true_lesions] == [pytest.approx(0.55), None]
    where["lesion_probability"] = None
    unknown = compare_with_truth(
        np.uint8(truth) * 2, np.uint8(predicted) * 3, LESION_TYPES, **where
    )
    assert {x.score for x in (*unknown.true_lesions, *unknown.found_lesions)} == {None}


def test_empty_sides():
    none, some = line("...."), line("##..")
    assert overlaps(none, none) == ([], [])
    assert overlaps(some, none) == ([0.0], [])
    assert overlaps(none, some) == ([], [0.0])


def test_the_pairing_is_the_best_of_all():
    rng = np.random.default_rng(2)
    for _ in range(60):
        truth, predicted = rng.random((2, 6, 6)) < 0.25
        true_numbers, found_numbers, of_true, of_found, _ = match_components(truth, predicted)
        rows, columns = true_numbers.max(), found_numbers.max()
        iou = np.zeros((rows, columns))
        for t, f in itertools.product(range(rows), range(columns)):
            a, b = true_numbers == t + 1, found_numbers == f + 1
            iou[t, f] = (a & b).sum() / (a | b).sum()
        assert of_true.sum() == pytest.approx(of_found.sum())
        if rows <= 6 and columns <= 6 and rows and columns:
            size = max(rows, columns)
            square = np.zeros((size, size))
            square[:rows, :columns] = iou
            best = max(square[range(size), p].sum() for p in itertools.permutations(range(size)))
            assert of_true.sum() == pytest.approx(best)

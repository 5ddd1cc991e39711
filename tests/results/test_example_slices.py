"""Worst, median and best are those of the figures, cut to the liver, and come back as they were."""

from dataclasses import replace

import numpy as np
import pytest

from liver_tf import run_files
from liver_tf.labels import LESION_TYPES
from liver_tf.measures.compare_with_truth import compare_with_truth
from liver_tf.results.example_slices import (
    crop_to_liver,
    load_examples,
    pick_examples,
    save_examples,
)
from liver_tf.results.run_results import RunResults
from liver_tf.run_files import INNER


def slice_result(patient, pixels, hit):
    """A slice with a lesion of some pixels, of which ``hit`` are found; none: healthy."""
    truth, predicted = np.full((1, 9), 1, np.uint8), np.full((1, 9), 1, np.uint8)
    truth[0, :pixels], predicted[0, :hit] = 2, 2
    return compare_with_truth(
        truth, predicted, LESION_TYPES, patient=patient, case="c", slice_index=0
    )


def test_ranks_by_dice_and_the_larger_miss_is_the_worse():
    results = [
        *(
            slice_result("a", 4, 4),
            slice_result("b", 2, 0),
            slice_result("c", 6, 0),
            slice_result("d", 4, 2),
        ),
        *(slice_result("e", 4, 3), slice_result("healthy", 0, 0)),
    ]
    ranks = pick_examples(results)
    assert {rank: example.patient for rank, example in ranks.items()} == {
        "worst": "c",
        "median": "d",
        "best": "a",
    }
    # Of four the worse of the two in the middle.
    assert pick_examples(results[:4])["median"].patient == "b"
    assert pick_examples(results[-1:]) == {}


@pytest.mark.parametrize("spacing", [(1.0, 2.0), None])
def test_the_crop_is_a_square_around_the_liver(spacing):
    truth = np.zeros((200, 200), np.uint8)
    truth[100:140, 90:110] = 1
    predicted = np.zeros_like(truth)
    predicted[98:100, 100] = 2
    hu = np.arange(40_000, dtype=np.int32).reshape(200, 200) % 400 - 160
    shown = crop_to_liver(hu, truth, predicted, spacing, slice_result("a", 4, 2))
    rows, columns = shown.hu.shape
    # 42 rows x 1 mm and 20 columns x 2 mm; 15 mm or 20 pixels on every side.
    assert (rows, columns) == ((72, 36) if spacing else (82, 82))
    assert (shown.truth > 0).sum() == (truth > 0).sum()
    assert (shown.predicted > 0).sum() == 2
    row, column = np.argwhere(shown.truth)[0]
    assert shown.hu[row, column] == hu[100, 90]
    assert shown.hu.dtype == np.int16


def test_a_crop_at_the_border_stays_inside_and_air_is_kept_complete():
    truth = np.zeros((100, 100), np.uint8)
    truth[0:10, 95:100] = 1
    shown = crop_to_liver(truth, truth, truth, (1.0, 1.0), slice_result("a", 4, 2))
    assert shown.hu.shape == (40, 40)
    assert (shown.truth > 0).sum() == 50
    whole = crop_to_liver(truth, truth * 0, truth * 0, (1.0, 1.0), slice_result("a", 4, 2))
    assert whole.hu.shape == (100, 100)


def test_round_trip_and_examples_of_other_results_are_ignored(tmp_path):
    results = [slice_result("a", 4, 4), slice_result("b", 4, 0), slice_result("c", 4, 2)]
    run = RunResults(
        *("mine", "0", 0, "test", INNER, LESION_TYPES, {"weights": "w"}, tuple(results))
    )
    assert load_examples(tmp_path, run) is None
    truth = np.eye(9, dtype=np.uint8)
    shown = {
        rank: crop_to_liver(
            truth * 7, truth, truth * 2, None if rank == "best" else (1.0, 0.5), example
        )
        for rank, example in pick_examples(results).items()
    }
    save_examples(tmp_path, run, shown)
    loaded = load_examples(tmp_path, run)
    assert list(loaded) == ["worst", "median", "best"]
    for rank, example in shown.items():
        assert loaded[rank].result == example.result
        assert loaded[rank].spacing_mm == example.spacing_mm
        for name in ("hu", "truth", "predicted"):
            np.testing.assert_array_equal(getattr(loaded[rank], name), getattr(example, name))
    assert load_examples(tmp_path, replace(run, made_of={"weights": "others"})) is None
    assert load_examples(tmp_path, replace(run, results=run.results[:1])) is None
    whole = run_files.shown_slices_file(tmp_path).read_bytes()
    for damaged in (whole[:100], whole[:-200], b"", whole[:60] + b"\0" * 40 + whole[100:]):
        run_files.shown_slices_file(tmp_path).write_bytes(damaged)
        assert load_examples(tmp_path, run) is None

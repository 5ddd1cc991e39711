"""Lesion-wise, by case, type and size, in mm: by hand; ranking against scikit-learn."""

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix as sk_confusion
from sklearn.metrics import roc_auc_score

from liver_tf.labels import LESION_TYPES
from liver_tf.measures.compare_with_truth import compare_with_truth
from liver_tf.measures.confusion_matrix import confusion_matrix
from liver_tf.measures.measure_registry import (
    MEASURE_TITLES,
    all_measures,
    measure_title,
    measures_by_size,
    summarise,
)
from liver_tf.measures.size_bins import equivalent_diameter_mm, size_bin
from liver_tf.measures.slice_result import SliceResult

CYST, HEMANGIOMA, METASTASIS = 2, 3, 4


def measured(truth, predicted, *, index=0, patient="p", case="c", spacing_mm=(1.0, 1.0), **more):
    truth, predicted = np.array([truth], np.uint8), np.array([predicted], np.uint8)
    where = {"patient": patient, "case": case, "slice_index": index, "spacing_mm": spacing_mm}
    return compare_with_truth(truth, predicted, LESION_TYPES, **where, **more)


def test_lesions_by_hand():
    results = [
        # Three true lesions, of 3, 1 and 1 pixels; found: 2 of 3 pixels, nothing, and 1 of 2.
        measured([2, 2, 2, 1, 2, 1, 3], [2, 2, 1, 1, 1, 3, 3], index=0),
        # A healthy slice with two lesions reported.
        measured([1, 1, 1, 1, 1, 1, 1], [2, 1, 4, 4, 1, 1, 1], index=1),
        # A lesion that is known by its diagnosis and has no outline is missed.
        measured([1] * 7, [1] * 7, index=2, true_diagnosis="cyst"),
        measured([1] * 7, [1] * 7, index=3),
    ]
    summary = summarise(results)
    # Hits from an IoU of 10 % on: 2 of 4 true, 2 of 4 found. The pair of 1 of 2 pixels has 0.5.
    assert summary["lesion_recall_iou10"] == pytest.approx(2 / 4)
    assert summary["lesion_precision_iou10"] == pytest.approx(2 / 4)
    assert summary["lesion_f1_iou10"] == pytest.approx(2 * 2 / (4 + 4))
    assert summary["lesion_recall_iou50"] == pytest.approx(2 / 4)
    assert summary["healthy_false_positives_per_slice"] == pytest.approx(2 / 2)
    assert summary["healthy_false_positive_rate"] == pytest.approx(1 / 2)
    lower = [replace(results[0], true_lesions=(replace(results[0].true_lesions[0], iou=0.49),))]
    assert summarise(lower)["lesion_recall_iou50"] == 0.0
    assert summarise(lower)["lesion_recall_iou10"] == 1.0


def test_lesions_over_nothing():
    healthy = summarise([measured([1, 1], [1, 1])])
    for name in ("recall", "precision", "f1"):
        assert healthy[f"lesion_{name}_iou10"] is None
    missed = summarise([measured([1, 2], [1, 1])])
    assert missed["lesion_recall_iou10"] == 0.0
    assert missed["lesion_precision_iou10"] is None
    assert missed["lesion_f1_iou10"] == 0.0


def test_dice_by_case_by_hand():
    results = [
        # A case of two slices: 3 true, 3 predicted, 2 shared pixels of lesion: 4 / 6.
        measured([2, 2, 1], [2, 1, 1], case="a", index=0),
        measured([2, 1, 1], [2, 2, 1], case="a", index=1),
        # A case whose only lesion is missed, and one with nothing at all.
        measured([3, 1, 1], [1, 1, 1], case="b"),
        measured([1, 1, 0], [1, 1, 0], case="c"),
    ]
    summary = summarise(results)
    assert summary["case_dice_lesion"] == pytest.approx((4 / 6 + 0) / 2)
    assert summary["case_dice_class_cyst"] == pytest.approx(4 / 6)
    assert summary["case_dice_class_hemangioma"] == 0.0
    assert summary["case_dice_class_metastasis"] is None
    assert summary["case_dice_liver"] == 1.0
    assert summary["pooled_dice_lesion"] == pytest.approx(4 / 7)


def test_distances_by_hand():
    results = [
        # One pixel 3 columns away: 6 mm. In the liver nothing differs.
        measured([1, 2, 1, 1, 1], [1, 1, 1, 1, 2], index=0, spacing_mm=(1.0, 2.0)),
        measured([1, 2, 1, 1, 1], [1, 2, 1, 1, 1], index=1, spacing_mm=(1.0, 2.0)),
        # Missed, and a false alarm: no distance, but Dice2 knows of the first.
        measured([1, 2, 1, 1, 1], [1, 1, 1, 1, 1], index=2, spacing_mm=(1.0, 2.0)),
        measured([1, 1, 1, 1, 0], [1, 2, 1, 1, 0], index=3, spacing_mm=(1.0, 2.0)),
        # Unknown spacing: no distance.
        measured([1, 2, 1, 1, 1], [1, 1, 1, 1, 2], index=4, spacing_mm=None),
        measured([1, 2, 1, 1, 1], [1, 1, 1, 1, 2], index=5, spacing_mm=(math.nan, math.nan)),
    ]
    summary = summarise(results)
    assert summary["hd95_lesion_mm"] == pytest.approx((6 + 0) / 2)
    assert summary["assd_lesion_mm"] == pytest.approx((6 + 0) / 2)
    assert summary["hd95_liver_mm"] == 0.0
    assert [r.lesion_surface is None for r in results] == [False, False, True, True, True, True]
    assert results[5].spacing_mm is None


def test_sensitivity_and_specificity_against_scikit_learn(cohort):
    results = cohort(0.6)
    summary = summarise(results)
    true = [r.true_diagnosis or 0 for r in results]
    called = [r.predicted_diagnosis or 0 for r in results]
    counts = sk_confusion(true, called, labels=[2, 3, 4, 0])
    np.testing.assert_array_equal(confusion_matrix(results).counts, counts)
    for place, name in enumerate(LESION_TYPES.lesions):
        hits, all_true, all_called = counts[place, place], counts[place].sum(), counts[:, place]
        assert summary[f"sensitivity_{name}"] == pytest.approx(hits / all_true)
        others = counts.sum() - all_true
        assert summary[f"specificity_{name}"] == pytest.approx(
            1 - (all_called.sum() - hits) / others
        )


def test_sensitivity_by_hand():
    results = [
        measured([2], [2], index=0),
        measured([2], [1], index=1),  # missed: called no type
        measured([3], [2], index=2),
        measured([1], [2], index=3),  # healthy, called a cyst
        measured([1], [1], index=4),
    ]
    summary = summarise(results)
    assert summary["sensitivity_cyst"] == pytest.approx(1 / 2)
    assert summary["specificity_cyst"] == pytest.approx(1 / 3)
    assert summary["sensitivity_metastasis"] is None
    assert summary["specificity_metastasis"] == 1.0


def test_ranking_by_hand():
    def scored(label, index, *scores):
        return measured([label], [2], index=index, type_scores=scores)

    results = [
        scored(CYST, 0, 6, 3, 1),
        scored(CYST, 1, 2, 7, 1),
        scored(HEMANGIOMA, 2, 2, 5, 3),
        # Nothing found: every type scores a third. A healthy slice takes no part.
        measured([METASTASIS], [1], index=3, type_scores=(9, 0, 0)),
        measured([1], [2], index=4, type_scores=(1, 0, 0)),
    ]
    assert results[3].type_scores is None
    summary = summarise(results)
    # Cyst: .6 and .2 against .2 and 1/3: right, right; equal (a half), wrong.
    assert summary["auc_cyst"] == pytest.approx(2.5 / 4)
    assert summary["auc_hemangioma"] == pytest.approx(2 / 3)
    # Metastasis: 1/3 against .1, .1 and .3.
    assert summary["auc_metastasis"] == 1.0
    assert summarise(results[:1])["auc_cyst"] is None


def test_ranking_agrees_with_scikit_learn_within_each_network(cohort):
    seed0, seed1 = cohort(0.6), [replace(r, seed=1) for r in cohort(0.8)]
    alike = (1 / 3,) * 3

    def expected(results, column):
        used = [r for r in results if r.has_lesion]
        positive = np.array([r.true_diagnosis == column + 2 for r in used])
        scores = [(r.type_scores or alike)[column] for r in used]
        return roc_auc_score(positive, scores), positive.sum() * (~positive).sum()

    for column, name in enumerate(LESION_TYPES.lesions):
        first, second = expected(seed0, column), expected(seed1, column)
        assert summarise(seed0)[f"auc_{name}"] == pytest.approx(first[0])
        together = np.average([first[0], second[0]], weights=[first[1], second[1]])
        assert summarise(seed0 + seed1)[f"auc_{name}"] == pytest.approx(together)


def test_sizes_by_hand():
    # 4 pixels of 0.5 mm2: a circle of 2 mm2 has a diameter of 2 sqrt(2 / pi).
    assert equivalent_diameter_mm(4, (0.5, 1.0)) == pytest.approx(2 * math.sqrt(2 / math.pi))
    assert equivalent_diameter_mm(4, None) is None
    assert equivalent_diameter_mm(0, (1.0, 1.0)) is None
    borders = [(9.999, "under_10_mm"), (10.0, "10_to_20_mm"), (50.0, "50_mm_and_more")]
    assert [size_bin(size) for size, _ in borders] == [name for _, name in borders]
    assert size_bin(None) == "size_unknown"


def test_measures_by_size_by_hand():
    big = (20.0, 20.0)  # a pixel is a circle of 22.6 mm, two pixels one of 31.9 mm
    mid = (10.0, 10.0)  # a pixel is a circle of 11.3 mm, two of 16.0 mm, four of 22.6 mm
    results = [
        measured([2, 2, 1, 1, 1, 1], [2, 1, 1, 1, 1, 1], index=0, spacing_mm=big),
        measured([2, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1], index=1, spacing_mm=mid),
        measured([3, 1, 2, 2, 2, 2], [3, 1, 2, 1, 1, 1], index=2, spacing_mm=mid),
        measured([1, 1, 1, 1, 1, 1], [2, 1, 1, 1, 1, 1], index=3, spacing_mm=mid),
        measured([2, 1, 1, 1, 1, 1], [2, 1, 1, 1, 1, 1], index=4, spacing_mm=None),
    ]
    by_size = {
        name: {measure: sums.value() for measure, sums in measures.items()}
        for name, measures in measures_by_size(results).items()
    }
    assert list(by_size) == [
        *("under_10_mm", "10_to_20_mm", "20_to_50_mm", "50_mm_and_more", "size_unknown")
    ]
    middle, large, unknown = (by_size[n] for n in ("10_to_20_mm", "20_to_50_mm", "size_unknown"))
    # Slices by their largest lesion: the second is of the middle bin, the first and third large.
    assert middle["success"] == 0.0
    assert large["success"] == 1.0
    assert large["dice2"] == pytest.approx((2 / 3 + 4 / 7) / 2)
    assert unknown["dice2"] == 1.0
    # True lesions by their own size: of the middle bin the second slice's, and one of the third.
    assert middle["lesion_recall_iou10"] == pytest.approx(1 / 2)
    assert large["lesion_recall_iou50"] == pytest.approx(1 / 2)
    # Found ones of the middle bin: two in the third slice (IoU 1 and 1/4), the false alarm.
    assert middle["lesion_precision_iou10"] == pytest.approx(2 / 3)
    assert middle["lesion_precision_iou50"] == pytest.approx(1 / 3)
    assert by_size["under_10_mm"]["dice2"] is None
    assert "lesion_f1_iou10" not in middle


def test_seeds_are_averaged_within_a_slice():
    good = [measured([2, 1], [2, 1], index=0), measured([2, 1], [2, 1], index=1)]
    bad = [replace(measured([2, 1], [1, 1], index=0), seed=1)]
    summary = summarise(good + bad)
    # The first slice was predicted twice, with Dice 1 and 0; the second once, with Dice 1.
    assert summary["dice2"] == pytest.approx((0.5 + 1) / 2)
    assert (summary["images"], summary["networks"]) == (2, 2)
    with pytest.raises(ValueError, match="every slice once per network; found 1 slices"):
        summarise([*good, good[0]])


def test_every_measure_has_a_title(cohort):
    names = all_measures(cohort(0.6))
    assert set(MEASURE_TITLES) <= set(names)
    assert len({measure_title(name) for name in names}) == len(names)
    with pytest.raises(ValueError, match="no measure 'dice3'"):
        measure_title("dice3")


def test_results_survive_json(cohort):
    for result in cohort(0.6):
        assert SliceResult.from_json(result.to_json()) == result


@pytest.mark.parametrize("scores", [(1, 2), (1, -1, 1), (1, math.nan, 1)])
def test_invalid_scores_are_refused(scores):
    with pytest.raises(ValueError, match="a non-negative score for each of cyst, hemangioma"):
        measured([2], [2], type_scores=scores)

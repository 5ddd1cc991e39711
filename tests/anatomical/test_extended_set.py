"""The extended record set: which neighbours are labelled, how, and the leakage guard."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from liver_tf.anatomical import extended_set
from liver_tf.anatomical.extended_set import augment_anatomically
from liver_tf.conversion.roi_sets import cut_rois
from liver_tf.inference.roi_rule import RoiRule
from liver_tf.model.weights_file import save_weights
from liver_tf.records.folds import Split
from liver_tf.records.leakage import part_of
from liver_tf.records.manifest import load_manifest
from liver_tf.records.training_data_file import save_training_data
from liver_tf.refusals import Refusal
from liver_tf.training.leak_check import check_fold
from tests.builders import tiny_records
from tests.builders.neighbours import add_neighbours
from tests.builders.phantom_sets import bytes_of, records_of

RULE = RoiRule(margin_mm=2.0, least_side_mm=4.0)
TRAINING, VALIDATION, TEST = (
    tuple(f"case{n}" for n in numbers) for numbers in ((0, 1, 2, 3), (4, 5), (6, 7))
)


@pytest.fixture(scope="module")
def cascade(intensity_cascade):
    """Networks that know each class by its HU; made once, because tracing takes seconds."""
    return intensity_cascade()


@pytest.fixture
def inputs(tmp_path, make_network, cascade, monkeypatch):
    """Options of a run that knows each class by its HU; 8 patients with 2 slices of one type."""
    (tmp_path / "whole").mkdir()
    tiny_records.write_set(tmp_path / "whole", patients=8, roi=False)
    whole = add_neighbours(tmp_path / "whole", tmp_path / "truth")
    rois, _ = cut_rois(tmp_path / "whole", tmp_path / "rois", None, RULE)
    for name, kind in (("liver", "liver"), ("run", "lesion")):
        network = make_network(kind)
        roi = rois.roi if kind == "lesion" else None
        replace(network.description, roi=roi).save(tmp_path / name)
        save_weights(tmp_path / name / "weights.npz", network.model)
    split = {"training": TRAINING, "validation": VALIDATION, "test": TEST}
    (tmp_path / "run/run.json").write_text(json.dumps({"split": split, "seed": 0}))
    trained = part_of("training of a lesion network", rois, TRAINING + VALIDATION)
    save_training_data(tmp_path / "run/seen.json", (trained,))
    asked = []

    def of_runs(liver, lesion, **options):
        asked.append(options)
        return cascade

    monkeypatch.setattr(extended_set.Cascade, "of_runs", of_runs)
    options = {
        "run": tmp_path / "run",
        "liver_run": tmp_path / "liver",
        "records": tmp_path / "whole",
        "roi_records": tmp_path / "rois",
        "output": tmp_path / "extended",
    }
    return options, whole, rois, asked


def test_only_neighbours_of_training_cases_are_added(inputs, tmp_path):
    options, whole, rois, _ = inputs
    extended = augment_anatomically(**options)
    assert extended.outcomes["kept"] == 4 * len(TRAINING)
    before, after = records_of(tmp_path / "rois"), records_of(tmp_path / "extended")
    added = {key: record for key, record in after.items() if key not in before}
    assert {case for case, _ in added} == set(TRAINING)
    assert len(added) == 4 * len(TRAINING)
    for key, record in before.items():
        assert np.array_equal(after[key].image, record.image)
        assert np.array_equal(after[key].labels, record.labels)
        assert after[key].neighbour_of is None
    for (case, _), record in added.items():
        assert record.neighbour_of in {0, 1}
        assert record.diagnosis == before[case, record.neighbour_of].diagnosis
        assert record.image.shape == (record.box.side,) * 2
    # It replaces the set of ROIs in training and evaluation, with the same folds.
    manifest = load_manifest(tmp_path / "extended")
    assert manifest.roi == rois.roi
    assert manifest.fingerprint != rois.fingerprint
    for entry in manifest.cases:
        pixels = [r.labels for (case, _), r in after.items() if case == entry.case]
        lesion = sum(int((labels > 1).sum()) for labels in pixels)
        assert sum(entry.statistics.class_pixels[2:]) == lesion
    assert {e.case: e.neighbours for e in manifest.cases} == {
        e.case: e.neighbours for e in whole.cases
    }


def test_labels_made_are_those_of_the_truth_and_measured(inputs, tmp_path):
    options, *_ = inputs
    extended = augment_anatomically(**options, truth=tmp_path / "truth")
    truth, after = records_of(tmp_path / "truth"), records_of(tmp_path / "extended")
    dice = []
    for key, record in after.items():
        if record.neighbour_of is None:
            continue
        row, column, side = record.box.row, record.box.column, record.box.side
        true = truth[key].labels[row : row + side, column : column + side] > 1
        made = record.labels > 1
        if true.any():
            dice.append(2 * (true & made).sum() / (true.sum() + made.sum()))
            assert set(np.unique(record.labels[made])) == set(np.unique(truth[key].labels)) - {
                0,
                1,
            }
    made = extended.quality["labels made"]
    assert made["lesion_images"] == len(dice) == 12
    assert made["dice2"] == pytest.approx(np.mean(dice))
    assert made["dice2"] > 0.8
    assert made["accuracy"] == 1.0
    with open(tmp_path / "extended/neighbours.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16
    assert np.mean([float(row["dice"]) for row in rows if row["dice"]]) == pytest.approx(
        np.mean(dice), abs=1e-4
    )
    assert {row["outcome"] for row in rows} == {"kept"}


def test_true_labels_change_no_record(inputs, tmp_path):
    options, *_ = inputs
    augment_anatomically(**options)
    before = bytes_of(tmp_path / "extended", "*.tfrecord")
    augment_anatomically(**options, truth=tmp_path / "truth")
    assert bytes_of(tmp_path / "extended", "*.tfrecord") == before


def test_the_page_shows_every_outcome_and_as_many_pictures_as_asked(inputs, tmp_path):
    options, *_ = inputs
    augment_anatomically(**options, pictures=5)
    page = (tmp_path / "extended/neighbours.html").read_text("utf-8")
    assert "16 of 16 neighbours are used for training." in page
    assert "a network labelled them" in page
    assert page.count("<img") == 5


def test_a_set_of_the_same_inputs_is_kept_and_another_rule_makes_it_again(inputs, tmp_path):
    options, _, _, asked = inputs
    first = augment_anatomically(**options)
    again = augment_anatomically(**options)
    assert (again.outcomes, again.manifest.fingerprint) == (
        first.outcomes,
        first.manifest.fingerprint,
    )
    assert len(asked) == 1
    strict = augment_anatomically(**options, least_overlap=1.0)
    assert len(asked) == 2
    assert strict.outcomes["no-overlap"] == 12  # all but the neighbours of healthy slices
    assert strict.outcomes["kept"] == 4


@pytest.mark.parametrize(
    ("rule", "asked_for"),
    [
        ("argmax", {"decision": "argmax", "use_chosen": False}),
        ("prior_corrected", {"decision": "prior_corrected", "use_chosen": False}),
    ],
)
def test_the_decision_rule_reaches_the_cascade(inputs, rule, asked_for):
    options, _, _, asked = inputs
    if rule == "prior_corrected":
        with pytest.raises(Refusal, match="class-weights-unknown"):
            augment_anatomically(**options, label_decision=rule)
        return
    augment_anatomically(**options, label_decision=rule)
    assert asked == [asked_for]


def test_the_guard_refuses_a_fold_that_tests_patients_of_the_labelling_network(inputs, tmp_path):
    options, *_ = inputs
    augment_anatomically(**options)
    manifest = load_manifest(tmp_path / "extended")

    def check(split):
        return check_fold(
            *(tmp_path / "extended", manifest, split, None),
            allow_pairs=None,
            accept_unknown=False,
        )

    (labels,) = check(Split(TRAINING, VALIDATION, TEST))
    assert {case.case for case in labels.cases} == set(TRAINING + VALIDATION)
    with pytest.raises(Refusal, match="leak-shared-patient"):
        check(Split(TEST, VALIDATION, TRAINING))
    (tmp_path / "extended/labels_seen.json").unlink()
    with pytest.raises(Refusal, match="no-seen"):
        check(Split(TRAINING, VALIDATION, TEST))


def test_unusable_inputs_are_refused(inputs, tmp_path):
    options, whole, _, _ = inputs
    augment_anatomically(**options)
    twice = {**options, "roi_records": tmp_path / "extended", "output": tmp_path / "twice"}
    with pytest.raises(Refusal, match="other-records"):
        augment_anatomically(**twice)
    with pytest.raises(Refusal, match="neighbour-no-truth"):
        augment_anatomically(**options, truth=tmp_path / "whole")
    plain = replace(whole, cases=tuple(replace(e, neighbours=None) for e in whole.cases))
    plain.save(tmp_path / "whole")
    with pytest.raises(Refusal, match="no-neighbours"):
        augment_anatomically(**options)

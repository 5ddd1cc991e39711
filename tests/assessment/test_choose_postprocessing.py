"""Post-processing is chosen by the validation patients alone, and used where the run is used."""

import json
from dataclasses import replace

import numpy as np
import pytest

from liver_tf import run_files
from liver_tf.assessment import choose_postprocessing as choosing
from liver_tf.assessment import evaluate as evaluating
from liver_tf.inference import postprocessing
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.postprocessing import NOTHING, PostProcessing
from liver_tf.inference.trained_network import TrainedNetwork
from liver_tf.model.description import load_description
from liver_tf.model.weights_file import save_weights
from liver_tf.records.record_schema import SliceRecord
from liver_tf.refusals import Refusal
from tests.builders import tiny_records
from tests.builders.label_maps import label_maps
from trainers import choose_postprocessing

CYST_HU, LIVER_HU = 200, 110


def slice_of(name, *, lesion=False, hole=False, spot=False):
    """A liver of 40 x 40 pixels of 1 mm, with what the intensity networks take for a cyst in it."""
    image = np.full((64, 64), -100, np.int16)
    labels = np.zeros(image.shape, np.uint8)
    image[12:52, 12:52], labels[12:52, 12:52] = LIVER_HU, 1
    if lesion:
        image[LESION], labels[LESION] = CYST_HU, 2
    if hole:
        image[29:35, 29:35] = LIVER_HU  # calcified, say: the truth holds it to be lesion
    if spot:
        image[16:20, 44:48] = CYST_HU  # 16 pixels of a vessel
    return SliceRecord(image, labels, (1.0, 1.0), name, name, 0, "cyst" if lesion else "healthy")


LESION = np.s_[22:42, 22:42]


def drawn_as_found(cascade, record):
    """The same slice, its truth drawn as the networks find it: nothing can be better."""
    found = label_maps(cascade, record.image[None], np.ones((1, 2)))[0] > 1
    return replace(record, labels=np.where(found, np.uint8(2), record.labels.clip(max=1)))


def choose_for(cascade, *records):
    return choosing.best_of(*choosing.measure_combinations(cascade, [list(records)]))


def without_rims(cascade):
    """Only what is brighter than the liver is lesion: its rim passes through no other class."""
    means = (np.float32([-60, LIVER_HU, CYST_HU, 900, 900]) - 100) / 30
    model = cascade.lesion_network.model
    model.layers[0].set_weights([4 * means.reshape(1, 1, 1, -1), -2 * means**2])
    lesion = TrainedNetwork(model, cascade.lesion_network.description)
    return Cascade(cascade.liver, lesion, how=cascade.how)


@pytest.fixture(scope="module")
def cascade(intensity_cascade):
    return without_rims(intensity_cascade())


def test_no_postprocessing_is_chosen_if_none_helps(cascade):
    lesion = drawn_as_found(cascade, slice_of("a", lesion=True))
    how, table = choose_for(cascade, lesion, slice_of("b"))
    assert how == NOTHING
    assert len(table) == 8 * 2 * 6
    assert table[0]["score"] == 1.0
    assert table[0]["healthy_slices_without_detection"] == 1.0


def test_spots_in_healthy_livers_lead_to_a_minimum_size(cascade):
    lesion = drawn_as_found(cascade, slice_of("a", lesion=True))
    how, table = choose_for(cascade, lesion, slice_of("b", spot=True), slice_of("c", spot=True))
    # A spot of about 16 pixels of 1 mm2: 25 is the gentlest size that drops it.
    assert how == PostProcessing(least_area_mm2=25.0)
    by_area = {row["least_area_mm2"]: row for row in table[:6]}
    assert by_area[0.0]["healthy_slices_without_detection"] == 0.0
    assert by_area[25.0]["healthy_slices_without_detection"] == 1.0
    # By hand: the mean of one Dice and two healthy slices.
    for row in table:
        rejected = row["healthy_slices_without_detection"]
        assert row["score"] == pytest.approx((row["dice2"] + 2 * rejected) / 3, abs=2e-4)


def test_lesions_with_a_core_lead_to_filled_holes(cascade):
    drawn = drawn_as_found(cascade, slice_of("a", lesion=True))
    cored = replace(drawn, image=slice_of("a", lesion=True, hole=True).image)
    how, table = choose_for(cascade, cored, slice_of("b"))
    assert how == PostProcessing(fill_holes=True)
    plain, filled = table[0], table[6]
    assert (plain["fill_holes"], filled["fill_holes"]) == (False, True)
    assert filled["score"] > plain["score"]


def test_the_dice_in_the_table_is_that_of_the_predicted_slices(intensity_cascade):
    records = [slice_of("a", lesion=True, hole=True, spot=True)]
    how = PostProcessing(0.4, fill_holes=True, least_area_mm2=25.0)
    cascade = without_rims(intensity_cascade(how=how))
    dice, _ = choosing.measure_combinations(cascade, [records])
    found = label_maps(cascade, records[0].image[None], np.ones((1, 2)))[0] > 1
    truth = records[0].labels > 1
    expected = 2 * (found & truth).sum() / (found.sum() + truth.sum())
    assert dice[0, choosing.COMBINATIONS.index(how)] == expected


def test_the_simplest_good_combination_is_chosen():
    dice = np.full((1, len(choosing.COMBINATIONS)), 0.5)
    none = np.zeros((0, dice.shape[1]))
    all_three = choosing.COMBINATIONS.index(PostProcessing(0.6, True, 50.0))
    least = choosing.COMBINATIONS.index(PostProcessing(least_area_mm2=100.0))
    dice[0, all_three] = 0.504
    assert choosing.best_of(dice, none)[0] == NOTHING
    dice[0, all_three], dice[0, least] = 0.62, 0.616
    assert choosing.best_of(dice, none)[0] == PostProcessing(least_area_mm2=100.0)
    dice[0, all_three] = 0.63
    how, table = choosing.best_of(dice, none)
    assert how == PostProcessing(0.6, True, 50.0)
    assert table[all_three]["score"] == 0.63
    assert table[all_three]["healthy_slices_without_detection"] is None


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Records of whole slices of 6 patients, 2 slices each, and their manifest."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, tiny_records.write_set(folder, patients=6, slices=2, roi=False)


@pytest.fixture
def work(tmp_path, whole, make_network):
    """A liver run, and a lesion run with patients 4, 5 for its test and 2, 3 for validation."""
    folder, manifest = whole
    for entry in manifest.cases:
        (tmp_path / "records").mkdir(exist_ok=True)
        (tmp_path / "records" / entry.shard).write_bytes((folder / entry.shard).read_bytes())
    (tmp_path / "records" / "manifest.json").write_bytes((folder / "manifest.json").read_bytes())
    for kind in ("liver", "lesion"):
        network = make_network(kind)
        description = network.description
        if kind == "lesion":
            roi = {**description.roi, "source_fingerprint": manifest.fingerprint}
            description = replace(description, roi=roi)
        description.save(tmp_path / kind)
        save_weights(tmp_path / kind / "weights.npz", network.model)
    split = {"training": ["case0", "case1"], "validation": ["case2", "case3"]}
    identity = {"split": {**split, "test": ["case4", "case5"]}}
    (tmp_path / "lesion" / "run.json").write_text(json.dumps(identity))
    return tmp_path


def arguments(work):
    return (
        f"--run={work / 'lesion'}",
        f"--liver_run={work / 'liver'}",
        f"--records={work / 'records'}",
    )


def test_only_the_validation_patients_are_read(work, command, capsys):
    """Nothing of the others is there to be read."""
    for case in (0, 1, 4, 5):
        (work / "records" / f"case{case}.tfrecord").unlink()
    assert command(choose_postprocessing, *arguments(work)) == 0
    told = json.loads((work / "lesion" / "postprocessing.json").read_text())
    assert told["chosen_on"]["cases"] == ["case2", "case3"]
    assert told["chosen_on"]["part"] == "validation"
    # Patients 2 and 3: metastasis and healthy, two slices each.
    assert told["chosen_on"]["slices_with_lesion"] == 2
    assert told["chosen_on"]["slices_without"] == 2
    assert len(told["table"]) == 96
    best = max(row["score"] for row in told["table"])
    chosen = next(row for row in told["table"] if row.items() >= told["postprocessing"].items())
    assert best - choosing.WORTH <= chosen["score"] <= best
    out = capsys.readouterr().out
    assert "96 combinations on 2 validation patient(s): 2 slices with a lesion, 2 without" in out
    assert postprocessing.load(work / "lesion") == PostProcessing(**told["postprocessing"])


def test_an_unreadable_validation_patient_is_refused(work, command, capsys):
    (work / "records" / "case3.tfrecord").unlink()
    assert command(choose_postprocessing, *arguments(work)) == 1
    assert "[shard-missing]" in capsys.readouterr().err
    assert not (work / "lesion" / "postprocessing.json").exists()


def test_validation_without_lesions_chooses_nothing(work, command, capsys):
    path = work / "lesion" / "run.json"
    path.write_text(
        path.read_text().replace('"validation": ["case2", "case3"]', '"validation": ["case3"]')
    )
    assert command(choose_postprocessing, *arguments(work)) == 1
    assert "[validation-no-lesion]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (PostProcessing(0.9), ["threshold 0.9 (searched 0.3 to 0.9)"]),
        (PostProcessing(0.3, least_area_mm2=200.0), ["threshold 0.3", "minimum area 200 mm2"]),
        (PostProcessing(0.5, least_area_mm2=10.0), []),
        (PostProcessing(), []),
    ],
)
def test_a_choice_at_the_limit_of_the_grid_is_reported(how, said):
    _, table = choosing.best_of(
        np.ones((1, len(choosing.COMBINATIONS))), np.ones((1, len(choosing.COMBINATIONS)))
    )
    where = {"slices_with_lesion": 1, "slices_without": 1, "cases": ["case0"]}
    text = choosing.choice_summary(how, {"table": table, "chosen_on": where})
    assert text.count("at the limit of the search grid") == len(said)
    assert all(one in text for one in said)


def test_the_evaluation_uses_the_chosen_postprocessing(work):
    runs = [work / "lesion"], work / "liver", work / "records"
    (plain,) = evaluating.evaluate_runs(*runs)
    before = dict(np.load(run_files.label_maps_file(work / "lesion", "test")))
    found = sum(result.lesion.predicted for result in plain.results)
    assert found
    postprocessing.save(work / "lesion", PostProcessing(least_area_mm2=1e6), {})
    (dropped,) = evaluating.evaluate_runs(*runs)
    assert sum(result.lesion.predicted for result in dropped.results) == 0
    assert dropped.looks == 2
    (without,) = evaluating.evaluate_runs(*runs, use_chosen=False)
    after = np.load(run_files.label_maps_file(work / "lesion", "test"))
    assert before.keys() == set(after)
    for name, labels in before.items():
        np.testing.assert_array_equal(labels, after[name])
    assert without.results == plain.results


def test_the_evaluation_uses_the_given_rule(work):
    run, rest = work / "lesion", (work / "liver", work / "records")
    description = replace(load_description(run), class_weights=(1e-6, 1e-6, 1.0, 0.0, 2.0))
    description.save(run)
    predicted = {}
    for decision in (None, "argmax", "prior_corrected"):
        (results,) = evaluating.evaluate_runs([run], *rest, decision=decision)
        maps = np.load(run_files.label_maps_file(run, "test"))
        predicted[decision] = np.stack([maps[name] for name in sorted(maps)])
        text = "most likely class by corrected probabilities"
        assert results.made_of["postprocessing"] == (
            text if decision == "prior_corrected" else "none"
        )
    np.testing.assert_array_equal(predicted["argmax"], predicted[None])
    # Weights that far apart leave no lesion.
    assert (predicted[None] > 1).any()
    assert not (predicted["prior_corrected"] > 1).any()
    with pytest.raises(Refusal, match=r"\[no-threshold\]"):
        evaluating.evaluate_runs([run], *rest, decision="threshold")


def test_postprocessing_of_other_weights_is_refused_first(work):
    postprocessing.save(work / "lesion", PostProcessing(least_area_mm2=10.0), {})
    path = work / "lesion" / "postprocessing.json"
    path.write_text(path.read_text().replace('"weights": "', '"weights": "0'))
    with pytest.raises(Refusal, match=r"\[postprocessing-other-weights\]"):
        evaluating.evaluate_runs([work / "lesion"], work / "liver", work / "records")

"""Post-processing is chosen by the validation patients alone, and used where the run is used."""

import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy import ndimage

from liver_tf import run_files
from liver_tf.assessment import choose_postprocessing as choosing
from liver_tf.assessment import evaluate as evaluating
from liver_tf.assessment.postprocessing_search import (
    THRESHOLDS,
    WORTH,
    best_of,
    combinations,
    measure_combinations,
)
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
from tests.builders.unwritable import forbid_files_in
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
    predicted = label_maps(cascade, record.image[None], np.ones((1, 2)))[0] > 1
    return replace(record, labels=np.where(predicted, np.uint8(2), record.labels.clip(max=1)))


def choose_for(cascade, *records, decision="threshold", most=0.1):
    tried = combinations(decision, corrected=False)
    measured = measure_combinations(cascade, tried, [list(records)])
    choice = best_of(tried, *measured, most)
    return choice.how, choice.table


def row_of(table, how):
    (row,) = [row for row in table if row.items() >= asdict(how).items()]
    return row


def without_rims(cascade):
    """Only what is brighter than the liver is lesion: its rim passes through no other class."""
    means = (np.float32([-60, LIVER_HU, CYST_HU, 900, 900]) - 100) / 30
    model = cascade.lesion_network.model
    model.layers[0].set_weights([4 * means.reshape(1, 1, 1, -1), -2 * means**2])
    return with_settings(cascade, cascade.how)


def with_settings(cascade, how):
    lesion = TrainedNetwork(cascade.lesion_network.model, cascade.lesion_network.description)
    return Cascade(cascade.liver, lesion, how=how)


@pytest.fixture(scope="module")
def cascade(intensity_cascade):
    return without_rims(intensity_cascade())


def test_the_plain_rule_is_chosen_if_nothing_helps(cascade):
    lesion = drawn_as_found(cascade, slice_of("a", lesion=True))
    how, table = choose_for(cascade, lesion, slice_of("b"), decision="argmax")
    assert how == NOTHING
    assert len(table) == 2 * 9
    assert (table[0]["dice2"], table[0]["false_positive_rate"]) == (1.0, 0.0)


def test_spots_in_healthy_livers_lead_to_a_minimum_size(cascade):
    lesion = drawn_as_found(cascade, slice_of("a", lesion=True))
    records = lesion, slice_of("b", spot=True), slice_of("c", spot=True)
    how, table = choose_for(cascade, *records, decision="argmax")
    # A spot of about 16 pixels of 1 mm2: 20 is the gentlest size that drops it.
    assert how == PostProcessing(least_area_mm2=20.0)
    assert row_of(table, NOTHING)["false_positive_rate"] == 1.0
    assert row_of(table, how)["false_positive_rate"] == 0.0
    assert row_of(table, how)["dice2"] == 1.0


def test_lesions_with_a_core_lead_to_filled_holes(cascade):
    drawn = drawn_as_found(cascade, slice_of("a", lesion=True))
    cored = replace(drawn, image=slice_of("a", lesion=True, hole=True).image)
    how, table = choose_for(cascade, cored, slice_of("b"), decision="argmax")
    filled = PostProcessing(fill_holes=True)
    assert how == filled
    assert row_of(table, filled)["dice2"] > row_of(table, NOTHING)["dice2"]


def test_the_threshold_that_fits_the_outline_is_chosen(cascade):
    """The truth is what the networks find at one of the thresholds."""
    least = THRESHOLDS[28]
    at_least = with_settings(cascade, PostProcessing(least))
    lesion = drawn_as_found(at_least, slice_of("a", lesion=True))
    how, table = choose_for(cascade, lesion, slice_of("b"))
    assert row_of(table, PostProcessing(least))["dice2"] == 1.0
    assert row_of(table, how)["dice2"] >= 1.0 - WORTH
    assert len(table) == 41 * 2 * 9


RULES = [
    PostProcessing(least_area_mm2=20.0),
    PostProcessing(fill_holes=True, corrected=True),
    PostProcessing(THRESHOLDS[5], least_area_mm2=30.0, corrected=True),
    PostProcessing(THRESHOLDS[20], fill_holes=True, least_area_mm2=10.0, corrected=True),
    PostProcessing(THRESHOLDS[38], fill_holes=True, least_area_mm2=20.0),
]
IN_SHORT = ((RULES[1], True), (RULES[3], True), (RULES[4], False))


@pytest.mark.parametrize(
    ("how", "in_liver_only"),
    [
        pytest.param(
            *(how, in_liver_only),
            marks=[] if (how, in_liver_only) in IN_SHORT else pytest.mark.long,
            id=f"{how.text()}-{in_liver_only}",
        )
        for in_liver_only in (True, False)
        for how in RULES
    ],
)
def test_the_measures_in_the_table_are_those_of_the_predicted_slices(
    intensity_cascade, how, in_liver_only
):
    weights = (0.2, 0.2, 3.0, 50.0, 0.0)
    cascade = intensity_cascade(class_weights=weights, how=how, in_liver_only=in_liver_only)
    generator = np.random.default_rng(0)
    records = []
    for name in "abcd":
        record = slice_of(name, lesion=name < "c", hole=name == "a", spot=True)
        smooth = ndimage.gaussian_filter(generator.normal(0, 300, record.image.shape), 1.5)
        hu = np.where(record.image > 0, record.image + smooth, record.image).astype(np.int16)
        records.append(replace(record, image=hu))
    tried = combinations(how.decision, how.corrected)
    dice, detected = measure_combinations(cascade, tried, [records[:3], records[3:]])
    predicted = label_maps(cascade, np.stack([r.image for r in records]), np.ones((4, 2))) > 1
    truth = np.stack([r.labels for r in records]) > 1
    expected = 2 * (predicted & truth).sum((1, 2)) / (predicted.sum((1, 2)) + truth.sum((1, 2)))
    column = tried.index(how)
    np.testing.assert_array_equal(dice[:, column], expected[:2])
    np.testing.assert_array_equal(detected[:, column], predicted[2:].any((1, 2)))
    assert 0 < predicted.sum() < predicted.size / 2


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory, make_network):
    """Records of whole slices of 6 patients, 2 slices each, a liver run and a lesion run.

    Patients 4, 5 are for the lesion run's test, and 2, 3 for its validation.
    """
    folder = tmp_path_factory.mktemp("unchanged")
    (folder / "records").mkdir()
    manifest = tiny_records.write_set(folder / "records", patients=6, slices=2, roi=False)
    for kind in ("liver", "lesion"):
        network = make_network(kind)
        description = network.description
        if kind == "lesion":
            roi = {**description.roi, "source_fingerprint": manifest.fingerprint}
            description = replace(description, roi=roi)
        description.save(folder / kind)
        save_weights(folder / kind / "weights.npz", network.model)
    split = {"training": ["case0", "case1"], "validation": ["case2", "case3"]}
    identity = {"split": {**split, "test": ["case4", "case5"]}}
    (folder / "lesion" / "run.json").write_text(json.dumps(identity))
    return folder


@pytest.fixture
def work(unchanged, tmp_path):
    """A copy of ``unchanged``."""
    return shutil.copytree(unchanged, tmp_path, dirs_exist_ok=True)


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
    stored = json.loads((work / "lesion" / "postprocessing.json").read_text())
    assert stored["chosen_on"]["cases"] == ["case2", "case3"]
    assert stored["chosen_on"]["part"] == "validation"
    assert stored["chosen_on"]["precision"] == "float32"
    # Patients 2 and 3: metastasis and healthy, two slices each.
    assert stored["chosen_on"]["slices_with_lesion"] == 2
    assert stored["chosen_on"]["slices_without"] == 2
    assert len(stored["table"]) == 738
    assert (stored["decision"], stored["max_false_positive_rate"]) == ("threshold", 0.1)
    how = PostProcessing(**stored["postprocessing"])
    assert postprocessing.load(work / "lesion") == how
    assert stored["text"] == how.text()
    # Its class weights are unknown.
    assert not how.corrected
    assert "class weights of the loss are unknown" in stored["warnings"][-1]
    out = capsys.readouterr().out
    assert "738 combinations on 2 validation patients: 2 slices with a lesion, 2 without" in out
    assert all(f"CAUTION. {warning}" in out for warning in stored["warnings"])


def test_a_run_that_cannot_be_written_is_refused_first(work, command, capsys, monkeypatch):
    shutil.copytree(work / "lesion", work / "writable")
    forbid_files_in(monkeypatch, work / "lesion")
    monkeypatch.setattr(choosing, "choose_postprocessing", None)  # nothing is computed
    assert command(choose_postprocessing, f"--run={work / 'writable'}", *arguments(work)) == 1
    assert "[output-unwritable]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("decision", "corrected"),
    [
        pytest.param("argmax", False, marks=pytest.mark.long),
        ("prior_corrected", True),
        pytest.param("threshold", True, marks=pytest.mark.long),
    ],
)
def test_each_rule_can_be_chosen_for(work, command, capsys, decision, corrected):
    run = work / "lesion"
    assert command(choose_postprocessing, *arguments(work), "--decision=prior_corrected") == 1
    assert "[class-weights-unknown]" in capsys.readouterr().err
    assert not (run / "postprocessing.json").exists()
    weights = (0.5, 0.5, 1.0, 1.5, 2.0)
    replace(load_description(run), class_weights=weights).save(run)
    postprocessing.save(run, PostProcessing(fill_holes=True), {})  # is replaced
    rest = (f"--decision={decision}", "--max_false_positive_rate=1")
    assert command(choose_postprocessing, *arguments(work), *rest) == 0
    how = postprocessing.load(run)
    assert (how.decision, how.corrected) == (decision, corrected)
    stored = json.loads((run / "postprocessing.json").read_text())
    assert stored["max_false_positive_rate"] == 1
    assert not any("unknown" in warning for warning in stored["warnings"])
    cascade = Cascade.of_runs(work / "liver", run)
    assert cascade.how == how
    assert cascade.lesion_network.corrected == corrected


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


@pytest.mark.long
def test_the_evaluation_uses_the_chosen_postprocessing(work):
    runs = [work / "lesion"], work / "liver", work / "records"
    (plain,) = evaluating.evaluate_runs(*runs)
    before = dict(np.load(run_files.label_maps_file(work / "lesion", "test")))
    predicted = sum(result.lesion.predicted for result in plain.results)
    assert predicted
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

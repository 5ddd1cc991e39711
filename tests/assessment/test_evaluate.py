"""Runs are measured once, the temperature by validation patients alone; reports tell all."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from liver_tf import run_files
from liver_tf.assessment import evaluate as evaluating
from liver_tf.assessment import slice_predictor
from liver_tf.assessment.evaluate import evaluate_runs
from liver_tf.assessment.label_maps import map_name
from liver_tf.export.model_card import measures_of, provenance_of
from liver_tf.export.saved_model import write_saved_model
from liver_tf.inference import postprocessing
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.postprocessing import NOTHING, PostProcessing
from liver_tf.measures.calibration import fit_temperature
from liver_tf.model.description import load_description
from liver_tf.model.weights_file import save_weights, stored_hash
from liver_tf.records.manifest import Manifest, load_manifest
from liver_tf.refusals import Refusal
from liver_tf.results.example_slices import crop_to_liver, load_examples, pick_examples
from liver_tf.results.run_results import LOOSE, NO_POSTPROCESSING
from liver_tf.results.stored_results import load_results, save_results
from liver_tf.run_files import INNER, TEST_FOLD
from liver_tf.trained_on import TrainedOn
from tests.builders import tiny_records
from tests.builders.unwritable import forbid_files_in
from trainers import evaluate

PATIENTS = 12


@pytest.fixture(scope="module")
def work(tmp_path_factory, make_network):
    """Whole slices, a liver run, and makers of finished runs on them, untrained but real."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "whole").mkdir()
    tiny_records.write_set(folder / "whole", patients=PATIENTS, slices=1, roi=False)
    liver = make_network("liver", favoured=[0.0, 3.0])
    liver.description.save(folder / "liver")
    save_weights(folder / "liver" / "weights.npz", liver.model)
    return folder


@pytest.fixture(scope="module")
def finished(work, make_network):
    fingerprint = load_manifest(work / "whole").fingerprint

    def make(name, *, fold=0, seed=0, validation=INNER):
        run = work / f"fold{fold}" / f"seed{seed}" / validation / name
        network = make_network("lesion", seed=seed, favoured=[0.0, 0.0, 0.5, 0.5, 0.5])
        roi = {**network.description.roi, "source_fingerprint": fingerprint}
        replace(network.description, roi=roi).save(run)
        save_weights(run / "weights.npz", network.model)
        cases = [f"case{k}" for k in range(PATIENTS)]
        test = cases[fold::3]
        rest = [case for case in cases if case not in test]
        parts = {"training": rest[4:], "validation": rest[:4], "test": test}
        if validation == TEST_FOLD:
            parts = {"training": rest, "validation": test, "test": test}
        cycle = {"epochs": 1, "learning_rate": 1e-4, "batch_size": 1}
        identity = {
            "split": parts,
            "fold": fold,
            "seed": seed,
            "validation": validation,
            "protocol": {"name": name, "cycles": [cycle]},
            "architecture": {"image_size": 32, "base_filters": 2},
        }
        (run / "run.json").write_text(json.dumps(identity))
        return run

    return make


@pytest.fixture(scope="module", autouse=True)
def one_graph_per_network():
    """Most runs here have equal weights: their networks are loaded and traced once."""
    make, made = evaluating._NetworkEvaluation._predictor.func, {}

    def shared(evaluation):
        depends_on = evaluation.sources.dependencies(evaluation.runs)
        key = tuple(value for name, value in depends_on.items() if name != "records")
        if key not in made:
            made[key] = make(evaluation)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluating._NetworkEvaluation, "_predictor", property(shared))
        yield


@pytest.fixture
def read(monkeypatch):
    """Which cases are read, in their order."""
    cases = []
    original = evaluating.read_case

    def noted(folder, entry):
        cases.append(entry.case)
        return original(folder, entry)

    monkeypatch.setattr(evaluating, "read_case", noted)
    return cases


@pytest.mark.long
def test_the_temperature_does_not_depend_on_test_slices(work, finished, read):
    run = finished("temperature")
    split = json.loads((run / "run.json").read_text())["split"]
    (measured,) = evaluate_runs([run], work / "liver", work / "whole")
    # The validation is read and its results are written before a test slice is.
    assert sorted(read[:4]) == sorted(split["validation"])
    assert sorted(read[4:]) == sorted(split["test"])
    validation = load_results(run, "validation")
    temperature = measured.temperature
    assert temperature == fit_temperature(validation.results)
    assert temperature.fitted_on == "validation"
    assert set(temperature.cases) <= set(split["validation"])
    assert not set(temperature.cases) & set(split["test"])
    assert {r.temperature for r in measured.results} == {temperature.value}
    assert {r.temperature for r in validation.results} == {None}
    assert {r.case for r in measured.results} == set(split["test"])
    # Other slices in the test fold, the same validation: the same temperature, bit for bit.
    other = work / "other_tests"
    if not other.exists():
        shutil.copytree(work / "whole", other)
    manifest = load_manifest(other)
    rng = np.random.default_rng(3)
    changed = []
    for entry in manifest.cases:
        if entry.case in split["test"]:
            records = [
                replace(r, image=rng.integers(-160, 240, r.image.shape).astype(np.int16))
                for r in evaluating.read_case(other, entry)
            ]
            entry = tiny_records.write_case(other, records, manifest.label_set)
        changed.append(entry)
    replace(manifest, cases=tuple(changed)).save(other)
    twin = work / "twin"
    shutil.copytree(run, twin, ignore=shutil.ignore_patterns("measures"))
    description = load_description(twin)
    roi = {**description.roi, "source_fingerprint": load_manifest(other).fingerprint}
    replace(description, roi=roi).save(twin)
    (again,) = evaluate_runs([twin], work / "liver", other)
    assert again.temperature == temperature
    assert [r.type_scores for r in again.results] != [r.type_scores for r in measured.results]


def test_results_name_the_absence_of_postprocessing():
    assert NOTHING.text() == NO_POSTPROCESSING


def test_stored_results_are_reused(work, finished, read, make_network):
    run = finished("once")
    # Choices are made on the validation patients alone: no test slice is read for them.
    (chosen_on,) = evaluate_runs([run], work / "liver", work / "whole", "validation")
    assert (len(read), chosen_on.part) == (4, "validation")
    assert sorted(p.name for p in (run / "measures").iterdir()) == [
        *("validation.csv", "validation.json", "validation_labels.npz")
    ]
    (first,) = evaluate_runs([run], work / "liver", work / "whole")
    assert len(read) == 8
    (second,) = evaluate_runs([run], work / "liver", work / "whole")
    assert len(read) == 8
    assert second == first
    assert second.looks == 1
    # Another liver network gives other results: measured again, and the second look is counted.
    other = work / "other_liver"
    liver = make_network("liver", seed=9, favoured=[0.0, 3.0])
    liver.description.save(other)
    save_weights(other / "weights.npz", liver.model)
    (third,) = evaluate_runs([run], other, work / "whole")
    assert len(read) == 16
    assert third.looks == 2
    # Label maps that are gone are made again, without another look at anything new.
    (run / "measures" / "test_labels.npz").unlink()
    (fourth,) = evaluate_runs([run], other, work / "whole")
    assert fourth == third
    # So are those in another precision, which are stored with its name.
    (half,) = evaluate_runs([run], other, work / "whole", precision="bfloat16")
    assert dict(half.made_of) == {**third.made_of, "precision": "bfloat16"}
    assert half.looks == 3
    (again,) = evaluate_runs([run], other, work / "whole", precision="bfloat16")
    assert again == half
    assert len(read) == 28
    assert {r.patient for r in half.results} == {r.patient for r in third.results}


def test_argmax_is_evaluated_beside_the_decision(work, finished):
    """In the same evaluation: the test fold is not evaluated a second time for it."""
    run = finished("decided")
    twin = work / "by_argmax"
    shutil.copytree(run, twin)
    postprocessing.save(run, PostProcessing(0.8), {})
    (both,) = evaluate_runs([run], work / "liver", work / "whole")
    (alone,) = evaluate_runs([twin], work / "liver", work / "whole")
    assert (both.looks, alone.argmax, alone.by_argmax) == (1, None, alone.results)
    assert both.argmax == both.by_argmax
    assert both.argmax == tuple(replace(r, temperature=None) for r in alone.results)
    assert [r.lesion for r in both.argmax] != [r.lesion for r in both.results]
    assert load_results(run) == both
    assert load_results(run, "validation").argmax is None
    for results in (both.results, both.argmax):
        scores = [x.score for r in results for x in r.found_lesions]
        assert scores
        assert all(0 < score <= 1 for score in scores)
    # A file of an earlier version has neither; it is valid, and the fold is not evaluated again.
    path = run / "measures" / "test.json"
    old = json.loads(path.read_text())
    del old["argmax"]
    for image in old["images"]:
        for lesion in (*image["true_lesions"], *image["found_lesions"]):
            del lesion["score"]
    path.write_text(json.dumps(old))
    (reused,) = evaluate_runs([run], work / "liver", work / "whole")
    assert (reused.looks, reused.argmax, reused.by_argmax) == (1, None, None)
    assert [r.lesion for r in reused.results] == [r.lesion for r in both.results]
    assert {x.score for r in reused.results for x in r.found_lesions} == {None}


def test_example_slices_are_stored_with_their_pixels(work, finished, read):
    """From what is stored: no network is asked for a picture."""
    run = finished("shown")
    (results,) = evaluate_runs([run], work / "liver", work / "whole")
    kept = load_examples(run, results)
    assert {rank: shown.result for rank, shown in kept.items()} == pick_examples(results.results)
    manifest = load_manifest(work / "whole")
    entries = {entry.case: entry for entry in manifest.cases}
    with np.load(run_files.label_maps_file(run, "test")) as maps:
        for shown in kept.values():
            (record,) = evaluating.read_case(work / "whole", entries[shown.result.case])
            labels = maps[map_name(record.case, record.slice_index)]
            cut = crop_to_liver(
                record.image, record.labels, labels, record.spacing_mm, shown.result
            )
            for name in ("hu", "truth", "predicted"):
                np.testing.assert_array_equal(getattr(shown, name), getattr(cut, name))
    # Where they are gone they are made again, and nothing is measured for it.
    run_files.shown_slices_file(run).unlink()
    read.clear()
    (again,) = evaluate_runs([run], work / "liver", work / "whole")
    assert read == []
    assert again == results
    assert set(load_examples(run, results)) == set(kept)


def test_scores_are_the_mean_probabilities_of_the_lesion_pixels(work, intensity_cascade):
    cascade = intensity_cascade()
    manifest = load_manifest(work / "whole")
    records = [next(evaluating.read_case(work / "whole", entry)) for entry in manifest.cases[:4]]
    records.append(replace(records[0], image=np.full((40, 24), -160, np.int16), spacing_mm=None))
    found = slice_predictor.SlicePredictor(cascade)(records)
    assert [labels.shape for labels, *_ in found] == [r.image.shape for r in records]
    for record, (labels, scores, lesion) in zip(records, found, strict=True):
        spacing = np.float32([record.spacing_mm or (np.nan, np.nan)])
        answer = cascade.slice_by_slice(record.image[None].astype(np.float32), spacing)
        np.testing.assert_array_equal(labels, answer["label_map"][0])
        undecided = cascade.undecided(record.image[None].astype(np.float32), spacing)
        (row, column), probabilities = undecided["origin"][0], undecided["probabilities"].numpy()[0]
        height, width = probabilities.shape[:2]
        window = labels[row : row + height, column : column + width]
        expected = probabilities[window > 1][:, 2:].sum(axis=0)
        np.testing.assert_allclose(scores, expected / max(expected.sum(), 1e-9), rtol=1e-4)
        # The probability of a lesion lies where the labels lie, and is zero elsewhere.
        assert lesion.shape == labels.shape
        inside = lesion[row : row + height, column : column + width]
        np.testing.assert_allclose(inside, probabilities[..., 2:].sum(axis=-1), atol=1e-6)
        assert lesion.sum() == pytest.approx(inside.sum())
    assert all(scores.sum() > 0 for _, scores, _ in found[:3])
    # Air alone: no liver, no lesion.
    assert found[4][1].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.long
@pytest.mark.parametrize(
    ("class_weights", "rim_pixels", "networks_applied"),
    [
        ((1.0,) * 5, 1, 1),
        ((1.0,) * 5, -1, 2),
        ((1.0, 1.0, 9.0, 9.0, 30.0), 1, 2),
    ],
)
def test_decisions_of_the_same_networks_are_those_of_each_alone(
    work, intensity_cascade, class_weights, rim_pixels, networks_applied, monkeypatch
):
    """Networks are applied once where neither a probability nor the region of lesions differs."""
    entry = load_manifest(work / "whole").cases[0]
    records = list(evaluating.read_case(work / "whole", entry))
    noise = np.random.default_rng(0).integers(-60, 60, records[0].image.shape, np.int16)
    records[0] = replace(records[0], image=records[0].image + noise)
    made = [
        intensity_cascade(class_weights=class_weights, how=how)
        for how in (
            PostProcessing(0.7, least_area_mm2=9.0, corrected=True, rim_pixels=rim_pixels),
            NOTHING,
        )
    ]
    alone = [slice_predictor.SlicePredictor(cascade)(records) for cascade in made]
    traced = []
    undecided = Cascade.undecided
    monkeypatch.setattr(
        Cascade, "undecided", lambda *args: traced.append(args[0]) or undecided(*args)
    )
    together = slice_predictor.SlicePredictor(*made).of_each_cascade(records)
    assert len({id(cascade) for cascade in traced}) == networks_applied
    for found, expected in zip(together, alone, strict=True):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.labels, other.labels)
            np.testing.assert_allclose(one.type_scores, other.type_scores, atol=1e-6)
    assert (together[0][0].labels != together[1][0].labels).any()


def arguments(work, runs, output, *more):
    return [
        *(f"--run={run}" for run in runs),
        f"--liver_run={work / 'liver'}",
        f"--records={work / 'whole'}",
        f"--output={output}",
        "--samples=100",
        *more,
    ]


OTHERS = (("baseline", 1), ("mine", 0), ("mine", 1))


def copied(run, name, seed):
    """A run with another name and seed, the weights and the results of ``run``."""
    twin = run.parents[1] / f"copies{seed}" / name
    shutil.copytree(run, twin)
    identity = json.loads((twin / "run.json").read_text())
    (twin / "run.json").write_text(json.dumps(identity | {"seed": seed}))
    for part in ("validation", "test"):
        save_results(replace(load_results(twin, part), protocol=name, seed=seed), twin)
    return twin


def test_seeds_are_pooled_in_one_report(work, finished, command, tmp_path, capsys):
    first = finished("baseline")
    evaluate_runs([first], work / "liver", work / "whole")
    runs = [first, *(copied(first, name, seed) for name, seed in OTHERS)]
    assert command(evaluate, *arguments(work, runs, tmp_path, "--data_label=tiny blobs")) == 0
    assert "mine - baseline" in capsys.readouterr().out
    assert {p.name for p in tmp_path.iterdir()} >= {
        *("report.html", "report.md", "report.csv", "measures.json", "images.csv", "table.txt")
    }
    figures = json.loads((tmp_path / "measures.json").read_text())
    assert figures["cautions"] == []
    assert figures["protocols"]["mine"]["counts"]["networks"] == 2
    assert figures["protocols"]["mine"]["counts"]["patients"] == 4
    assert set(figures["protocols"]["mine"]["by_seed"]) == {"0", "1"}
    with open(tmp_path / "images.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 4
    assert "fitted on the validation patients" in figures["facts"]["temperature of the type"]
    # The sheets come from what is stored; one a protocol.
    assert (tmp_path / "pictures" / "mine.png").stat().st_size > 1000


def test_the_best_run_is_suggested_and_phantoms_are_named(
    work, finished, command, tmp_path, capsys, monkeypatch
):
    first = finished("baseline")
    (measured,) = evaluate_runs([first], work / "liver", work / "whole")
    best = copied(first, "best", 7)
    outlined = [
        replace(
            each, lesion=replace(each.lesion, both=each.lesion.true, predicted=each.lesion.true)
        )
        for each in measured.results
    ]
    stored = load_results(best)
    save_results(replace(stored, results=tuple(outlined)), best)
    phantoms = TrainedOn("phantom", 0, PATIENTS)
    monkeypatch.setattr(Manifest, "trained_on", lambda manifest, cases, typed: phantoms)
    assert command(evaluate, *arguments(work, [first, best], tmp_path)) == 0
    assert f"--model={best}" in capsys.readouterr().err
    figures = json.loads((tmp_path / "measures.json").read_text())
    assert figures["data"] == "PHANTOM data (not patients)"


def test_a_run_validated_on_the_test_fold_is_marked_everywhere(
    work, finished, command, tmp_path, capsys
):
    runs = [finished("mine", validation=TEST_FOLD)]
    assert command(evaluate, *arguments(work, runs, tmp_path)) == 0
    assert f"CAUTION. {LOOSE}" in capsys.readouterr().out
    for name in ("report.html", "report.md", "table.txt", "report.csv", "measures.json"):
        assert LOOSE in (tmp_path / name).read_text(), name
    assert 'class="caution"' in (tmp_path / "report.html").read_text()
    assert "ON THE TEST FOLD ITSELF" in (tmp_path / "report.md").read_text()
    with open(tmp_path / "images.csv", newline="") as file:
        assert {row["validation"] for row in csv.DictReader(file)} == {TEST_FOLD}
    stored = load_results(runs[0])
    assert stored.temperature is None or stored.temperature.fitted_on == "test fold"
    # Beside clean ones their names tell, and they are not compared with the clean baseline.
    mixed = [finished("baseline"), runs[0]]
    assert command(evaluate, *arguments(work, mixed, tmp_path / "mixed")) == 0
    figures = json.loads((tmp_path / "mixed" / "measures.json").read_text())
    assert list(figures["protocols"]) == ["baseline", f"mine, {LOOSE}"]
    for run, entry in zip(mixed, figures["protocols"].values(), strict=True):
        (network,) = entry["networks"]
        assert network["weights"] == stored_hash(run / "weights.npz")
        assert network["liver_weights"] == stored_hash(work / "liver" / "weights.npz")


@pytest.mark.long
def test_the_model_card_accepts_only_measures_of_the_exported_model(
    work, finished, command, tmp_path, make_network
):
    run, liver = finished("hier_freeze"), work / "liver"
    shutil.copytree(run, tmp_path / "b" / "hier_freeze")  # before it is measured
    assert command(evaluate, *arguments(work, [run], tmp_path, "--data_label=PHANTOM blobs")) == 0
    file, output = tmp_path / "measures.json", tmp_path / "served" / "1"

    def card_measures(which=run, liver=liver, how=NOTHING, file=file, **options):
        cascade = Cascade.of_runs(liver, which, how=how, use_chosen=False, **options)
        return measures_of(file, [which], liver, cascade)

    assert card_measures()["counts"]["patients"] == 4
    write_saved_model(
        Cascade.of_runs(liver, run), output, provenance_of([run], liver), card_measures()
    )
    card = (output / "assets.extra" / "model_card.md").read_text()
    assert "On **PHANTOM blobs**: 4 slices (" in card
    assert "of 4 test patients, with 95% intervals" in card
    assert "| False-positive rate on healthy slices |" in card
    assert " (few) |" in card
    assert "- Post-processing: none." in card
    assert "- run, cases: 4 training, 4 validation, 4 test" in card
    assert f"- liver run, weights: {stored_hash(liver / 'weights.npz')}" in card
    with pytest.raises(Refusal, match=r"\[measures-other-run\].*with another post-processing\."):
        card_measures(how=PostProcessing(0.7))
    with pytest.raises(Refusal, match=r"\[measures-other-run\].*made without test-time flips"):
        card_measures(flips=True)
    with pytest.raises(Refusal, match=r"\[measures-other-run\].*lesions outside the liver\."):
        card_measures(in_liver_only=False)
    # Folders of the same names, other weights.
    other_liver = tmp_path / "a" / "liver"
    shutil.copytree(liver, other_liver)
    save_weights(other_liver / "weights.npz", make_network("liver", seed=5).model)
    with pytest.raises(Refusal, match=r"\[measures-other-run\].*another liver network\."):
        card_measures(liver=other_liver)
    trained_again = tmp_path / "b" / "hier_freeze"
    assert card_measures(which=trained_again)["counts"]["patients"] == 4
    save_weights(trained_again / "weights.npz", make_network("lesion", seed=6).model)
    with pytest.raises(Refusal, match=r"\[measures-other-run\].*found measures of other weights"):
        card_measures(which=trained_again)
    # A report that does not tell of which weights it is.
    report = json.loads(file.read_text())
    for entry in report["protocols"].values():
        del entry["networks"]
    silent = tmp_path / "old.json"
    silent.write_text(json.dumps(report))
    with pytest.raises(Refusal, match=r"\[measures-other-run\].*do not state their weights"):
        card_measures(file=silent)
    for entry in report["protocols"].values():
        entry["measures"] = {"success": {"value": "high"}}
    for damaged in ("{}", "[" * 100_000, json.dumps(report), json.dumps({**report, "level": "x"})):
        silent.write_text(damaged)
        with pytest.raises(Refusal, match=r"\[measures-unreadable\]"):
            card_measures(file=silent)


@pytest.mark.long
def test_the_number_of_evaluations_survives_the_deletion_of_the_results(work, finished):
    run = finished("looks")
    evaluate_runs([run], work / "liver", work / "whole")
    (second,) = evaluate_runs([run], work / "liver", work / "whole", precision="bfloat16")
    shutil.rmtree(run / "measures")
    (same,) = evaluate_runs([run], work / "liver", work / "whole", precision="bfloat16")
    assert (second.looks, same) == (2, second)
    shutil.rmtree(run / "measures")
    (third,) = evaluate_runs([run], work / "liver", work / "whole")
    assert third.looks == 3
    # A run of an earlier version has the number in its results only.
    (run / "looks.json").unlink()
    (fourth,) = evaluate_runs([run], work / "liver", work / "whole", precision="bfloat16")
    assert fourth.looks == 4
    (run / "looks.json").write_text('{"test": {"looks": 0, "made_of": {}}}')
    with pytest.raises(Refusal, match=r"\[results-damaged\]"):
        evaluate_runs([run], work / "liver", work / "whole")


@pytest.mark.parametrize("damage", [None, "{", "[]", '{"split": {"test": [1]}}', "[" * 100_000])
def test_a_missing_or_damaged_run_json_is_refused(work, finished, damage):
    run = finished(f"identity{len(damage or '')}")
    (run / "run.json").unlink()
    if damage is not None:
        (run / "run.json").write_text(damage)
    with pytest.raises(Refusal, match=r"\[run-damaged\].*validation cases; found a missing or"):
        evaluate_runs([run], work / "liver", work / "whole")


def test_truncated_label_maps_are_refused(work, finished):
    run = finished("maps")
    evaluate_runs([run], work / "liver", work / "whole")
    run_files.shown_slices_file(run).unlink()
    maps = run_files.label_maps_file(run, "test")
    maps.write_bytes(maps.read_bytes()[:-100])
    with pytest.raises(Refusal, match=r"\[results-damaged\].*label maps.*Delete the file"):
        evaluate_runs([run], work / "liver", work / "whole")


def test_a_run_that_cannot_be_written_is_refused_before_it_is_evaluated(
    work, finished, read, monkeypatch
):
    run = finished("read_only")
    (run / "measures").mkdir()
    forbid_files_in(monkeypatch, run / "measures")
    with pytest.raises(Refusal, match=r"\[output-unwritable\].*Permission denied"):
        evaluate_runs([run], work / "liver", work / "whole")
    assert read == []


@pytest.mark.long
def test_an_ensemble_of_seeds_is_evaluated_beside_its_runs(work, finished, command):
    """Its label maps are those of the cascade that averages the networks."""
    runs = [work / "study" / f"seed{seed}" / "averaged" for seed in (4, 5)]
    runs.append(work / "study" / "seed4" / "alone")
    for run in runs:
        shutil.copytree(finished(run.name, seed=int(run.parent.name[-1])), run)
    flags = [f"--run={run}" for run in runs]
    flags += [f"--liver_run={work / 'liver'}", f"--records={work / 'whole'}", "--samples=100"]
    output = work / "with_ensembles"
    assert command(evaluate, *flags, f"--output={output}", "--ensembles") == 0
    folder = runs[0].parents[1] / "ensembles" / "averaged"
    assert not (folder.parent / "alone").exists()
    stored = load_results(folder)
    assert stored.protocol == "averaged, ensemble of 2 seeds"
    cascade = Cascade.of_runs(work / "liver", runs[:2])
    graph = slice_predictor.SlicePredictor(cascade)
    with np.load(folder / "measures" / "test_labels.npz") as maps:
        for entry in load_manifest(work / "whole").cases:
            records = list(evaluating.read_case(work / "whole", entry))
            for record, expected in zip(records, graph(records), strict=True):
                name = map_name(record.case, record.slice_index)
                if name in maps:
                    np.testing.assert_array_equal(maps[name], expected.labels)
        assert len(maps.files) == len(stored.results) == 4
    measures = json.loads((output / "measures.json").read_text())["protocols"]
    assert set(measures) == {"averaged", "alone", "averaged, ensemble of 2 seeds"}
    (network,) = measures["averaged, ensemble of 2 seeds"]["networks"]
    assert network["weights"] == stored.made_of["weights"]
    report = (output / "report.md").read_text()
    assert "2 protocols, 3 networks, and ensembles of the seeds of 1 protocol" in report
    # The results of another set of seeds are not shown.
    assert command(evaluate, *flags[1:], f"--output={output}") == 0
    assert "ensemble" not in (output / "report.md").read_text()

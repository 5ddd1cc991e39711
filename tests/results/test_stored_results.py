"""Results of runs come back as they were, and are pooled only where they belong together."""

import csv
import io
import json
from dataclasses import replace

import pytest

from liver_tf.labels import LESION_TYPES, LITS
from liver_tf.measures.calibration import Temperature
from liver_tf.measures.measure_registry import summarise
from liver_tf.refusals import Refusal
from liver_tf.results.pool_runs import cautions_of_runs, data_label_of, pool_runs
from liver_tf.results.results_csv import results_csv
from liver_tf.results.stored_results import LOOSE, RunResults, has_results, load_results
from liver_tf.run_files import INNER, TEST_FOLD


@pytest.fixture(scope="module")
def stored(cohort):
    def make(protocol="mine", fold="0", seed=0, quality=0.7, **changes):
        results = [
            replace(r, patient=f"fold{fold}-{r.patient}", fold=fold, seed=seed)
            for r in cohort(quality, patients=6)
        ]
        run = RunResults(
            protocol=protocol,
            fold=fold,
            seed=seed,
            part="test",
            validation=INNER,
            label_set=LESION_TYPES,
            made_of={"records": "a", "weights": "b"},
            results=tuple(results),
            temperature=Temperature(1.4, "validation", 9, ("c1", "c2"), 0.9, 0.8),
        )
        return replace(run, **changes)

    return make


def test_round_trip(stored, tmp_path):
    run = stored(fold="2", seed=5)
    assert not has_results(tmp_path, "test")
    run.save(tmp_path)
    assert has_results(tmp_path, "test")
    assert load_results(tmp_path) == run
    assert sorted(p.name for p in (tmp_path / "measures").iterdir()) == ["test.csv", "test.json"]
    bare = replace(run, part="validation", temperature=None)
    bare.save(tmp_path)
    assert load_results(tmp_path, "validation") == bare
    assert run.name == "fold2/seed5/mine"
    assert stored(fold="hold_out").name == "hold_out/seed0/mine"


def test_what_cannot_be_read_back(stored, tmp_path):
    with pytest.raises(Refusal, match=r"\[no-results\].*on its test part") as no:
        load_results(tmp_path)
    assert no.value.path == tmp_path
    stored().save(tmp_path)
    path = tmp_path / "measures" / "test.json"
    value = json.loads(path.read_text())
    path.write_text(json.dumps(value | {"schema": 99}))
    with pytest.raises(Refusal, match=r"\[results-schema\].*schema 1; found schema 99"):
        load_results(tmp_path)
    broken = [
        "no json",
        json.dumps([1]),
        json.dumps({k: v for k, v in value.items() if k != "images"}),
        json.dumps(value | {"images": [{"patient": "p"}]}),
        json.dumps(value | {"temperature": {"value": 1}}),
    ]
    for text in broken:
        path.write_text(text)
        with pytest.raises(Refusal, match=r"\[results-damaged\]"):
            load_results(tmp_path)


def test_the_table_is_tidy(stored):
    run = stored()
    text = results_csv([run, stored("yours", seed=1)])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 2 * len(run.results)
    assert {row["protocol"] for row in rows} == {"mine", "yours"}
    assert None not in {key for row in rows for key in row}
    for row, result in zip(rows, run.results, strict=False):
        assert row["patient"] == result.patient
        assert row["dice"] == ("" if result.dice is None else f"{result.dice:.6g}")
        expected = (
            "healthy" if not result.has_lesion else LESION_TYPES.classes[result.true_diagnosis]
        )
        assert row["true_type"] == expected
        assert (row["score_cyst"] == "") == (result.type_scores is None)
        assert (row["hd95_lesion_mm"] == "") == (result.lesion_surface is None)
        assert (row["size"] == "") == (not result.has_lesion)
    assert results_csv([]).startswith("protocol,")


def test_folds_and_seeds_are_pooled(stored):
    runs = [stored(fold=str(f), seed=s) for f in range(3) for s in range(2)] + [stored("yours")]
    found = pool_runs(runs)
    assert list(found) == ["mine", "yours"]
    summary = summarise(found["mine"])
    assert (summary["images"], summary["patients"], summary["networks"]) == (54, 18, 6)
    one = summarise(runs[0].results)
    assert summary["dice2"] == pytest.approx(one["dice2"])


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, "found fold0/seed0/mine twice"),
        ({"fold": "1"}, "found a patient in two folds of mine"),
        ({"seed": 1, "label_set": LITS}, "runs on one label set; found 2"),
        ({"seed": 1, "made_of": {"records": "z"}}, "runs on one record set; found 2"),
    ],
)
def test_what_is_no_study_is_not_pooled(stored, changes, found):
    first = stored()
    with pytest.raises(Refusal, match=r"\[runs-not-one-study\]") as no:
        pool_runs([first, replace(first, **changes)])
    assert found in str(no.value)


def test_runs_of_one_fold_are_tested_on_the_same_slices(stored):
    whole = stored()
    fewer = replace(stored("yours", seed=1), results=whole.results[1:])
    with pytest.raises(
        Refusal, match="with the same test slices; found different slices in fold0/seed1/yours"
    ):
        pool_runs([whole, fewer])


def test_looser_practice_is_told(stored):
    clean, loose = stored(), stored(validation=TEST_FOLD)
    assert clean.clean
    assert not loose.clean
    # Beside clean runs it carries a name of its own; alone, everything is called so.
    assert list(pool_runs([clean, loose])) == ["mine", f"mine, {LOOSE}"]
    assert list(pool_runs([loose])) == ["mine"]
    assert data_label_of([loose], "my data") == f"my data, {LOOSE}"
    assert data_label_of([clean, loose], "my data") == "my data"
    assert cautions_of_runs([clean]) == ()
    (told,) = cautions_of_runs([clean, loose])
    assert told.startswith(
        f"{LOOSE}: early stopping, post-processing and temperature of "
        "fold0_validated_on_test/seed0/mine were chosen on the test patients"
    )


def test_a_second_look_at_the_test_is_told(stored):
    (told,) = cautions_of_runs([stored(), stored(seed=1, looks=2)])
    assert told.startswith("TEST FOLD EVALUATED MORE THAN ONCE: fold0/seed1/mine (2 times)")

"""The planned comparisons and the report, from results written for every run."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from liver_tf.measures.measure_registry import summarise
from liver_tf.records.folds import Split, save_folds
from liver_tf.records.manifest import load_manifest
from liver_tf.refusals import Refusal
from liver_tf.results.stored_results import load_results, save_results
from liver_tf.run_files import results_file
from liver_tf.studies.order import order_folders as folders
from liver_tf.studies.order.order_arms import arms_of
from liver_tf.studies.order.order_effects import (
    PRIMARY_COMPARISONS,
    SECONDARY_COMPARISONS,
    change_per_doubling,
    differences,
    effects,
    read_values,
)
from liver_tf.studies.order.order_report import write_order_report
from liver_tf.studies.order.order_runs import MEASURES, read_runs, runs_text
from liver_tf.studies.order.order_settings import OrderStudySettings
from liver_tf.studies.order.order_study import cells_of, plan_cells
from tests.builders import tiny_records
from tests.builders.study_folder import write_measured_run

ORDER, FREEZING = PRIMARY_COMPARISONS


def made_values(gain, sizes=(96,), replicates=16, sd=0.01):
    """Arms of equal values, plus ``gain`` (size -> difference) of the paper's orders."""
    values, rng = {}, np.random.default_rng(0)
    for size in sizes:
        for replicate in range(replicates):
            cohort = rng.normal(0, 0.1)
            for arm in arms_of("primary", replicate):
                better = gain(size) if arm.name in ("c_unfreezing", "f_freezing") else 0.0
                values[size, replicate, arm.name] = {
                    measure: 0.5 + cohort + better + rng.normal(0, sd) for measure in MEASURES
                }
    return values


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [
        (0.1, "higher"),
        (-0.1, "lower"),
        (0.0, "equivalent within the margin"),
        (0.011, "higher, but equivalent within the margin"),
    ],
)
def test_verdicts(gain, verdict):
    found = effects(made_values(lambda size: gain, sd=0.004), PRIMARY_COMPARISONS, 96, 0.02)
    assert [effect.verdict for effect in found] == [verdict] * 4
    open_question = effects(made_values(lambda size: 0, sd=0.05), PRIMARY_COMPARISONS, 96, 0.02)
    assert {effect.verdict for effect in open_question} == {"open"}


def test_differences_are_paired_by_replicate_and_corrected_by_holm():
    values = made_values(lambda size: 0.01)
    del values[96, 3, "c_unfreezing"]
    found = effects(values, PRIMARY_COMPARISONS, 96, 0.02)
    first, second = (
        [values[96, r, arm]["dice2"] for r in range(16) if r != 3]
        for arm in ("c_unfreezing", "e_random")
    )
    assert found[0].test.replicates == 15
    assert found[0].test.p == pytest.approx(stats.ttest_rel(first, second).pvalue)
    raw = sorted((effect.test.p, effect.p_holm) for effect in found)
    least = 0.0
    for rank, (p, corrected) in enumerate(raw):
        least = max(least, min(1.0, p * (4 - rank)))
        assert corrected == pytest.approx(least)


def test_change_per_doubling():
    values = made_values(lambda size: 0.02 * np.log2(size), (12, 24, 48), 8, sd=0.0)
    slope = change_per_doubling(values, ORDER, "dice2", (12, 24, 48), 0.02)
    assert (slope.mean, slope.replicates) == (pytest.approx(0.02), 8)
    assert change_per_doubling(values, ORDER, "dice2", (48,), 0.02) is None


def test_every_compared_arm_is_trained():
    trained = {arm.name for group in ("primary", "secondary") for arm in arms_of(group, 0)}
    for comparison in (*PRIMARY_COMPARISONS, *SECONDARY_COMPARISONS):
        assert {comparison.first, comparison.second} <= trained
    primary = {arm.name for arm in arms_of("primary", 0)}
    assert {c for one in PRIMARY_COMPARISONS for c in (one.first, one.second)} < primary


@pytest.fixture
def study(tmp_path):
    return OrderStudySettings(
        folder=tmp_path,
        **{"replicates": 3, "secondary_replicates": 2, "size_replicates": 2, "cohorts": 3},
        **{"patients": 8, "other_patients": (4,)},
    )


def test_cells_in_order_with_equal_steps(study):
    records = folders.rois_folder(study.folder, folders.TYPED_ROIS)
    manifest = tiny_records.write_set(records, patients=8)
    cases = [entry.case for entry in load_manifest(records).cases]
    full, half = (Split(tuple(cases[:n]), (cases[6],), (cases[7],)) for n in (6, 3))
    full = replace(full, validation=(cases[6],))
    save_folds(folders.folds_file(study.folder), manifest, (full,) * 3 + (half,) * 3, {})
    jobs, work = plan_cells(study, manifest)
    assert [job.name for job in jobs] == [cell.name for cell in cells_of(study)]
    assert [job.name.split("/")[0] for job in jobs] == ["primary"] * 3 + ["secondary"] * 2 + [
        "primary"
    ] * 2
    assert len({job.run for job in jobs}) == len(jobs)
    # As many slices shown with half of the patients.
    shown = {job.name: work[job.name].total for job in jobs}
    assert shown["primary/patients8/replicate0"] == shown["primary/patients4/replicate0"]
    assert not any(job.is_done() for job in jobs)
    last = jobs[0].run
    assert last.parts[-3:] == ("fold0", "seed0", "f_freezing")


def test_cells_of_earlier_runs_are_not_run_again(study, tmp_path):
    records = folders.rois_folder(study.folder, folders.TYPED_ROIS)
    manifest = tiny_records.write_set(records, patients=8)
    cases = [entry.case for entry in load_manifest(records).cases]
    split = Split(tuple(cases[:6]), (cases[6],), (cases[7],))
    save_folds(folders.folds_file(study.folder), manifest, (split,) * 6, {})
    arms = [arm.name for arm in arms_of("primary", 1)]
    known = {(8, 1, arm): {"dice2": 0.25} for arm in arms}
    known |= {(8, 2, arms[0]): {"dice2": 0.5, "accuracy": 0.75}}  # one of five arms
    table = tmp_path / "order_runs.csv"
    table.write_text(runs_text(known))
    study = replace(study, earlier_runs=table, engine=study.engine)
    assert read_runs(table) == known == read_values(study)
    jobs, work = plan_cells(study, manifest)
    expected = [c.name for c in cells_of(study) if c.name != "primary/patients8/replicate1"]
    assert [job.name for job in jobs] == expected == list(work)


@pytest.mark.parametrize("damage", ["inf", "much", "extra"])
def test_a_damaged_table_of_earlier_runs_is_refused(damage, tmp_path):
    table = tmp_path / "order_runs.csv"
    table.write_text(runs_text({(8, 1, "a_restarts"): {"dice2": 0.25}}))
    assert read_runs(table)
    if damage == "extra":
        table.write_text(table.read_text().replace("dice2", "dice3"))
    else:
        table.write_text(table.read_text().replace("0.25", damage))
    with pytest.raises(Refusal) as refused:
        read_runs(table)
    assert refused.value.code == "runs-table"
    with pytest.raises(Refusal, match="file-missing"):
        read_runs(tmp_path / "none.csv")


@pytest.mark.long
def test_report(study, cohort, tmp_path):
    study = replace(study, replicates=2, engine=study.engine)
    rng = np.random.default_rng(2)
    for cell in cells_of(study):
        fold = study.fold(cell.patients, cell.replicate)
        for arm in arms_of(cell.group, cell.replicate):
            quality = 0.5 + rng.uniform(0, 0.3)
            run = write_measured_run(study.folder, cohort, arm.name, quality, fold, cell.replicate)
            results = load_results(run)
            run = folders.run_of(study.folder, fold, cell.replicate, arm.name)
            save_results(results, run)
            assert results_file(run).is_file()
    values = read_values(study)
    assert len(values) == 2 * 5 + 2 * 9 + 2 * 5
    run = folders.run_of(study.folder, study.fold(4, 1), 1, "d_reverse")
    assert values[4, 1, "d_reverse"]["dice2"] == summarise(load_results(run).results)["dice2"]
    page = write_order_report(study)
    assert "Number of training patients" in page.read_text()
    rows = list(csv.DictReader((page.parent / "order_effects.csv").open()))
    by_name = {(r["family"], r["first"], r["second"], r["measure"], r["patients"]): r for r in rows}
    row = by_name["primary", "f_freezing", "a_restarts", "accuracy", "8"]
    each = list(differences(values, FREEZING, "accuracy", 8).values())
    assert float(row["mean"]) == pytest.approx(np.mean(each), abs=1e-6)
    assert float(row["p"]) == pytest.approx(stats.ttest_1samp(each, 0).pvalue, rel=1e-4)
    assert len(rows) == 4 + 2 * len(SECONDARY_COMPARISONS) + 8
    runs = list(csv.DictReader((page.parent / "order_runs.csv").open()))
    assert len(runs) == len(values)
    found = summarise(load_results(run).results)
    # The table stands for the runs: a study without them makes the same one.
    table = (page.parent / "order_runs.csv").read_text()
    earlier = tmp_path / "earlier.csv"
    earlier.write_text(table)
    again = replace(study, folder=tmp_path / "other", earlier_runs=earlier, engine=study.engine)
    again_page = write_order_report(again)
    assert (again_page.parent / "order_runs.csv").read_text() == table
    assert f"{len(values)} of {len(values)} runs" in again_page.read_text()
    stored = next(
        r for r in runs if (r["patients"], r["replicate"], r["arm"]) == ("4", "1", run.name)
    )
    for measure in ("dice2", "sensitivity_hemangioma", "pooled_dice_class_metastasis"):
        assert float(stored[measure]) == pytest.approx(found[measure], rel=1e-5)
    for name in ("order_effects.png", "order_sizes.png"):
        with Image.open(page.parent / name) as picture:
            assert picture.width > 1000

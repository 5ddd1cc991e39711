"""A study's report: all runs, the same figures in every file, pictures that load."""

import csv
import datetime
import html
import json
import os
import platform
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from liver_tf.measures.measure_registry import COMPARED, measure_title
from liver_tf.refusals import Refusal
from liver_tf.report.write_report import write_runs_report, write_study_report
from liver_tf.results.run_results import LOOSE
from liver_tf.results.stored_results import load_results, save_results
from liver_tf.results.study_inventory import read_study
from liver_tf.run_files import TEST_FOLD
from tests.builders.browser import CLIPPED, SCREENS, browse, needs_chromium
from tests.builders.study_folder import write_measured_run, write_run

PHANTOM = "PHANTOM data (not patients)"
QUALITIES = {"baseline": 0.3, "hier_freeze": 0.9, "no_freezing_5_cycles": 0.9, "mine": 0.5}


@pytest.fixture(scope="module")
def study(cohort, tmp_path_factory):
    """2 folds, 2 seeds, four protocols: one cell missing, one unmeasured, one failed, one loose."""
    study = tmp_path_factory.mktemp("study")
    for protocol, quality in QUALITIES.items():
        for fold in (0, 1):
            for seed in (0, 1):
                if protocol != "mine" or (fold, seed) == (0, 0):
                    write_measured_run(study, cohort, protocol, quality, fold, seed)
    write_measured_run(study, cohort, "hier_freeze", 0.9, 0, 0, TEST_FOLD)
    (write_run(study, "mine", 0, 1) / "weights.npz").write_bytes(b"weights")
    write_run(study, "mine", 1, 0, cycles=0)
    memo = study / "cells" / "fold1" / "mine" / "seed0" / "cell.json"
    memo.parent.mkdir(parents=True)
    memo.write_text(json.dumps({"state": "failed", "seconds": {}}))
    memo = study / "cells" / "fold0" / "baseline" / "seed0" / "cell.json"
    memo.parent.mkdir(parents=True)
    seconds = {"training": 100.0, "measuring": 40.0}
    memo.write_text(json.dumps({"state": "done", "seconds": seconds}))
    return study


@pytest.fixture(scope="module")
def written(study, tmp_path_factory):
    output = tmp_path_factory.mktemp("report")
    files = write_study_report(study, output, data_label=PHANTOM, samples=400)
    return output, files


def page(output):
    return (output / "report.html").read_text("utf-8")


def text_of(output):
    return html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page(output))))


def test_every_run_is_listed_with_its_state(study, written):
    states = {cell.name: cell.state for cell in read_study(study)}
    assert len(states) == 4 * 4 + 1
    assert {name: state for name, state in states.items() if state != "evaluated"} == {
        "fold0/seed1/mine": "trained, not evaluated",
        "fold1/seed0/mine": "FAILED (training not finished: 0 of 1 cycles); see "
        "cells/fold1/mine/seed0/log.txt",
        "fold1/seed1/mine": "missing",
    }
    output, _ = written
    text = text_of(output)
    assert "STUDY INCOMPLETE: 14 of 17 runs are evaluated" in text
    for name, state in states.items():
        if state != "evaluated":
            assert f"{name}: {state}" in text


def test_a_run_validated_on_the_test_fold_is_red_and_separate(written):
    output, _ = written
    loose = f"hier_freeze, {LOOSE}"
    rows = re.findall(r"<tr( class=\"caution-cells\")?><th>([^<]*)</th>", page(output))
    assert rows
    # Only rows of protocols and runs whose name is marked are red.
    assert all(bool(red) is (LOOSE in name or "_validated_on" in name) for red, name in rows)
    assert sum(bool(red) for red, _ in rows) >= 5
    figures = json.loads((output / "measures.json").read_text())
    assert list(figures["protocols"]) == [
        *("baseline", "hier_freeze", loose, "no_freezing_5_cycles", "mine")
    ]
    assert figures["protocols"][loose]["counts"]["networks"] == 1
    assert not any(loose in (d["protocol"], d["reference"]) for d in figures["differences"])
    summary = re.search(r"<ul>(.*?)</ul>", page(output))[1]
    assert LOOSE in summary.split("<li>")[-1]
    assert LOOSE not in " ".join(summary.split("<li>")[:-1])


def test_the_files_hold_the_same_figures(written):
    output, files = written
    assert [path.name for path in files[:6]] == [
        *("report.html", "report.md", "report.csv", "measures.json", "images.csv", "table.txt")
    ]
    assert all(path.is_file() for path in files)
    figures = json.loads((output / "measures.json").read_text())
    with open(output / "report.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    markdown = (output / "report.md").read_text("utf-8")
    shown = text_of(output)
    for protocol, entry in figures["protocols"].items():
        for measure in ("dice1", "dice2", "success", "accuracy"):
            interval = entry["measures"][measure]
            cell = f"{interval['value']:.2f} [{interval['low']:.2f}, {interval['high']:.2f}]"
            assert cell in shown
            assert cell in markdown
            (row,) = (
                r
                for r in rows
                if (r["source"], r["protocol"], r["measure"]) == ("measured", protocol, measure)
            )
            assert float(row["low"]) == pytest.approx(interval["low"], rel=1e-5)
            assert row["data"] == PHANTOM
            assert int(row["patients"]) == interval["patients"] <= entry["counts"]["patients"]
    for d in figures["differences"]:
        (row,) = (
            r
            for r in rows
            if r["protocol"] == f"{d['protocol']} - {d['reference']}"
            and r["measure"] == d["measure"]
        )
        assert row["shown"] == d["verdict"].rsplit(": ", 1)[1]
        assert row["shown"] in shown


def test_the_summary_states_differences_and_their_absence(written):
    output, _ = written
    text = text_of(output)
    assert "Dice2 against baseline: higher (observed, two trainings) for hier_freeze" in text
    assert (
        "hier_freeze against no_freezing_5_cycles, its control of equal training length without "
        "freezing: no difference shown in Dice1, Dice2, Success, Accuracy, False-positive rate on "
        "healthy slices." in text
    )
    figures = json.loads((output / "measures.json").read_text())
    # The one cell of "mine" is compared with the same fold and seed of the baseline alone.
    (shown,) = (
        d for d in figures["differences"] if (d["protocol"], d["measure"]) == ("mine", "dice2")
    )
    # Of 20 patients 19 have a lesion.
    assert (shown["patients"], shown["networks"]) == (19, 1)
    (whole,) = (
        d
        for d in figures["differences"]
        if (d["protocol"], d["reference"], d["measure"]) == ("hier_freeze", "baseline", "dice2")
    )
    assert (whole["patients"], whole["networks"]) == (38, 4)


def test_provenance_lists_data_versions_and_arguments(written):
    output, _ = written
    text = text_of(output)
    for needed in (
        "no pair of a training and a test case from the same patient",
        "a" * 64,
        "f" * 64,
        "liver_tf 0.1.0, tensorflow 2.21.0",
        "augmentation.rotation_degrees",
        "100 | 101",
        "including start-up and evaluation: 2 min for 1 run",
        "within each fold, of its networks, seed 0",
        "baseline  scratch  1  none",
        "hier_freeze  pretrained  1  none",
        "x 0.9 every 2 epochs, not below 1e-08",
    ):
        assert needed in text, needed
    assert "1 run with deliberate validation on the test patients" in text


def test_a_report_is_repeatable_and_removes_old_pictures(study, tmp_path):
    run = study / "finetune" / "fold0" / "seed0" / "baseline"
    write_runs_report([run], tmp_path, data_label="d", samples=50)
    (tmp_path / "pictures" / "gone.png").write_bytes(b"old")
    write_runs_report([run], tmp_path, data_label="d", samples=50)
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    names_of = ("baseline", "cycles", "froc", "reliability", "training_curves")
    assert names == [f"{name}.png" for name in names_of]
    # The same run gives the same bytes.
    before = (tmp_path / "report.html").read_bytes()
    write_runs_report([run], tmp_path, data_label="d", samples=50)
    assert (tmp_path / "report.html").read_bytes() == before


@pytest.mark.parametrize(
    "name", ["pictures/mine.png", "report.md", "table.txt", "images.csv", "measures.json"]
)
def test_files_of_another_program_are_left_alone(study, tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("[]")
    run = study / "finetune" / "fold0" / "seed0" / "baseline"
    with pytest.raises(Refusal, match=r"\[output-foreign\]"):
        write_runs_report([run], tmp_path, data_label="d", samples=50)
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [path]
    assert path.read_text() == "[]"


def test_a_report_killed_while_its_files_take_their_places_is_written_again(
    study, tmp_path, monkeypatch
):
    run = study / "finetune" / "fold0" / "seed0" / "baseline"
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *arguments, **more: None)
        patch.setattr(os, "replace", first_only(os.replace))
        with pytest.raises(OSError, match="killed"):
            write_runs_report([run], tmp_path, data_label="d", samples=50)
    assert {"images.csv"} == {each.name for each in tmp_path.iterdir() if each.is_file()}
    write_runs_report([run], tmp_path, data_label="d", samples=50)
    assert (tmp_path / "report.html").is_file()


def first_only(replace):
    """As ``os.replace``, but only one file leaves its folder."""
    moved = []

    def moving(source, place):
        if Path(source).parent != Path(place).parent:
            moved.append(source)
            if len(moved) > 1:
                raise OSError("killed")
        replace(source, place)

    return moving


def test_unreadable_runs_do_not_stop_the_report(cohort, tmp_path):
    write_measured_run(tmp_path, cohort, "baseline", 0.5)
    broken = write_measured_run(tmp_path, cohort, "hier_freeze", 0.8)
    (broken / "measures" / "test.json").write_text("{")
    (broken / "cycle1" / "history.csv").write_text("epoch,loss\n1,x\n")
    (broken / "measures" / "test_shown.npz").write_bytes(b"PK")
    write_study_report(tmp_path, tmp_path / "report", data_label="d", samples=50)
    assert "hier_freeze: results cannot be read (results-damaged)" in text_of(tmp_path / "report")


@pytest.mark.parametrize(
    "seconds",
    [
        {"training": "a", "measuring": 1},
        *(
            pytest.param(value, marks=pytest.mark.long)
            for value in (12, "x", [1], {"training": None}, {"other": 1})
        ),
    ],
)
def test_damaged_durations_are_ignored(cohort, tmp_path, seconds):
    write_measured_run(tmp_path, cohort, "baseline", 0.5)
    outcome = tmp_path / "cells" / "fold0" / "baseline" / "seed0" / "cell.json"
    outcome.parent.mkdir(parents=True)
    outcome.write_text(json.dumps({"state": "done", "seconds": seconds}))
    assert read_study(tmp_path)[0].wall_s == {}
    write_study_report(tmp_path, tmp_path / "report", data_label="d", samples=50)


@pytest.mark.parametrize(
    "protocol",
    [
        {"cycles": ["x"]},
        *(pytest.param(value, marks=pytest.mark.long) for value in ("x", None, {"cycles": 5})),
    ],
)
def test_a_damaged_run_json_does_not_stop_the_report(cohort, tmp_path, protocol):
    write_measured_run(tmp_path, cohort, "baseline", 0.5)
    run = write_measured_run(tmp_path, cohort, "hier_freeze", 0.8)
    (run / "run.json").write_text(json.dumps({"protocol": protocol}))
    write_study_report(tmp_path, tmp_path / "report", data_label="d", samples=50)
    assert "hier_freeze" in text_of(tmp_path / "report")


def test_examples_of_other_results_are_not_shown(cohort, tmp_path):
    run = write_measured_run(tmp_path, cohort, "baseline", 0.5)
    results = load_results(run)
    save_results(replace(results, made_of={**results.made_of, "weights": "others"}), run)
    (cell,) = read_study(tmp_path)
    assert (cell.state, cell.examples) == ("evaluated", {})


def test_refusals(cohort, tmp_path):
    with pytest.raises(Refusal) as refused:
        write_study_report(tmp_path / "none", tmp_path / "report", data_label="d")
    assert refused.value.code == "no-study"
    write_run(tmp_path, "baseline")
    with pytest.raises(Refusal, match="1 runs, none of them evaluated") as refused:
        write_study_report(tmp_path, tmp_path / "report", data_label="d")
    assert refused.value.code == "nothing-measured"
    planned = [tmp_path / "finetune" / "fold1" / f"seed{seed}" / "baseline" for seed in (0, 1)]
    # The one that is there, two planned, and seed 1 of its own fold.
    with pytest.raises(Refusal, match="4 runs, none of them evaluated"):
        write_study_report(tmp_path, tmp_path / "report", data_label="d", planned=planned)
    assert not (tmp_path / "report").exists()


#: Numbers of pictures and of loaded ones, and where the first one ends, in pixels.
PICTURES = """
  document.querySelectorAll("details").forEach((one) => { one.open = true; });
  const all = [...document.images];
  const body = document.body.dataset;
  body.loaded = all.filter((one) => one.naturalWidth > 0).length;
  body.pictures = all.length;
  body.end = Math.ceil(all[0].getBoundingClientRect().bottom);
"""


@needs_chromium
def test_a_browser_loads_every_picture_without_an_error(written, tmp_path):
    output, files = written
    pictures = [path for path in files if path.suffix == ".png"]
    loaded, console = browse(page(output), tmp_path, PICTURES, size=(1440, 900))
    # Verdict, table and the small forest plot are on the first screen.
    assert int(loaded["end"]) < 850
    assert loaded["pictures"] == loaded["loaded"] == str(len(pictures))
    assert len(pictures) == 6 + 5
    assert console == []
    # A picture that does not load and an error in the page would be seen.
    text = page(output).replace("data:image/png;base64,iVBO", "missing/", 1)
    broken = text.replace("<h1>", "<script>throw new Error('seen')</script><h1>")
    loaded, console = browse(broken, tmp_path, PICTURES)
    assert (loaded["pictures"], loaded["loaded"]) == ("11", "10")
    assert console


@needs_chromium
@pytest.mark.parametrize("size", SCREENS)
def test_nothing_is_clipped(written, tmp_path, size):
    """Wide tables scroll inside the page, not the first one, whose rows are stacked on a phone."""
    script = """
      document.querySelectorAll("details").forEach((one) => { one.open = true; });
      document.body.dataset.outside = clipped();
      const first = document.querySelector("table"), box = first.parentElement;
      document.body.dataset.first = `${first.offsetWidth} of ${box.clientWidth}`;
      const {scrollWidth, clientWidth} = document.documentElement;
      document.body.dataset.fits = box.scrollWidth <= box.clientWidth && scrollWidth <= clientWidth;
      // Nothing of a cell lies outside of it or over its neighbour.
      document.body.dataset.over = [...first.querySelectorAll("td, tbody th")].filter(
        (cell) => cell.offsetHeight < 15 || cell.scrollWidth > cell.clientWidth).map(
          (cell) => cell.textContent).join();
      document.body.dataset.headers = [...first.querySelectorAll("tbody tr:first-child td")].map(
        (cell) => getComputedStyle(cell, "::before").content.replaceAll('"', "")).join(", ");
      document.body.dataset.head = first.tHead.offsetHeight;
      const wide = [...document.querySelectorAll(".scroll")].find(
        (one) => one.scrollWidth > one.clientWidth + 60 && one.querySelector("tbody th"));
      if (wide) {
      wide.scrollLeft = 60;
      const left = (one) => one.getBoundingClientRect().left;
      document.body.dataset.moved = left(wide.querySelector("tbody th")) - left(wide);
      document.body.dataset.hint = getComputedStyle(wide).backgroundImage.includes("gradient");
      }
    """
    recorded, console = browse(page(written[0]), tmp_path, CLIPPED + script, size=size)
    assert console == []
    assert recorded["outside"] == ""
    assert recorded["fits"] == "true", recorded["first"]
    assert recorded["over"] == ""
    if size[0] >= 1024:
        assert float(recorded["head"]) > 15
    else:
        assert recorded["headers"] == ", ".join(map(measure_title, COMPARED))
        assert abs(float(recorded["moved"])) < 2, "protocols stay in view"
        assert recorded["hint"] == "true", "a shadow shows that there is more"


def test_provenance_holds_date_machine_processor_and_wall_time(written):
    facts = json.loads((written[0] / "measures.json").read_text())["facts"]
    written_at = datetime.datetime.strptime(facts["date"], "%Y-%m-%d %H:%M UTC")
    age = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) - written_at
    assert age < datetime.timedelta(hours=1)
    assert platform.machine() in facts["machine in reporting"]
    assert facts["machine in training"] == "Toy processor, 3 cores, Linux toy"
    assert "wall time, training" in text_of(written[0])


def test_definitions_are_tooltips_and_a_glossary(written):
    text = page(written[0])
    assert '<th><abbr title="Mean Dice of lesion against rest over all slices' in text
    glossary = text[text.index("Glossary</h2>") :]
    assert "Permutation test over patients" in glossary[: glossary.index("</table>")]


def test_markdown_links_its_pictures(written):
    output, files = written
    markdown = (output / "report.md").read_text("utf-8")
    targets = re.findall(r"!\[.*?\]\((.*?)\)", markdown)
    assert len(targets) == sum(path.suffix == ".png" for path in files)
    assert all((output / target).is_file() for target in targets)

"""The report: complete, self-contained, labelled, and written whole."""

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from liver_tf.evaluation.curves import draw_curves
from liver_tf.evaluation.measures import summarise
from liver_tf.evaluation.overlays import Panel, draw_sheet
from liver_tf.evaluation.report import Picture, evaluate_protocols, write_report
from liver_tf.labels import LESION_TYPES

PHANTOM = "PHANTOM data (not patients)"


def history(epochs):
    return [
        {"epoch": k, "loss": 1 / (k + 1), "val_loss": 1.2 / (k + 1), "val_dice": k / 10}
        for k in range(epochs)
    ]


@pytest.fixture(scope="module")
def written(cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(0)
    labels = np.zeros((16, 16), np.uint8)
    labels[4:9, 4:9] = 3
    panel = Panel(rng.normal(100, 20, (16, 16)), labels, labels, LESION_TYPES, "s", (1.0, 1.0))
    sheet = draw_sheet([panel], folder / "elsewhere" / "best <&> worst.png")
    results = {"baseline": cohort(0.4), "hier_freeze": cohort(0.9), "a|<b>": cohort(0.6)}
    files = write_report(
        folder / "out",
        results,
        PHANTOM,
        histories={"baseline": [history(5)], "hier_freeze": [history(3), history(1), history(4)]},
        sheets=[Picture(sheet, "Best & worst <slices>")],
        facts={"data fingerprint": "abc"},
        samples=500,
    )
    return files, results


class Checker(HTMLParser):
    """Collects addresses and unclosed tags."""

    VOID = ("meta", "link", "img", "br")

    def __init__(self):
        super().__init__()
        self.open, self.addresses, self.tags = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [v for k, v in attributes if k in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_well_formed_and_asks_for_nothing(written):
    files, _ = written
    text = files.html.read_text("utf-8")
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert all(a.startswith("data:") for a in checker.addresses)
    assert checker.tags.count("img") == 3
    assert "script" not in checker.tags
    assert "b" not in checker.tags
    assert "a|&lt;b&gt;" in text


def test_every_section_of_measured_figures_names_its_data(written):
    files, _ = written
    headings = re.findall(r"^## (.*)$", files.markdown.read_text("utf-8"), flags=re.M)
    assert headings == [
        "The paper's table",
        f"Paired differences, measured on {PHANTOM}",
        f"Further measures, measured on {PHANTOM}",
        f"Slices and patients, measured on {PHANTOM}",
        f"Seeds, measured on {PHANTOM}",
        f"By size of lesion, measured on {PHANTOM}",
        f"Confusion of types, measured on {PHANTOM}",
        f"Pictures, measured on {PHANTOM}",
        "Notes",
    ]
    html = files.html.read_text("utf-8")
    assert f'<th colspan="4">measured on {PHANTOM}</th>' in html
    assert '<th colspan="4">published (Sheba, 332 slices)</th>' in html


def test_markdown_pictures_lie_beside_it(written):
    files, _ = written
    text = files.markdown.read_text("utf-8")
    targets = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert targets[1] == "pictures/training_curves.png"
    assert targets[2] == "pictures/reliability.png"
    assert len(targets) == 3
    assert (files.markdown.parent / targets[1]).is_file()
    assert str(files.markdown.parent) not in text
    assert "data fingerprint: abc" in text


def test_csv_keeps_sources_apart(written):
    files, results = written
    with files.csv.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    measured = {
        (r["protocol"], r["measure"]): r["value"] for r in rows if r["source"] == "measured"
    }
    expected = summarise(results["hier_freeze"])["dice2"]
    assert float(measured["hier_freeze", "dice2"]) == pytest.approx(expected, rel=1e-5)
    assert {r["data"] for r in rows if r["source"] == "measured"} == {PHANTOM}
    published = [r for r in rows if r["source"] == "published"]
    assert {r["data"] for r in published} == {"Sheba, 332 slices"}
    assert len(published) == 5 * 4 + 2
    differences = [r for r in rows if r["source"] == "measured difference"]
    assert [(r["measure"], r["protocol"]) for r in differences] == [
        (measure, protocol)
        for measure in ("dice1", "dice2", "success", "accuracy")
        for protocol in ("hier_freeze - baseline", "a|<b> - baseline")
    ]
    assert all(float(r["p"]) <= float(r["p_holm"]) <= 1 for r in differences)
    assert {r["size"] for r in rows if r["source"] == "measured by size"} == {
        *("under_10_mm", "10_to_20_mm", "20_to_50_mm", "50_mm_and_more")
    }


def test_report_without_baseline_histories_or_sheets(cohort, tmp_path):
    results = [replace(result, type_scores=None) for result in cohort(0.8)]
    files = write_report(tmp_path, {"mine": results}, "my data", samples=50)
    assert files.findings.differences == ()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "measures.csv",
        "measures.json",
        "report.html",
        "report.md",
    ]
    assert "Pictures" not in files.markdown.read_text("utf-8")


def test_sheets_of_one_name_do_not_overwrite_each_other(cohort, tmp_path):
    sheets = []
    for protocol, shade in (("a", 50.0), ("b", 200.0)):
        hu, labels = np.full((8, 8), shade), np.zeros((8, 8), np.uint8)
        panel = Panel(hu, None, labels, LESION_TYPES, protocol, None)
        sheets.append(Picture(draw_sheet([panel], tmp_path / protocol / "sheet.png"), protocol))
    files = write_report(tmp_path, {"mine": cohort(0.8)}, "my data", sheets=sheets, samples=50)
    copies = [picture.path for picture in files.findings.pictures]
    assert [p.name for p in copies] == ["sheet.png", "2_sheet.png", "reliability.png"]
    assert [p.read_bytes() for p in copies[:2]] == [s.path.read_bytes() for s in sheets]


def test_refusals(cohort, tmp_path):
    with pytest.raises(ValueError, match="none for baseline"):
        evaluate_protocols({"baseline": []}, PHANTOM)
    with pytest.raises(ValueError, match="no protocol"):
        evaluate_protocols({}, PHANTOM)
    with pytest.raises(ValueError, match="what was measured on"):
        evaluate_protocols({"baseline": cohort(0.5)}, "")
    with pytest.raises(ValueError, match="at least one epoch"):
        draw_curves({"baseline": [[]]}, tmp_path / "x.png")


def test_a_failed_write_leaves_the_old_report(cohort, tmp_path, monkeypatch):
    results = {"mine": cohort(0.8)}
    old = write_report(tmp_path, results, "old data", samples=50).markdown.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(tmp_path, results, "new data", samples=50)
    assert (tmp_path / "report.md").read_bytes() == old
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "measures.csv",
        "measures.json",
        "pictures",
        "report.html",
        "report.md",
    ]


def test_json_holds_every_figure(written):
    files, results = written
    told = json.loads(files.json.read_text("utf-8"))
    assert (told["schema"], told["data"], told["level"]) == (1, PHANTOM, 0.95)
    own = told["protocols"]["hier_freeze"]
    summary = summarise(results["hier_freeze"])
    assert {name: one["value"] for name, one in own["measures"].items()} == {
        name: value for name, value in summary.items() if name in own["measures"]
    }
    assert set(own["measures"]) == set(told["titles"])
    assert own["counts"] == {name: summary[name] for name in own["counts"]}
    assert sum(sum(row) for row in own["confusion"]["slices"]) == summary["images"]
    assert own["by_seed"] == {
        "0": {m: summary[m] for m in ("dice1", "dice2", "success", "accuracy")}
    }
    counts = own["size_counts"].values()
    assert sum(one["slices"] for one in counts) == summary["lesion_images"]
    true_lesions = sum(len(result.true_lesions) for result in results["hier_freeze"])
    assert sum(one["lesions"] for one in counts) == true_lesions
    bins = own["reliability"]["scaled"]
    gaps = sum(b["slices"] * abs(b["right"] - b["confidence"]) for b in bins if b["slices"])
    error = gaps / sum(b["slices"] for b in bins)
    assert error == pytest.approx(summary["calibration_error_scaled"])
    assert [d["verdict"].split(" of ")[0] for d in told["differences"]][::2] == [
        *("Dice1", "Dice2", "Success", "Accuracy")
    ]


def test_seeds_are_shown_apart_and_their_spread(cohort, tmp_path):
    seeds = {seed: [replace(r, seed=seed) for r in cohort(q)] for seed, q in ((3, 0.4), (7, 0.9))}
    files = write_report(tmp_path, {"mine": seeds[3] + seeds[7]}, "my data", samples=50)
    rows = {row[1]: row[2:] for row in files.findings.seed_table().rows}
    low, high = (summarise(seeds[seed])["dice2"] for seed in (3, 7))
    assert rows["3"][1] == f"{low:.3f}"
    assert rows["7"][1] == f"{high:.3f}"
    assert rows["SD over seeds"][1] == f"{abs(high - low) / 2**0.5:.3f}"
    assert files.findings.counts["mine"]["networks"] == 2
    assert "within each fold, of its networks" in files.markdown.read_text("utf-8")


def test_cautions_come_first_and_red(cohort, tmp_path):
    caution = "VALIDATED ON THE TEST FOLD: <b> and *stars*"
    files = write_report(tmp_path, {"mine": cohort(0.8)}, "d", cautions=[caution], samples=50)
    page = files.html.read_text("utf-8")
    shown = '<p class="caution"><strong>Caution.</strong> VALIDATED ON THE TEST FOLD: &lt;b&gt;'
    assert page.index("<h1>") < page.index(shown) < page.index("<table>")
    assert re.search(r"\.caution \{[^}]*color: #a00000", page)
    text = files.markdown.read_text("utf-8")
    assert text.splitlines()[2] == (
        r"**CAUTION. VALIDATED ON THE TEST FOLD: &lt;b&gt; and \*stars\***"
    )
    assert json.loads(files.json.read_text("utf-8"))["cautions"] == [caution]

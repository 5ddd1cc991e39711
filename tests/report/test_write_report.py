"""The report: complete, self-contained, labelled, and written whole."""

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from liver_tf.measures.measure_registry import summarise
from liver_tf.report.findings import compute_findings
from liver_tf.report.tables.protocol_tables import seed_table
from liver_tf.report.write_report import write_report
from tests.builders.full_disk import fill_for

PHANTOM = "PHANTOM data (not patients)"


@pytest.fixture(scope="module")
def written(cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    results = {"baseline": cohort(0.4), "hier_freeze": cohort(0.9), "a|<b>": cohort(0.6)}
    facts = {"data fingerprint": "abc"}
    argmax = {"hier_freeze": results["baseline"]}
    files = write_report(
        folder / "out", compute_findings(results, PHANTOM, facts=facts, argmax=argmax, samples=500)
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


def test_html_is_well_formed_and_self_contained(written):
    files, _ = written
    text = files.html.read_text("utf-8")
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert all(a.startswith(("data:", "#")) for a in checker.addresses)
    # Every link leads to a heading of this page.
    links = {a[1:] for a in checker.addresses if a.startswith("#")}
    assert len(links) == checker.tags.count("h2")
    assert links == set(re.findall(r'<h2 id="(\w+)"', text))
    assert checker.tags.count("img") == 4
    assert "script" not in checker.tags
    assert "b" not in checker.tags
    assert "a|&lt;b&gt;" in text


def test_every_section_of_measured_figures_names_its_data(written):
    files, _ = written
    headings = re.findall(r"^## (.*)$", files.markdown.read_text("utf-8"), flags=re.M)
    assert headings == [
        "Summary",
        "Comparison with the paper",
        f"Paired differences, measured on {PHANTOM}",
        f"Healthy slices and lesion types, measured on {PHANTOM}",
        f"Lesion size, measured on {PHANTOM}",
        f"Free response, measured on {PHANTOM}",
        f"Further measures, measured on {PHANTOM}",
        f"Seeds, measured on {PHANTOM}",
        f"Sample sizes, measured on {PHANTOM}",
        "Methods",
        "Glossary",
        "Provenance",
    ]
    html = files.html.read_text("utf-8")
    assert f'<th colspan="4">measured on {PHANTOM}</th>' in html
    assert '<th colspan="4">published (Sheba, 332 slices)</th>' in html


def test_markdown_links_its_pictures(written):
    files, _ = written
    text = files.markdown.read_text("utf-8")
    targets = re.findall(r"!\[.*?\]\((.*?)\)", text)
    pictures = ["differences_brief", "differences", "reliability", "froc"]
    assert targets == [f"pictures/{name}.png" for name in pictures]
    assert all((files.markdown.parent / target).is_file() for target in targets)
    assert str(files.markdown.parent) not in text
    assert "| data fingerprint | abc |" in text
    # What is folded stands between blank lines, or GitHub would show its tables as text.
    assert len(re.findall(r"<details><summary>[^\n]*</summary>\n\n", text)) == text.count(
        "<details>"
    )
    assert text.count("\n\n</details>") == text.count("<details>") > 3


def test_csv_separates_sources(written):
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
        for measure in ("dice1", "dice2", "success", "accuracy", "healthy_false_positive_rate")
        for protocol in ("hier_freeze - baseline", "a|<b> - baseline")
    ]
    assert all(float(r["p"]) <= float(r["p_holm"]) <= 1 for r in differences)
    argmax = {r["measure"]: r for r in rows if r["source"] == "measured, raw argmax"}
    expected = summarise(results["baseline"])
    for measure in ("success", "lesion_average_precision"):
        assert float(argmax[measure]["value"]) == pytest.approx(expected[measure], rel=1e-5)
    assert {r["protocol"] for r in argmax.values()} == {"hier_freeze"}
    assert {r["size"] for r in rows if r["source"] == "measured by size"} == {
        *("under_10_mm", "10_to_20_mm", "20_to_50_mm", "50_mm_and_more")
    }


def test_report_without_baseline_or_runs(cohort, tmp_path):
    results = [replace(result, type_scores=None) for result in cohort(0.8)]
    files = write_report(tmp_path, compute_findings({"mine": results}, "my data", samples=50))
    assert files.findings.differences == ()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "measures.json",
        "pictures",
        "report.csv",
        "report.html",
        "report.md",
    ]
    assert [p.name for p in (tmp_path / "pictures").iterdir()] == ["froc.png"]


def test_raw_argmax_is_beside_the_decision_unless_it_is_the_decision(written):
    files, results = written
    text = files.markdown.read_text("utf-8")
    row = r"^\| hier_freeze, raw argmax \| (.*) \|$"
    rows = [cells.split(" | ") for cells in re.findall(row, text, flags=re.M)]
    # Healthy slices, types, two of sizes, three of free response, seeds.
    assert len(rows) == 8
    expected = summarise(results["baseline"])
    assert rows[0][1].startswith(f"{expected['healthy_false_positive_rate']:.2f} [")
    assert rows[2][0].startswith(f"{expected['dice2']:.2f} [")
    assert rows[4][0].startswith(f"{expected['lesion_average_precision']:.2f} [")
    assert "hier_freeze, raw argmax" in files.findings.confusions
    assert "baseline, raw argmax" not in text


@pytest.mark.parametrize(("patients", "explained"), [(5, True), (20, False)])
def test_the_first_screen_explains_values_of_few_patients(cohort, tmp_path, patients, explained):
    results = {"mine": cohort(0.5, patients=patients)}
    write_report(tmp_path, compute_findings(results, "toys", samples=50))
    opening = (tmp_path / "report.md").read_text().partition("\n## ")[0]
    assert ("(few)" in opening) == explained
    assert ("(few): fewer than 10 patients, so no interval is shown." in opening) == explained


def test_refusals(cohort):
    with pytest.raises(ValueError, match="none for baseline"):
        compute_findings({"baseline": []}, PHANTOM)
    with pytest.raises(ValueError, match="no protocol"):
        compute_findings({}, PHANTOM)
    with pytest.raises(ValueError, match="data_label to name the data"):
        compute_findings({"baseline": cohort(0.5)}, "")


def test_a_failed_write_leaves_the_old_report(cohort, tmp_path, monkeypatch):
    results = {"mine": cohort(0.8)}
    old = write_report(
        tmp_path, compute_findings(results, "old data", samples=50)
    ).markdown.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(tmp_path, compute_findings(results, "new data", samples=50))
    assert (tmp_path / "report.md").read_bytes() == old
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "measures.json",
        "pictures",
        "report.csv",
        "report.html",
        "report.md",
    ]


def test_json_holds_every_figure(written):
    files, results = written
    figures = json.loads(files.json.read_text("utf-8"))
    assert (figures["schema"], figures["data"], figures["level"]) == (1, PHANTOM, 0.95)
    protocol = figures["protocols"]["hier_freeze"]
    summary = summarise(results["hier_freeze"])
    assert {name: entry["value"] for name, entry in protocol["measures"].items()} == {
        name: value for name, value in summary.items() if name in protocol["measures"]
    }
    assert set(protocol["measures"]) == set(figures["titles"])
    assert protocol["counts"] == {name: summary[name] for name in protocol["counts"]}
    assert sum(sum(row) for row in protocol["confusion"]["slices"]) == summary["images"]
    assert protocol["by_seed"] == {
        "0": {m: summary[m] for m in ("dice1", "dice2", "success", "accuracy")}
    }
    counts = protocol["size_counts"].values()
    assert sum(entry["slices"] for entry in counts) == summary["lesion_images"]
    true_lesions = sum(len(result.true_lesions) for result in results["hier_freeze"])
    assert sum(entry["lesions"] for entry in counts) == true_lesions
    of_bin = {}
    for result in results["hier_freeze"]:
        if result.has_lesion:
            of_bin.setdefault(result.size, set()).add(result.patient)
    patients_by_size = {
        size: entry["dice2"]["patients"] for size, entry in protocol["by_size"].items()
    }
    assert {size: n for size, n in patients_by_size.items() if n} == {
        size: len(patients) for size, patients in of_bin.items()
    }
    bins = protocol["reliability"]["scaled"]
    gaps = sum(b["slices"] * abs(b["right"] - b["confidence"]) for b in bins if b["slices"])
    error = gaps / sum(b["slices"] for b in bins)
    assert error == pytest.approx(summary["calibration_error_scaled"])
    assert [d["verdict"].split(" of ")[0] for d in figures["differences"]][::2] == [
        *("Dice1", "Dice2", "Success", "Accuracy", "False-positive rate on healthy slices")
    ]


def test_seeds_and_their_spread_are_listed(cohort, tmp_path):
    seeds = {seed: [replace(r, seed=seed) for r in cohort(q)] for seed, q in ((3, 0.4), (7, 0.9))}
    files = write_report(
        tmp_path, compute_findings({"mine": seeds[3] + seeds[7]}, "my data", samples=50)
    )
    rows = {row[1]: row[2:] for row in seed_table(files.findings).rows}
    low, high = (summarise(seeds[seed])["dice2"] for seed in (3, 7))
    assert rows["3"][1] == f"{low:.3f}"
    assert rows["7"][1] == f"{high:.3f}"
    assert rows["SD over seeds"][1] == f"{abs(high - low) / 2**0.5:.3f}"
    assert files.findings.counts["mine"]["networks"] == 2
    assert "within each fold, of its networks" in files.markdown.read_text("utf-8")


def test_cautions_follow_the_first_screen_in_red(cohort, tmp_path):
    caution = "VALIDATED ON THE TEST FOLD: <b> and *stars*"
    files = write_report(
        tmp_path, compute_findings({"mine": cohort(0.8)}, "d", cautions=[caution], samples=50)
    )
    page = files.html.read_text("utf-8")
    shown = '<p class="caution"><strong>Caution.</strong> VALIDATED ON THE TEST FOLD: &lt;b&gt;'
    assert "1 caution below." in page[: page.index("<table")]
    assert page.index("<table") < page.index(shown) < page.index("Summary</h2>")
    assert re.search(r"\.caution \{[^}]*color: #a00000", page)
    text = files.markdown.read_text("utf-8")
    assert r"**CAUTION. VALIDATED ON THE TEST FOLD: &lt;b&gt; and \*stars\***" in text.splitlines()
    assert json.loads(files.json.read_text("utf-8"))["cautions"] == [caution]


def test_a_report_that_cannot_be_completed_changes_nothing(cohort, tmp_path, monkeypatch):
    """Markdown, CSV, JSON and HTML are always of one computation."""
    write_report(tmp_path, compute_findings({"mine": cohort(0.4)}, "first", samples=50))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    fill_for(monkeypatch, "report.html")
    findings = compute_findings({"mine": cohort(0.9)}, "second", samples=50)
    with pytest.raises(OSError, match="No space left"):
        write_report(tmp_path, findings)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    monkeypatch.undo()
    files = write_report(tmp_path, findings, {"table.txt": "second"})
    for file in (files.markdown, files.csv, files.json, files.html, tmp_path / "table.txt"):
        assert "second" in file.read_text()
        assert "first" not in file.read_text()

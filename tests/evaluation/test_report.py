"""The report: complete, self-contained, labelled, and written whole."""

import csv
import re
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
    assert checker.tags.count("img") == 2
    assert "script" not in checker.tags
    assert "b" not in checker.tags
    assert "a|&lt;b&gt;" in text


def test_every_section_of_measured_figures_names_its_data(written):
    files, _ = written
    headings = re.findall(r"^## (.*)$", files.markdown.read_text("utf-8"), flags=re.M)
    assert headings == [
        "The paper's table",
        f"Further measures, measured on {PHANTOM}",
        f"Slices and patients, measured on {PHANTOM}",
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
    assert len(targets) == 2
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
    assert [r["protocol"] for r in rows if r["source"] == "measured difference"] == [
        "hier_freeze - baseline",
        "a|<b> - baseline",
    ]


def test_report_without_baseline_histories_or_sheets(cohort, tmp_path):
    files = write_report(tmp_path, {"mine": cohort(0.8)}, "my data", samples=50)
    assert files.findings.differences == ()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "measures.csv",
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
    assert [p.name for p in copies] == ["sheet.png", "2_sheet.png"]
    assert [p.read_bytes() for p in copies] == [s.path.read_bytes() for s in sheets]


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
        "report.html",
        "report.md",
    ]

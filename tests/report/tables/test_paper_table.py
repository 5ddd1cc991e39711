"""The table holds the paper's figures, labels both sources, and takes protocols of any name."""

from dataclasses import replace

import pytest

from liver_tf.report.page.page_parts import Page, Section
from liver_tf.report.page.render_html import render_html
from liver_tf.report.page.render_markdown import markdown_table
from liver_tf.report.tables.paper_table import (
    ABSENT,
    EARLIER_WORK,
    PUBLISHED,
    format_interval,
    paper_table,
    render_text,
    table_ii,
)
from liver_tf.statistics.bootstrap_intervals import LEAST_PATIENTS, Interval
from liver_tf.statistics.paired_difference import PairedDifference

PHANTOM = "PHANTOM data (not patients)"
OWN = {
    "dice1": Interval(0.571, 0.5, 0.634, 1000),
    "dice2": Interval(0.55, 0.49, 0.61, 1000),
    "success": Interval(1.0, 1.0, 1.0, 1000),
    "accuracy": Interval(None, None, None, 0),
}
DIFFERENCE = PairedDifference(
    "dice2", "mine", "baseline", Interval(0.1, 0.02, 0.2, 1000), trainings=3
)


def test_published_figures_are_the_papers():
    # Table 1 of arXiv 1907.13409, typed from the paper: Dice1, Dice2, Success, Accuracy.
    typed = """
        baseline .49 .44 .89 .56
        no_freezing .57 .55 .94 .64
        hier_freeze .65 .60 .93 .68
        freeze_encoder .57 .54 .94 .63
        hier_unfreeze .64 .60 .94 .73
    """
    rows = [line.split() for line in typed.strip().splitlines()]
    assert list(PUBLISHED) == [row[0] for row in rows]
    for name, *figures in rows:
        measures = ("dice1", "dice2", "success", "accuracy")
        assert PUBLISHED[name] == dict(zip(measures, map(float, figures), strict=True))
    assert EARLIER_WORK == {"success": 0.80, "accuracy": 0.61}


def test_rows_and_cells():
    table = paper_table({"mine": OWN, "baseline": OWN}, PHANTOM)
    names = [row[0] for row in table.rows]
    assert names[:5] == list(PUBLISHED)
    assert names[5].startswith("earlier work")
    assert names[6:] == ["mine"]
    assert table.rows[0][1:5] == ("0.49", "0.44", "0.89", "0.56")
    assert table.rows[0][5:] == ("0.57 [0.50, 0.63]", "0.55 [0.49, 0.61]", "1.00 [1.00, 1.00]", "–")
    assert table.rows[1][5:] == ("–",) * 4
    assert table.rows[5][1:5] == ("–", "–", "0.80", "0.61")
    assert table.rows[6][1:5] == ("–",) * 4
    assert [text for text, _ in table.groups] == [
        "",
        "published (Sheba, 332 slices)",
        f"measured on {PHANTOM}",
    ]


def test_both_sources_are_labelled():
    table = paper_table({"mine": OWN}, PHANTOM)
    # In Markdown a group's text stands in each of its columns: there it is one word.
    text = markdown_table(table)
    assert "| protocol | published Dice1 |" in text
    assert "| measured Dice1 |" in text
    page = render_html(Page("t", sections=(Section("s", (table,)),)))
    assert '<th colspan="4">published (Sheba, 332 slices)</th>' in page
    assert f'<th colspan="4">measured on {PHANTOM}</th>' in page


def test_the_widest_cells_do_not_touch():
    whole = dict.fromkeys(OWN, Interval(1.0, 1.0, 1.0, 100))
    text = render_text({"mine": whole}, PHANTOM)
    line = next(line for line in text.splitlines() if "1.00" in line)
    assert line.split() == ["measured"] + ["1.00", "[1.00,1.00]"] * 4


def test_text_fits_a_terminal():
    text = render_text({"mine": OWN, "baseline": OWN}, PHANTOM, [DIFFERENCE])
    assert max(len(line) for line in text.splitlines()) <= 80
    row = next(line for line in text.splitlines() if "mine - baseline" in line)
    assert row.split() == ["mine", "-", "baseline", "+.10", "[+.02,+.20]", "higher"]
    once = render_text({"mine": OWN}, PHANTOM, [replace(DIFFERENCE, trainings=1)])
    assert once.splitlines()[-1].endswith("[+.02,+.20]  higher, observed")
    assert "observed: fewer than three trainings" in once
    assert max(len(line) for line in once.splitlines()) <= 80
    long = PairedDifference(
        *("accuracy", "hier_unfreeze", "no_freezing_6_cycles"),
        Interval(-0.1, -0.25, 0.15, 1000),
        *(0.01, 0.06),
    )
    both = render_text({"mine": OWN}, PHANTOM, [DIFFERENCE, long])
    assert max(len(line) for line in both.splitlines()) <= 80
    assert both.splitlines()[-1].endswith("no difference shown")
    # If only the interval shows a difference, the corrected p value is printed.
    torn = replace(long, interval=Interval(-0.1, -0.25, -0.01, 1000))
    with_p = render_text({"mine": OWN}, PHANTOM, [DIFFERENCE, torn])
    assert max(len(line) for line in with_p.splitlines()) <= 80
    assert with_p.splitlines()[-1].endswith("not shown, p 0.060")
    assert "(p values after Holm's correction):" in with_p
    assert f"on {PHANTOM}" in text
    lines = text.splitlines()
    start = lines.index("baseline")
    assert lines[start + 1].split() == ["published", ".49", ".44", ".89", ".56"]
    assert lines[start + 2].split()[:3] == ["measured", ".57", "[.50,.63]"]
    assert lines[lines.index("mine") + 1].startswith("  measured")


def test_format_interval():
    assert format_interval(None) == "–"
    assert format_interval(Interval(0.5, None, None, 0)) == "0.50"
    assert format_interval(Interval(-0.1, -0.2, 0.05, 9), signed=True) == "-0.10 [-0.20, +0.05]"


def test_few_patients_have_no_interval():
    """Five of five found is no certainty: all resamples of five ones are ones."""
    certain = Interval(1.0, 1.0, 1.0, 100)
    few = replace(certain, patients=LEAST_PATIENTS - 1)
    assert format_interval(few) == "1.00 (few)"
    assert format_interval(replace(certain, patients=LEAST_PATIENTS)) == "1.00 [1.00, 1.00]"
    assert format_interval(Interval(None, None, None, 0, 1)) == ABSENT
    difference = PairedDifference("dice2", "mine", "baseline", few, p_holm=0.001)
    assert difference.shown == "no difference shown (too few patients for an interval)"
    assert not difference.is_shown


def test_figures_need_a_data_label():
    with pytest.raises(ValueError, match="data_label to name the data"):
        paper_table({}, "  ")


def test_table_ii_has_the_papers_figures_beside_measured_ones():
    # Table II of arXiv 1907.13409, typed from the paper: Success, Accuracy.
    assert table_ii({"hier_unfreeze": OWN, "mine": OWN}, PHANTOM) is None
    table = table_ii({"anatomical": OWN, "hier_unfreeze_anatomical": OWN, "mine": OWN}, PHANTOM)
    assert [row[0] for row in table.rows] == [
        "hierarchical unfreezing",
        "anatomical data augmentation",
        "both combined (not in the paper)",
    ]
    assert [row[1:3] for row in table.rows] == [("0.94", "0.73"), ("0.80", "0.61"), ("–", "–")]
    assert [row[3] for row in table.rows] == ["–", "1.00 [1.00, 1.00]", "1.00 [1.00, 1.00]"]

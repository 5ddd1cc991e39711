"""The transfer study's page: figures worked out by hand, and what it must not claim."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from liver_tf.report.page.page_parts import Picture
from liver_tf.report.page.render_markdown import render_markdown
from liver_tf.studies.transfer.transfer_page import networks_csv, transfer_page
from tests.builders.transfer_networks import FULL, network, results_of


def markdown(results, *, missing=()):
    page = transfer_page(
        results,
        data="A scan",
        source="From somewhere, under a licence.",
        command="python -m x",
        settings=("--epochs=2",),
        pictures=[Picture(Path("out/one.png"), "A caption")],
        missing=missing,
    )
    return render_markdown(page, Path("out"))


def test_the_page_claims_nothing_about_patients_and_has_no_tests():
    text = markdown(results_of(**FULL))
    top = text.split("##")[0]
    assert "**One patient.**" in top
    assert "nothing on this page is an estimate for other patients" in top
    assert "not a medical device" in top
    for word in ("significan", "p-value", "p =", "p <", "confidence", "95", "generalis"):
        assert word not in text.lower(), word
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[:3] == [
        "What these networks show",
        "What they do not show",
        "What this study cannot show",
    ]
    assert "From somewhere, under a licence." in text
    assert "![A caption](one.png)" in text
    assert (
        "For equal protocols this happens 1 in 10 times; the page makes 5 such comparisons" in text
    )
    assert "all pre-trained networks, whatever their seed, start from the weights of" in text


def test_tables_show_seeds_and_slices():
    text = markdown(results_of(**FULL))
    mean = np.mean([2 / 11, 4 / 12, 4 / 12])
    assert f"| baseline | {mean:.3f} (0.182 to 0.333) |" in text
    assert "| phantoms only (no slice) | 0.462 |" in text  # 6 / 13
    # Distances in mm as the folds have them.
    assert "| head, 4 slices | 0 to 60 | 1 at 72 to 72 | 2 at 96 to 98 | 12 | 24 |" in text


def test_the_other_end_is_reported_without_training():
    full = results_of(**FULL)
    text = markdown(replace(full, phantom_only={**full.phantom_only, "feet": network(5, 5)}))
    # Dice of 5 of 10 rows is 10 / 15.
    assert "No network was trained at the feet end." in text
    assert "has a Dice of 0.667" in text
    assert "Trained at the feet" not in text
    assert "No network was trained" not in markdown(full)


def test_missing_networks_are_named_at_the_top():
    text = markdown(results_of(**FULL), missing=["fold0/hier_freeze/seed2"])
    caution = "networks without results (1): fold0/hier\\_freeze/seed2."
    assert caution in text.split("##")[0]
    many = [f"run{number}" for number in range(9)]
    assert "(9): run0, run1, run2, run3, run4, run5 and 3 more." in markdown(
        results_of(**FULL), missing=many
    )
    # One seed against three: equal trainings lie apart in 2 of 4 orders.
    assert "1 in 2 times" in markdown(results_of(baseline=(1,), no_freezing=(3, 4, 5)))


def test_a_row_for_every_network():
    rows = list(csv.DictReader(io.StringIO(networks_csv(results_of(**FULL)))))
    assert len(rows) == 1 + 3 * 8
    (own,) = (row for row in rows if (row["protocol"], row["seed"]) == ("no_freezing", "1"))
    assert own["dice_mean"] == own["dice_all_slices_together"] == f"{14 / 17:.4f}"
    assert (rows[0]["protocol"], rows[0]["training_slices"]) == ("phantoms only", "0")

"""The transfer study's page: hand-worked figures, and what its sentences may and may not claim."""

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pytest

from liver_tf.labels import LIVER_ONLY
from liver_tf.measures.compare_with_truth import compare_with_truth
from liver_tf.results.stored_results import RunResults
from liver_tf.studies.transfer.transfer_plot import draw_transfer
from liver_tf.studies.transfer.transfer_report import networks_csv, report_text
from liver_tf.studies.transfer.transfer_results import (
    TransferFold,
    TransferStudy,
    surface_mm,
    volume_dice,
)
from liver_tf.studies.transfer.transfer_summary import (
    CLAIMS,
    NOT_SHOWN,
    by_chance,
    comparisons,
    summary,
)


def network(*overlaps, protocol="p", seed=0):
    """Liver of 10 x 10 pixels in every slice, of which so many rows are found."""
    results = []
    for place, rows in enumerate(overlaps):
        truth, predicted = np.zeros((2, 20, 20), np.uint8)
        truth[5:15, 5:15] = 1
        predicted[5 : 5 + rows, 5:15] = 1
        case = f"c-{place}"
        results.append(
            compare_with_truth(
                truth,
                predicted,
                LIVER_ONLY,
                patient=case,
                case=case,
                slice_index=0,
                spacing_mm=(1.0, 1.0),
            )
        )
    return RunResults(protocol, "0", seed, "test", "inner", LIVER_ONLY, {}, tuple(results))


def study(**seeds):
    """One end, 4 slices, two test slices; by protocol the rows found in both, seed by seed."""
    fold = TransferFold("head", 4, (0.0, 60.0), (72.0,), (96.0, 98.0), ("c-0", "c-1"), 12.0, 24.0)
    before = seeds.pop("before", None)
    runs = {
        ("head", 4, protocol): {
            seed: network(rows, rows, protocol=protocol, seed=seed)
            for seed, rows in enumerate(found)
        }
        for protocol, found in seeds.items()
    }
    return TransferStudy((fold,), runs, {} if before is None else {"head": network(before, before)})


FULL = {
    "baseline": (1, 2, 2),
    "baseline_long": (4, 5, 6),
    "no_freezing": (6, 7, 8),
    "freeze_encoder": (4, 5, 5),
    "no_freezing_5_cycles": (7, 7, 7),
    "hier_freeze": (8, 8, 9),
    "no_freezing_6_cycles": (7, 8, 8),
    "hier_unfreeze": (7, 8, 9),
    "before": 3,
}


def page(own, **changes):
    arguments = {
        "data": "A scan",
        "source": "From somewhere, under a licence.",
        "command": "python -m somewhere",
        "settings": ("--epochs=2",),
        "pictures": {"one.png": "A caption"},
    }
    return report_text(own, **{**arguments, **changes})


def test_measures_by_hand():
    # 10 x 10 against 5 x 10: 2 * 50 / 150; against nothing: 0.
    run = network(5, 0)
    assert [result.liver.dice for result in run.results] == pytest.approx([2 / 3, 0.0])
    # Together: 2 * 50 / (100 + 50 + 100 + 0).
    assert volume_dice(run) == pytest.approx(0.4)
    distance, without = surface_mm(run)
    assert without == 1
    assert 0 < distance < 5
    assert surface_mm(network(0, 0)) == (None, 2)


def test_a_difference_is_told_only_where_all_seeds_lie_apart():
    verdicts = {
        (claim.protocol, claim.reference): comparisons(study(**FULL), claim)[0].verdict
        for claim in CLAIMS
    }
    assert verdicts == {
        ("no_freezing", "baseline"): "higher",
        # 6 rows, the lowest of one, is the highest of the other.
        ("no_freezing", "baseline_long"): NOT_SHOWN,
        ("no_freezing", "phantoms only"): "higher",
        ("freeze_encoder", "no_freezing"): "lower",
        ("hier_freeze", "no_freezing_5_cycles"): "higher",
        ("hier_unfreeze", "no_freezing_6_cycles"): NOT_SHOWN,
    }
    holds, does_not = summary(study(**FULL))
    assert len(holds) == 3
    assert len(does_not) == 3
    assert sum("No difference shown: the seeds overlap" in line for line in does_not) == 2
    assert sum("the opposite was measured" in line for line in does_not) == 1
    # Dice of 7 of 10 rows is 14 / 17, of 2 rows 4 / 12, of 1 row 2 / 11.
    expected = np.mean([12 / 16, 14 / 17, 16 / 18]) - np.mean([2 / 11, 4 / 12, 4 / 12])
    assert f"less baseline: trained at the head, {expected:+.3f} with 4 slices." in holds[0]


def test_one_size_against_the_claim_keeps_it_out_of_what_holds():
    own = study(**FULL)
    more = replace(own.folds[0], count=8)
    runs = {**own.runs, **{(e, 8, p): found for (e, _, p), found in own.runs.items()}}
    runs["head", 8, "no_freezing"] = own.runs["head", 4, "baseline"]
    mixed = replace(own, folds=(*own.folds, more), runs=runs)
    holds, does_not = summary(mixed)
    assert not any(line.startswith("Pre-training on phantoms helped") for line in holds)
    (line,) = (line for line in does_not if line.startswith("Does pre-training on phantoms help"))
    assert "Not throughout: of 2 comparisons higher in 1, no difference shown in 1." in line


def test_what_was_not_measured_is_told_as_such():
    holds, does_not = summary(study(baseline=(1, 1), no_freezing=(2, 3)))
    assert len(holds) == 1
    assert sum(line.endswith("Not measured.") for line in does_not) == len(CLAIMS) - 1


def test_equal_protocols_are_told_apart_so_often():
    # Of the 20 ways to place 3 of 6 trainings 2 have all of one above all of the other.
    assert by_chance(3, 3) == "1 in 10"


def test_the_page_claims_nothing_of_patients_and_makes_no_test_of_slices():
    text = page(study(**FULL))
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
        "What cannot be known from this",
    ]
    assert "From somewhere, under a licence." in text
    assert "![A caption](one.png)" in text
    assert "happens to equal protocols 1 in 10 times; 5 such comparisons" in text
    assert "start from the same one, whatever their seed" in text


def test_tables_show_seeds_and_slices():
    text = page(study(**FULL))
    mean = np.mean([2 / 11, 4 / 12, 4 / 12])
    assert f"| baseline | {mean:.3f} (0.182 to 0.333) |" in text
    assert "| phantoms only (no slice) | 0.462 |" in text  # 6 / 13
    # Distances in mm as the folds have them.
    assert "| head, 4 slices | 0 to 60 | 1 at 72 to 72 | 2 at 96 to 98 | 12 | 24 |" in text


def test_the_other_end_is_told_of_too():
    own = study(**FULL)
    text = page(replace(own, phantom_only={**own.phantom_only, "feet": network(5, 5)}))
    # Dice of 5 of 10 rows is 10 / 15.
    assert "(to be trained at the feet) nothing was fine-tuned" in text
    assert "a Dice of 0.667 on those test slices" in text
    assert "Trained at the feet" not in text
    assert "nothing was fine-tuned" not in page(own)


def test_missing_networks_are_told_on_top():
    text = page(study(**FULL), lacking=["fold0/hier_freeze/seed2"])
    told = "**Not complete:** 1 networks are missing: fold0/hier_freeze/seed2."
    assert told in text.split("##")[0]
    many = [f"cell{number}" for number in range(9)]
    assert "9 networks are missing: cell0, cell1, cell2, cell3, cell4, cell5 and 3 more." in page(
        study(**FULL), lacking=many
    )
    # One seed against three: equal trainings lie apart in 2 of 4 orders.
    assert "1 in 2 times" in page(study(baseline=(1,), no_freezing=(3, 4, 5)))


def test_a_row_for_every_network():
    rows = list(csv.DictReader(io.StringIO(networks_csv(study(**FULL)))))
    assert len(rows) == 1 + 3 * 8
    (own,) = (row for row in rows if (row["protocol"], row["seed"]) == ("no_freezing", "1"))
    assert own["dice_mean"] == own["dice_all_slices_together"] == f"{14 / 17:.4f}"
    assert (rows[0]["protocol"], rows[0]["training_slices"]) == ("phantoms only", "0")


def test_the_plot_has_a_point_for_every_seed(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "liver_tf.report.plots.plot_style.save", lambda figure, path: drawn.append(figure)
    )
    draw_transfer(study(**FULL), tmp_path / "plot.png")
    (axis,) = drawn[0].axes
    points = [line for line in axis.get_lines() if line.get_linestyle() == "None"]
    assert sum(len(line.get_ydata()) for line in points) == 24
    assert {line.get_label() for line in points} == set(FULL) - {"before"}

"""The first sentence of a report states what the comparisons show, and no more."""

from dataclasses import replace

import pytest

from liver_tf.report.findings import compute_findings
from liver_tf.report.glossary import definition
from liver_tf.report.verdict import verdict
from liver_tf.results.run_results import LOOSE
from tests.report.test_summary import difference

FALSE_POSITIVES = "False-positive rate on healthy slices"


@pytest.fixture(scope="module")
def findings(cohort):
    names = {"baseline": 0.3, "up": 0.9, f"best, {LOOSE}": 0.95}
    return compute_findings({name: cohort(q) for name, q in names.items()}, "toys", samples=100)


def test_protocols_are_counted_or_named(findings):
    differences = (
        difference("up", 0.1, 0.3),
        difference("high", 0.2, 0.4),
        difference("top", 0.3, 0.5),
        difference("flat", -0.1, 0.3),
        replace(difference("down", -0.3, -0.1, measure="accuracy"), trainings=1),
        difference("flat", -0.1, 0.3, measure="healthy_false_positive_rate"),
        # Neither compared with the baseline nor validated on other patients than those of the test.
        difference("up", 0.5, 0.7, reference="no_freezing"),
        difference(f"best, {LOOSE}", 0.6, 0.8),
    )
    names = ("up", "high", "top", "flat", "down")
    measured = findings.measured | dict.fromkeys(names, findings.measured["up"])
    assert verdict(replace(findings, differences=differences, measured=measured)) == (
        "On toys, compared with baseline: Dice2 higher for 3 of 4 protocols (most for top, +0.40 "
        "[+0.30, +0.50]); Accuracy lower for down (-0.20 [-0.30, -0.10]; observed, one training); "
        f"no difference shown in {FALSE_POSITIVES}."
    )


def test_without_a_baseline_the_best_values_are_stated(findings):
    values = {name: measured["dice2"].value for name, measured in findings.measured.items()}
    text = verdict(replace(findings, differences=()))
    assert text.startswith(f"On toys: highest Dice2 {values['up']:.2f} [")
    assert f"; lowest {FALSE_POSITIVES} " in text
    loose = {name: figures for name, figures in findings.measured.items() if LOOSE in name}
    text = verdict(replace(findings, differences=(), measured=loose))
    assert text.startswith(f"On toys, {LOOSE} and therefore too good: Dice2 ")


@pytest.mark.parametrize(
    ("heading", "start"),
    [
        ("Accuracy among detected", "Accuracy over the slices with a detection"),
        ("Lesion Hausdorff distance (95 %), mm", "HD95"),
        ("p after Holm", "The p value after"),
        ("false-positive rate", "Proportion of healthy slices"),
        ("p", "Permutation test"),
        ("predicted", ""),
        ("accuracy_first", ""),
    ],
)
def test_a_heading_gets_the_longest_term(heading, start):
    assert definition(heading).startswith(start)
    assert bool(definition(heading)) is bool(start)

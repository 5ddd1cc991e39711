"""The first sentences of a report state what the comparisons show, and no more."""

from dataclasses import replace

import pytest

from liver_tf.measures.measure_registry import COMPARED
from liver_tf.report.findings import compute_findings
from liver_tf.report.glossary import definition
from liver_tf.report.verdict import verdict
from liver_tf.results.run_results import LOOSE
from liver_tf.statistics.bootstrap_intervals import Interval
from tests.report.test_summary import difference


@pytest.fixture(scope="module")
def findings(cohort):
    names = {"baseline": 0.3, "up": 0.9, f"best, {LOOSE}": 0.95}
    return compute_findings({name: cohort(q) for name, q in names.items()}, "toys", samples=100)


def test_measures_with_the_same_outcome_are_stated_together(findings):
    differences = (
        *(difference(name, 0.1, 0.3, measure=m) for m in ("dice1", "dice2") for name in ("a", "b")),
        difference("c", 0.3, 0.5, measure="dice1"),
        difference("c", 0.2, 0.4),
        difference("flat", -0.1, 0.3),
        difference("flat", -0.1, 0.3, measure="dice1"),
        replace(difference("flat", -0.3, -0.1, measure="accuracy"), trainings=1),
        difference("flat", -0.1, 0.3, measure="success"),
        difference("flat", -0.1, 0.3, measure="healthy_false_positive_rate"),
        # Neither compared with the baseline nor validated on other patients than those of the test.
        difference("a", 0.5, 0.7, reference="no_freezing"),
        difference(f"best, {LOOSE}", 0.6, 0.8),
    )
    measured = findings.measured | dict.fromkeys(("a", "b", "c", "flat"), findings.measured["up"])
    text = verdict(replace(findings, differences=differences, measured=measured))
    assert text == (
        "On toys, compared with baseline: Dice1 and Dice2 higher for 3 of 4 protocols (by up to "
        "0.40); Accuracy lower for flat (by 0.20; observed, one training). No difference shown in "
        "Success or the false-positive rate on healthy slices."
    )
    both = (difference("up", 0.1, 0.3), difference("down", -0.5, -0.1))
    both_measured = {**measured, "down": measured["a"]}
    assert verdict(replace(findings, differences=both, measured=both_measured)) == (
        "On toys, compared with baseline: Dice2 higher for up (by 0.20) and lower for down (by "
        "0.30)."
    )
    same = [difference("flat", -0.1, 0.3, measure=measure) for measure in COMPARED]
    assert verdict(replace(findings, differences=tuple(same), measured=measured)) == (
        "On toys, compared with baseline: no difference shown in Dice1, Dice2, Success, Accuracy "
        "or the false-positive rate on healthy slices."
    )


def test_without_a_baseline_the_best_protocols_are_stated(findings):
    def of(**values):
        return {measure: Interval(value, 0.0, 1.0, 100) for measure, value in values.items()}

    false_positives = "healthy_false_positive_rate"
    measured = {
        "a": of(dice1=0.6, dice2=0.5, success=0.9, accuracy=0.7, **{false_positives: 0.2}),
        "b": of(dice1=0.5, dice2=0.4, success=0.9, accuracy=0.8, **{false_positives: 0.1}),
        f"c, {LOOSE}": of(dice1=0.9, dice2=0.9, success=1.0, accuracy=1.0),
    }
    assert verdict(replace(findings, differences=(), measured=measured)) == (
        "On toys: Dice1 and Dice2 highest for a; Success equal for all protocols; Accuracy highest "
        "for b; the false-positive rate on healthy slices lowest for b. Without a baseline, no "
        "difference was tested."
    )
    alone = {"a": measured["a"]}
    assert verdict(replace(findings, differences=(), measured=alone)) == (
        "On toys: lesions are found in 90% of the slices with one (Success); their type is correct "
        "in 70% (Accuracy); Dice is 0.60 where they are found (Dice1); Dice is 0.50 with missed "
        "lesions as 0 (Dice2); 20% of the healthy slices have a false positive."
    )
    loose = {f"c, {LOOSE}": measured[f"c, {LOOSE}"]}
    text = verdict(replace(findings, differences=(), measured=loose))
    assert text.startswith(f"On toys, {LOOSE} and therefore too good: lesions are found in 100%")


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

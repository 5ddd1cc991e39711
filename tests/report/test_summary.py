"""The summary states what the figures show, and no more."""

from dataclasses import replace

import pytest

from liver_tf.report.findings import compute_findings
from liver_tf.report.summary import SHARED_CYCLES, summary
from liver_tf.statistics.bootstrap_intervals import Interval
from liver_tf.statistics.paired_difference import PairedDifference


def difference(protocol, low, high, *, reference="baseline", measure="dice2", p=0.01):
    interval = Interval((low + high) / 2, low, high, 100)
    return PairedDifference(measure, protocol, reference, interval, p, p, 10, 3, trainings=3)


@pytest.fixture(scope="module")
def findings(cohort):
    results = {name: cohort(q) for name, q in (("baseline", 0.3), ("hier_freeze", 0.9))}
    return compute_findings(results, "PHANTOM data", samples=200)


def lines(findings, *differences, **changes):
    return summary(replace(findings, differences=differences, **changes))


def test_one_line_per_measure(findings):
    reported = lines(
        findings,
        difference("up", 0.1, 0.3),
        difference("down", -0.3, -0.1),
        difference("wide", -0.1, 0.3),
        difference("doubtful", 0.1, 0.3, p=0.2),
        difference("wide", -0.1, 0.3, measure="accuracy"),
        difference("narrow", 0.0, 0.3, measure="accuracy"),
    )
    assert (
        "Dice2 against baseline: higher for up (+0.20 [+0.10, +0.30]); lower for down "
        "(-0.20 [-0.30, -0.10]); no difference shown for wide, doubtful." in reported
    )
    assert "Accuracy against baseline: no difference shown for any protocol." in reported
    few = replace(difference("few", 0.1, 0.3), trainings=2)
    assert (
        "Dice2 against baseline: higher for up (+0.20 [+0.10, +0.30]); higher (observed, two "
        "trainings) for few (+0.20 [+0.10, +0.30])."
        in lines(findings, difference("up", 0.1, 0.3), few)
    )


def test_the_effect_of_the_order_needs_the_control(findings):
    missing = [line for line in lines(findings) if line.startswith("hier_freeze")]
    assert missing == [
        "hier_freeze trains for more cycles than baseline. Its control of equal training length, "
        "no_freezing_5_cycles, was not evaluated, so the effect of the freezing order cannot be "
        "separated from that of longer training."
    ]
    against = {"reference": "no_freezing_5_cycles"}
    reported = lines(
        findings,
        difference("hier_freeze", 0.1, 0.3, **against),
        difference("hier_freeze", -0.1, 0.3, measure="accuracy", **against),
    )
    assert (
        "hier_freeze against no_freezing_5_cycles, its control of equal training length without "
        "freezing: "
        "higher in Dice2 (+0.20 [+0.10, +0.30]); no difference shown in Accuracy." in reported
    )
    assert SHARED_CYCLES not in reported
    other = {"reference": "no_freezing_6_cycles"}
    both = [difference("hier_freeze", 0.1, 0.3, **against)]
    both.append(difference("hier_unfreeze", 0.1, 0.3, **other))
    assert SHARED_CYCLES in lines(findings, *both)


def with_measure(findings, measure, *values):
    measured = {
        name: {**intervals, measure: Interval(value, None, None, 0)}
        for (name, intervals), value in zip(findings.measured.items(), values, strict=True)
    }
    return replace(findings, measured=measured)


@pytest.mark.parametrize(("values", "is_reported"), [((0.95, 0.99), True), ((0.94, 0.99), False)])
def test_a_ceiling_is_reported(findings, values, is_reported):
    reported = summary(with_measure(findings, "success", *values))
    sentence = (
        "Success is at least 0.95 for all protocols. At this ceiling, these data cannot "
        "distinguish the protocols."
    )
    assert [line for line in reported if line.startswith("Success is")] == [sentence] * is_reported


@pytest.mark.parametrize(
    ("rates", "ending"),
    [
        ((0.1, 0.49), "from 10% (baseline) to 49% (hier_freeze)."),
        (
            (0.5, 0.2),
            "Success is not informative for baseline at this false-positive rate: a model that "
            "marks everything also scores 1.0.",
        ),
        (
            (0.5, 1.0),
            "Success is not informative for any protocol at this false-positive rate: a model "
            "that marks everything also scores 1.0.",
        ),
    ],
)
def test_false_positives_are_reported(findings, rates, ending):
    reported = summary(with_measure(findings, "healthy_false_positive_rate", *rates))
    (line,) = (
        line for line in reported if line.startswith("False-positive rate on healthy slices: ")
    )
    assert line.endswith(ending)


def test_data_and_seeds_are_reported(findings, cohort):
    reported = summary(findings)
    counts = findings.diagnoses["baseline"]
    assert sum(counts.values()) == 60
    kinds = ", ".join(f"{n} {name}" for name, n in counts.items())
    assert reported[0] == (
        f"Evaluated on PHANTOM data: 2 protocols, 2 networks, 60 slices of 20 patients ({kinds})."
    )
    assert reported[-1].startswith("One seed: ")
    twice = [replace(r, seed=seed) for seed in (0, 1) for r in cohort(0.5)]
    two = summary(compute_findings({"mine": twice}, "d", samples=50))
    assert two[-1].startswith("2 seeds, averaged within each slice")
    assert "a 95 % interval covers the truth in about 90 % of cases" in two[-1]
    fewer = compute_findings({"mine": twice, "few": cohort(0.5, patients=5)}, "d", samples=50)
    reported = summary(fewer)
    assert reported[0].endswith(
        "up to 60 slices of 20 patients; not every protocol was evaluated on all of them."
    )
    assert reported[1] == "No protocol named baseline was evaluated, so none is compared with it."
    # One seed does not cover another training; a protocol with more seeds must not hide that.
    assert (
        "For protocols with one seed, the intervals cover new patients for these trained"
        in reported[-1]
    )
    seeds = [{0: {}, 1: {}, 2: {}}, {0: {}, 1: {}, 2: {}, 3: {}}]
    more = replace(findings, by_seed=dict(zip(findings.by_seed, seeds, strict=True)))
    assert summary(more)[-1] == (
        "3 to 4 seeds, depending on protocol, averaged within each slice: the intervals cover new "
        "patients and, as far as so few networks allow, new trainings. The p values concern "
        "patients only."
    )


def test_untested_is_not_called_no_difference(findings):
    nothing = Interval(None, None, None, 0)
    undefined = [PairedDifference("dice1", p, "baseline", nothing, None, None, 10, 1) for p in "ab"]
    apart = PairedDifference("dice2", "c", "baseline", nothing, None, None, 0, 0)
    reported = lines(findings, *undefined, apart, difference("d", -0.1, 0.3))
    assert "Dice1 against baseline: undefined on these data for all protocols." in reported
    assert (
        "Dice2 against baseline: not compared (no fold and seed in common) for c; no difference "
        "shown for d." in reported
    )
    control = {"protocol": "hier_freeze", "reference": "no_freezing_5_cycles"}
    reported = lines(
        findings,
        replace(undefined[0], **control),
        replace(difference("hier_freeze", -0.1, 0.3), **control),
    )
    assert (
        "hier_freeze against no_freezing_5_cycles, its control of equal training length without "
        "freezing: "
        "undefined on these data: Dice1; no difference shown in Dice2." in reported
    )


def test_ties_are_all_listed(findings):
    third = {**findings.measured, "mine": findings.measured["baseline"]}
    three = replace(findings, measured=third)
    (line,) = (
        line
        for line in summary(with_measure(three, "accuracy", 0.27, 0.1, 0.09 * 3))
        if line.startswith("Highest")
    )
    assert "; Accuracy 0.27 (baseline and mine)." in line
    (line,) = (
        line
        for line in summary(with_measure(three, "success", 0.0, 0.0, 0.0))
        if line.startswith("Highest")
    )
    assert "; Success 0.00 (all protocols);" in line
    rate = "healthy_false_positive_rate"
    assert "False-positive rate on healthy slices: 0% for all protocols." in summary(
        with_measure(three, rate, 0.0, 0.0, 0.0)
    )
    assert (
        "False-positive rate on healthy slices: from 0% (baseline, hier_freeze) to 20% (mine)."
        in summary(with_measure(three, rate, 0.0, 0.0, 0.2))
    )

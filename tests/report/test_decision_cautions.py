"""Only differences that raw argmax does not confirm are attributed to the choice of settings."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from liver_tf.report.decision_cautions import decision_cautions
from liver_tf.statistics.bootstrap_intervals import Interval
from liver_tf.statistics.paired_difference import PairedDifference

SHOWN = PairedDifference(
    "success",
    "hier_freeze",
    "no_freezing_5_cycles",
    Interval(0.08, 0.03, 0.13, 1000, 40),
    patients=40,
    networks=9,
    p=0.001,
    p_holm=0.01,
    trainings=3,
)


def findings(difference, argmax, settings):
    """``argmax``: Success of both protocols; ``settings``: of both in fold 0, seed 0."""
    names = difference.protocol, difference.reference
    runs = tuple(
        SimpleNamespace(
            title=name,
            protocol=name,
            fold="0",
            seed=0,
            results=SimpleNamespace(made_of={"postprocessing": text}),
        )
        for name, text in zip(names, settings, strict=True)
    )
    values = {n: {"success": Interval(v, 0, 1, 9)} for n, v in zip(names, argmax, strict=True)}
    measured = {name: {} for name in names}
    return SimpleNamespace(differences=(difference,), argmax=values, runs=runs, measured=measured)


OTHER = ("lesions below 50 mm2 dropped", "lesions below 200 mm2 dropped")


@pytest.mark.parametrize(
    ("argmax", "settings", "raw"),
    [
        ((0.75, 0.70), OTHER, None),
        ((0.71, 0.70), OTHER, "+0.08; +0.01"),
        ((0.65, 0.70), OTHER, "+0.08; -0.05"),
        ((None, 0.70), OTHER, "+0.08; unknown"),
        ((0.71, 0.70), ("none", "none"), None),
    ],
)
def test_a_difference_that_argmax_does_not_show_is_reported(argmax, settings, raw):
    cautions = decision_cautions(findings(SHOWN, argmax, settings))
    assert len(cautions) == (raw is not None)
    if raw:
        assert f"Success, hier_freeze - no_freezing_5_cycles ({raw})" in cautions[0]


def test_a_difference_that_is_not_stated_needs_no_warning():
    unclear = replace(SHOWN, interval=Interval(0.08, -0.03, 0.2, 1000, 40))
    assert decision_cautions(findings(unclear, (0.71, 0.70), OTHER)) == ()

"""No picture of a report is larger than its limit, however many arms a study has."""

import numpy as np
import pytest
from PIL import Image

from liver_tf.labels import LESION_TYPES
from liver_tf.report.overlays.draw_overlays import Panel, draw_sheet
from liver_tf.report.plots import plot_style
from liver_tf.report.plots.forest_plot import draw_brief_forest, draw_forest
from liver_tf.report.plots.froc_plot import draw_froc
from liver_tf.statistics.bootstrap_intervals import Interval
from liver_tf.statistics.paired_difference import PairedDifference
from tests.builders.finished_cycles import colour_columns

ARMS = 30
MEASURES = ("dice1", "dice2", "success", "accuracy", "healthy_false_positive_rate")


def differences():
    return [
        PairedDifference(
            *(measure, f"a_protocol_with_a_long_name_{arm}", "baseline"),
            *(Interval(0.01 * (arm % 7) + 0.01, 0.01, 0.09 + 0.001 * arm, 100), 0.01, 0.04, 40, 9),
        )
        for measure in MEASURES
        for arm in range(ARMS)
    ]


def curves(random):
    rates = np.geomspace(0.01, 0.5, 20)
    return [
        (rate, Interval(v, v - 0.1, v + 0.1, 100)) for rate, v in zip(rates, random, strict=True)
    ]


def noisy_panels():
    """Slices whose noise no PNG can compress."""
    random = np.random.default_rng(0)
    labels = np.zeros((512, 512), np.uint8)
    labels[100:300, 100:300], labels[150:200, 150:220] = 1, 2
    return [
        Panel(random.integers(-160, 240, (512, 512)), labels, labels, LESION_TYPES, "x", (1.0, 1.0))
        for _ in range(3)
    ]


@pytest.mark.long
def test_pictures_of_many_arms_are_small(tmp_path):
    random = np.random.default_rng(1)
    froc = {f"arm {n}": [curves(random.random(20))] for n in range(ARMS)}
    drawn = [
        draw_forest(differences(), tmp_path / "forest.png"),
        draw_brief_forest(differences(), tmp_path / "brief.png"),
        draw_froc(froc, tmp_path / "froc.png"),
        draw_sheet(noisy_panels(), tmp_path / "sheet.png"),
    ]
    for path in drawn:
        assert path.stat().st_size <= 500_000, path.name
        with Image.open(path) as image:
            assert image.width > 500, path.name


def test_a_reduced_picture_is_that_of_the_figure(tmp_path, monkeypatch):
    """Colours and proportions stay; a small picture is written as it is."""
    whole = draw_forest(differences()[:8], tmp_path / "whole.png")
    monkeypatch.setattr(plot_style, "MOST_BYTES", whole.stat().st_size // 3)
    small = draw_forest(differences()[:8], tmp_path / "small.png")
    again = draw_forest(differences()[:8], tmp_path / "again.png")
    assert small.stat().st_size <= whole.stat().st_size // 3
    assert small.read_bytes() == again.read_bytes()
    with Image.open(whole) as first, Image.open(small) as second:
        assert second.width < first.width
        assert second.width / second.height == pytest.approx(first.width / first.height, rel=0.01)
    assert colour_columns(small, (0x00, 0x72, 0xB2))[1].any()

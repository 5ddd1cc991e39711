"""The rule of a liver network: threshold, views, storage; equal in every executor."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.inference.cascade import Cascade
from liver_tf.inference.liver_finder import LiverFinder
from liver_tf.inference.scan_graph import scan_by_graph
from liver_tf.inference.trained_network import TrainedNetwork
from liver_tf.model.description import load_description
from liver_tf.model.liver_rule import WHOLE_SLICE, LiverRule
from liver_tf.refusals import Refusal

RULE = LiverRule(0.3, (0.75, 1.0, 1.25))


@pytest.fixture
def liver(make_network):
    network = make_network("liver", favoured=[0.0, -0.2])

    def finder(rule):
        description = replace(network.description, liver_rule=rule)
        return LiverFinder(TrainedNetwork(network.model, description))

    return finder


@pytest.fixture
def scan():
    return np.random.default_rng(3).normal(80, 60, (3, 48, 40)).astype(np.float32)


def test_a_zoomed_view_is_the_answer_to_the_zoomed_slice(liver, scan):
    """Twice the slice is the slice with a border of air, of whose answer the middle is used."""
    whole = scan[:, :32, :32]
    wide = np.pad(whole, [(0, 0), (16, 16), (16, 16)], constant_values=-1000)
    answer = liver(WHOLE_SLICE).probability_on_grid(wide)[..., None]
    expected = tf.image.resize(answer, (64, 64))[:, 16:48, 16:48, 0]
    found = liver(LiverRule(zooms=(2.0,))).probability_on_grid(whole)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_mean_is_over_the_views_that_hold_the_pixel(liver, scan):
    each = [liver(LiverRule(zooms=(z, 1.0))) for z in (0.5, 1.0, 1.5)]
    inner, whole, outer = (finder.probability_on_grid(scan).numpy() for finder in each)
    alone = liver(WHOLE_SLICE).probability_on_grid(scan).numpy()
    np.testing.assert_allclose(whole, alone, atol=1e-6)
    edge = np.ones((32, 32), bool)
    edge[8:24, 8:24] = False  # outside the view of half the side
    np.testing.assert_allclose(inner[:, edge], alone[:, edge], atol=1e-6)
    assert np.abs(inner - alone)[:, ~edge].max() > 1e-3
    assert np.abs(outer - alone)[:, edge].max() > 1e-3


def test_the_threshold_decides(liver, scan):
    low, high = (liver(LiverRule(p)).masks_on_grid(scan) for p in (0.3, 0.44))
    probability = liver(WHOLE_SLICE).probability_on_grid(scan).numpy()
    np.testing.assert_array_equal(low, probability > 0.3)
    assert 0 < high.sum() < low.sum()


def test_graphs_of_scans_and_slices_use_the_rule(liver, make_network, scan):
    spacing = (5.0, 1.0, 1.0)
    cascade = Cascade(liver(RULE), make_network("lesion"))
    default = Cascade(liver(WHOLE_SLICE), make_network("lesion"))
    expected, usual = (each.predict(scan, spacing) for each in (cascade, default))
    assert (expected.liver != usual.liver).any()
    answer = scan_by_graph(cascade, tf.constant(scan), tf.constant(spacing))
    np.testing.assert_array_equal(answer["label_map"], expected.labels)
    single = cascade.predict(scan[:1], spacing[1:])
    of_slices = cascade.undecided(tf.constant(scan[:1]), tf.constant([spacing[1:]]))
    np.testing.assert_array_equal(of_slices["liver"], single.liver)
    assert cascade.facts()["liver_rule"] == {"probability": 0.3, "zooms": (0.75, 1.0, 1.25)}
    assert "liver_rule" not in default.facts()


def test_it_is_stored_with_the_network(liver, tmp_path):
    description = liver(RULE).network.description
    description.save(tmp_path)
    (tmp_path / "weights.npz").touch()
    assert load_description(tmp_path).liver_rule == RULE
    text = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(text.replace("0.75", "7.5"))
    with pytest.raises(Refusal) as refused:
        load_description(tmp_path)
    assert refused.value.code == "model-damaged"


@pytest.mark.parametrize(
    ("probability", "zooms"),
    [(0.0, (1.0,)), (float("nan"), (1.0,)), (0.5, ()), (0.5, (0.9,)), (0.5, (1.0, 2.5))],
)
def test_a_rule_without_sense_is_refused(probability, zooms):
    with pytest.raises(ValueError, match="expected"):
        LiverRule(probability, zooms)

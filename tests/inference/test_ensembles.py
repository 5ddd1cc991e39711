"""Ensembles and test-time flips: averages worked by hand, and networks that do not match."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.inference import postprocessing
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.lesion_properties import find_lesions
from liver_tf.inference.liver_finder import LiverFinder
from liver_tf.inference.postprocessing import NOTHING, PostProcessing
from liver_tf.inference.trained_network import TrainedNetwork
from liver_tf.labels import LESION_TYPES, LITS
from liver_tf.refusals import Refusal
from tests.builders import tiny_records

#: Logits whose softmax is easy: ln 1 to ln 6.
LN = np.log(np.arange(1, 7))


def constant_network(make_network, logits):
    """A lesion network with the same answer for every pixel."""
    network = make_network("lesion")
    head = network.model.get_layer("head_logits")
    head.set_weights([np.zeros_like(head.get_weights()[0]), np.float32(logits)])
    return TrainedNetwork(network.model, network.description)


@pytest.fixture(scope="module")
def everywhere(make_network):
    return LiverFinder(make_network("liver", favoured=[-1e4, 1e4]))


def test_probabilities_are_averaged_and_disagreement_is_reported(everywhere, make_network):
    # Of 10: 1 background, 1 liver, 4 cyst, 2 hemangioma, 2 metastasis; of 10: 1, 1, 1, 1, 6.
    first = constant_network(make_network, [LN[0], LN[0], LN[3], LN[1], LN[1]])
    second = constant_network(make_network, [LN[0], LN[0], LN[0], LN[0], LN[5]])
    cascade = Cascade(everywhere, [first, second])
    hu = np.zeros((2, 20, 20), np.int16)
    prediction = cascade.predict(hu, (1.0, 1.0))
    # Means: cyst .25, hemangioma .15, metastasis .4.
    assert (prediction.labels == LESION_TYPES.index("metastasis")).all()
    assert prediction.probabilities.shape == (800, 2, 3)
    assert prediction.probabilities.dtype == np.float16
    np.testing.assert_allclose(
        prediction.probabilities[0], [[0.4, 0.2, 0.2], [0.1, 0.1, 0.6]], 1e-3
    )
    (lesion,) = find_lesions(
        prediction.labels, hu, None, LESION_TYPES, probabilities=prediction.probabilities
    )
    assert lesion.type == "metastasis"
    np.testing.assert_allclose(
        list(lesion.type_probabilities.values()), [0.25 / 0.8, 0.15 / 0.8, 0.4 / 0.8], atol=1e-3
    )
    assert lesion.disagreeing_models == 0.5
    np.testing.assert_allclose(
        list(lesion.type_probability_sd.values()),
        [np.std(pair, ddof=1) / 0.8 for pair in ((0.4, 0.1), (0.2, 0.1), (0.2, 0.6))],
        atol=1e-3,
    )
    alone = Cascade(everywhere, first).predict(hu, (1.0, 1.0))
    assert (alone.labels == LESION_TYPES.index("cyst")).all()


def test_an_ensemble_of_two_equal_networks_equals_one(make_network):
    liver, lesion = LiverFinder(make_network("liver")), make_network("lesion")
    generator = np.random.default_rng(0)
    hu = np.stack([tiny_records.draw_slice(generator, 48, 40, kind)[0] for kind in (2, 3, 4)])
    once = Cascade(liver, lesion).predict(hu, (0.8, 0.8))
    twice = Cascade(liver, [lesion, lesion]).predict(hu, (0.8, 0.8))
    np.testing.assert_array_equal(once.labels, twice.labels)
    assert (once.labels > 1).any()
    np.testing.assert_array_equal(once.probabilities[:, 0], twice.probabilities[:, 1])


@pytest.mark.parametrize("kind", ["liver", "lesion"])
def test_flips_are_undone_and_averaged(make_network, kind):
    plain = make_network(kind)
    both = TrainedNetwork(plain.model, plain.description, flips=True)
    hu = tf.random.stateless_normal([2, 40, 32], [0, 1]) * 100
    box = tf.constant([[0, 0, 32], [4, -2, 36]])
    mirrored_box = tf.constant([[0, 0, 32], [4, -2, 36]])
    averaged = both.probabilities_on_grid(hu, box).numpy()
    plain_result = plain.probabilities_on_grid(hu, box).numpy()
    other = plain.probabilities_on_grid(tf.reverse(hu, [2]), mirrored_box).numpy()[:, :, ::-1]
    np.testing.assert_allclose(averaged, (plain_result + other) / 2, atol=1e-5)
    assert np.abs(averaged - plain_result).max() > 1e-3
    # The answer to a mirror image is the mirror image of the answer.
    of_mirror = both.probabilities_on_grid(tf.reverse(hu, [2]), mirrored_box).numpy()
    np.testing.assert_allclose(of_mirror[:, :, ::-1], averaged, atol=1e-5)


def test_networks_that_differ_are_refused(everywhere, make_network):
    lesion = make_network("lesion")
    for changes, what in (
        ({"window": (-100, 240)}, "window"),
        ({"label_set": LITS}, "label set"),
        ({"roi": {"rule": {"margin_mm": 7.0}}}, "ROI rule"),
    ):
        other = TrainedNetwork(lesion.model, dataclasses.replace(lesion.description, **changes))
        with pytest.raises(ValueError, match=f"networks differ in {what}"):
            Cascade(everywhere, [lesion, other])
    with pytest.raises(ValueError, match="expected at least one lesion network"):
        Cascade(everywhere, [])


@pytest.fixture(scope="module")
def runs(save_runs, tmp_path_factory):
    """Folders of a liver run and of two lesion runs."""
    return save_runs(tmp_path_factory.mktemp("runs"))


def test_runs_are_loaded_with_their_post_processing(runs, make_network):
    how = PostProcessing(least_area_mm2=20.0)
    postprocessing.save(runs / "one", how, {})
    try:
        both = Cascade.of_runs(runs / "liver", [runs / "one", runs / "two"], flips=True)
        assert [network.flips for network in both.lesion_networks] == [True, True]
        assert both.liver.network.flips
        assert both.how == NOTHING  # each has one vote: the simplest
        assert Cascade.of_runs(runs / "liver", runs / "one").how == how
        assert Cascade.of_runs(runs / "liver", runs / "one", use_chosen=False).how == NOTHING
    finally:
        (runs / "one" / "postprocessing.json").unlink()
    hu = np.zeros((1, 32, 32), np.int16)
    predicted = Cascade.of_runs(runs / "liver", [runs / "one", runs / "two"]).predict(hu, None)
    by_hand = Cascade(
        LiverFinder(make_network("liver")), [make_network("lesion"), make_network("lesion", seed=2)]
    ).predict(hu, None)
    np.testing.assert_array_equal(predicted.labels, by_hand.labels)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"window": (-100, 240)}, "window-differs"),
        ({"label_set": LITS}, "label-set-differs"),
        ({"roi": {"rule": {"margin_mm": 7.0}}}, "roi-rule-differs"),
    ],
)
def test_runs_that_differ_are_refused(runs, make_network, tmp_path, changes, code):
    dataclasses.replace(make_network("lesion").description, **changes).save(tmp_path / "other")
    (tmp_path / "other" / "weights.npz").write_bytes((runs / "one" / "weights.npz").read_bytes())
    with pytest.raises(Refusal, match=rf"\[{code}\] expected the"):
        Cascade.of_runs(runs / "liver", [runs / "one", tmp_path / "other"])


def test_a_copy_of_a_run_is_refused(runs, tmp_path):
    shutil.copytree(runs / "one", tmp_path / "copy")
    with pytest.raises(Refusal, match=r"\[ensemble-run-twice\].*the weights of run 1 "):
        Cascade.of_runs(runs / "liver", [runs / "one", runs / "two", tmp_path / "copy"])

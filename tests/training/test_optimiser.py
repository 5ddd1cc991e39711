"""The fused Adam equals the Adam of Keras, and a step equals one with plain Keras layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.peer_unet import keras_unet
from liver_tf.model import unet
from liver_tf.model.architecture import Architecture
from liver_tf.model.block_weights import block_hashes
from liver_tf.model.blocks import BLOCKS
from liver_tf.model.freezing import freeze
from liver_tf.training.optimiser import FusedAdam, make_optimiser, set_block_decay
from liver_tf.training.task import Task
from liver_tf.training.training_step import training_step

SIDE, FILTERS, CLASSES = 64, 8, 3
ARCHITECTURE = Architecture(SIDE, FILTERS, CLASSES)
TASK = Task(0.0, 1.0, (0.5, 1.0, 4.0), (-160, 240))


def make_batch(number):
    """Discs within discs: learnable, so that gradients are not only noise."""
    generator = np.random.default_rng(number)
    labels = np.zeros((4, SIDE, SIDE), np.uint8)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for label_map in labels:
        for label, radius in ((1, 0.4), (2, 0.15)):
            row, column = generator.uniform(0.35, 0.65, 2) * SIDE
            label_map[(rows - row) ** 2 + (columns - column) ** 2 < (radius * SIDE) ** 2] = label
    return (labels + generator.normal(0, 0.3, labels.shape)).astype(np.float32), labels


def update_of(optimiser, variable):
    return lambda gradient: optimiser.apply([gradient], [variable])


@pytest.mark.parametrize("compiled", [False, True])
def test_updates_equal_those_of_keras(compiled):
    """Equal gradients give equal weights and moments, in variables of the same shape."""
    start = np.random.default_rng(0).normal(0, 1, (7, 5)).astype(np.float32)
    variables, optimisers = [], [FusedAdam(1e-2), keras.optimizers.Adam(1e-2)]
    for optimiser in optimisers:
        variable = keras.Variable(start, name="kernel")
        optimiser.build([variable])
        apply = update_of(optimiser, variable)
        apply = tf.function(apply, autograph=False) if compiled else apply
        gradients = np.random.default_rng(1)
        for number in range(20):
            optimiser.learning_rate.assign(1e-2 / (1 + number))
            apply(tf.constant(gradients.normal(0, 1, start.shape), tf.float32))
        variables.append(variable)
    assert np.abs(variables[0] - start).max() > 1e-2
    np.testing.assert_allclose(variables[0], variables[1], rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(*(optimiser.variables for optimiser in optimisers), strict=True):
        assert (ours.name, ours.shape, ours.dtype) == (theirs.name, theirs.shape, theirs.dtype)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_each_block_has_its_share_of_the_learning_rate():
    """A step of Adam from zero moments moves a weight by the rate times the gradient's sign."""
    model = unet.build(Architecture(16, 1, CLASSES))
    variables = model.trainable_variables
    before = [variable.numpy() for variable in variables]
    optimiser = make_optimiser(learning_rate=1e-2)
    set_block_decay(optimiser, 0.5)
    optimiser.build(variables)
    optimiser.apply([tf.ones_like(variable) for variable in variables], variables)
    rates = {"head": 1e-2, "dec1": 5e-3, "dec4": 6.25e-4, "enc5": 3.125e-4, "enc1": 1e-2 / 512}
    found = {}
    for variable, start in zip(variables, before, strict=True):
        moved = start - variable.numpy()
        found.setdefault(variable.path.split("_")[0], []).append(moved.ravel())
    assert len(found) == 10
    for block, rate in rates.items():
        np.testing.assert_allclose(np.concatenate(found[block]), rate, rtol=0.01, atol=2e-7)


def plain_steps(optimiser, start, fixed, dtype="float32"):
    """Weights of plain Keras layers after 20 steps of ``train_on_batch``."""
    policy = keras.config.dtype_policy()
    try:
        model = keras_unet(SIDE, FILTERS, CLASSES, dtype)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype=dtype)
    finally:
        keras.config.set_dtype_policy(policy)
    model.set_weights(start)
    named = unet.build(ARCHITECTURE)
    freeze(named, fixed)
    layers = [[layer for layer in net.layers if layer.weights] for net in (named, model)]
    for named_layer, plain_layer in zip(*layers, strict=True):
        plain_layer.trainable = named_layer.trainable
    model.compile(optimiser, loss)
    for number in range(20):
        images, labels = make_batch(number)
        weights = np.array(TASK.class_weights)[labels].astype(dtype)
        model.train_on_batch(images[..., None].astype(dtype), labels, sample_weight=weights)
    return model.get_weights()


def our_steps(optimiser, model, fixed=()):
    freeze(model, fixed)
    step = training_step(model, optimiser, TASK)
    for number in range(20):
        images, labels = make_batch(number)
        step(tf.constant(images), tf.constant(labels), {})
    return model.get_weights()


def distance(weights, reference):
    """Relative distance over all weights."""
    difference = np.hypot.reduce(
        [np.linalg.norm(a - b) for a, b in zip(weights, reference, strict=True)]
    )
    return difference / np.hypot.reduce([np.linalg.norm(array) for array in reference])


def gradient_descent():
    return keras.optimizers.SGD(1e-3)


SOME = ("enc1", "enc2", "dec4")


@pytest.mark.parametrize(
    ("optimiser", "fixed"),
    [
        pytest.param(make_optimiser, SOME, id="adam-some", marks=pytest.mark.long),
        pytest.param(make_optimiser, (), id="adam-none", marks=pytest.mark.long),
        pytest.param(gradient_descent, SOME, id="descent-some", marks=pytest.mark.long),
        pytest.param(gradient_descent, (), id="descent-none", marks=pytest.mark.long),
    ],
)
def test_twenty_steps_are_as_accurate_as_those_of_plain_keras(optimiser, fixed):
    """Rounding errors of a gradient grow: Adam and batch normalisation divide by small numbers.

    Two correct implementations in single precision therefore diverge. Each is compared with the
    result in double precision instead.
    """
    model = unet.build(ARCHITECTURE, seed=1)
    start, before = model.get_weights(), block_hashes(model)
    plain = keras.optimizers.Adam(1e-4) if "Adam" in type(optimiser()).__name__ else optimiser()
    plain_float64 = type(plain).from_config(plain.get_config())
    ours = our_steps(optimiser(), model, fixed)
    theirs = plain_steps(plain, start, fixed)
    exact = plain_steps(plain_float64, start, fixed, "float64")
    assert exact[0].dtype == np.float64
    our_error, keras_error = distance(ours, exact), distance(theirs, exact)
    # By chance one error can be several times as large as the other.
    assert our_error < 5 * keras_error
    assert our_error < 0.05 * distance(exact, start)
    after = block_hashes(model)
    assert [block for block in BLOCKS if after[block] == before[block]] == list(fixed)


def test_weights_can_be_exchanged_with_plain_keras():
    ours, theirs = unet.build(ARCHITECTURE, seed=1), keras_unet(SIDE, FILTERS, CLASSES)
    images = make_batch(0)[0][..., None]
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(ours(images), theirs(images), rtol=1e-4, atol=1e-5)
    other = unet.build(ARCHITECTURE, seed=2)
    other.set_weights(theirs.get_weights())
    np.testing.assert_array_equal(ours(images), other(images))

"""Augmentation gives the same pixels without XLA, only more slowly."""

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.pipeline.augmentation import xla
from tests.builders.augment_cases import EVERYTHING, apply, draw_batch, make_slices


def test_plain_tensorflow_gives_the_same_pixels(monkeypatch):
    images, labels = make_slices(3)
    drawn = draw_batch(EVERYTHING, range(3))
    assert xla.available()
    fast = apply(images, labels, drawn)
    monkeypatch.setattr(xla, "available", lambda: False)
    plain = apply(images, labels, drawn)
    np.testing.assert_allclose(fast[0], plain[0], atol=0.01)
    np.testing.assert_array_equal(fast[1], plain[1])
    assert fast[0].tobytes() != images.tobytes()


def test_a_compiler_that_fails_is_not_used(monkeypatch):
    def no_compiler(function, *, jit_compile=False, **more):
        def fail(*arguments):
            raise tf.errors.UnimplementedError(None, None, "no compiler for this device")

        return fail if jit_compile else tf_function(function, **more)

    tf_function = tf.function
    xla.available.cache_clear()
    monkeypatch.setattr(tf, "function", no_compiler)
    try:
        assert not xla.available()
        assert int(xla.compiled(lambda number: number + 1)(tf.constant(1))) == 2
    finally:
        xla.available.cache_clear()


@pytest.mark.parametrize("traced", [False, True])
def test_a_compiled_function_runs_no_python_after_tracing(traced):
    """The function is traced once per shape."""
    runs = []

    @xla.compiled
    def double(number):
        runs.append(1)
        return 2 * number

    call = tf.function(double) if traced else double
    for _ in range(3):
        np.testing.assert_array_equal(call(tf.constant([1.0, 2.0])), [2, 4])
    assert len(runs) == 1

"""The paper's loss and the soft measures that are cheap enough for every step."""

from __future__ import annotations

import tensorflow as tf


@tf.custom_gradient
def weighted_cross_entropy(
    logits: tf.Tensor, labels: tf.Tensor, class_weights: tf.Tensor
) -> tf.Tensor:
    """Cross-entropy per pixel times the weight of its true class, averaged over pixels.

    Args:
      logits: float32 [batch, rows, columns, classes]. labels: integer [batch, rows, columns].
      class_weights: float32 [classes], of ``records.statistics.class_weights``: their mean over
        the training pixels is 1, so the loss has the scale of the unweighted one.

    Returns:
      float32 scalar. Only ``logits`` have a gradient, and no second one.
    """
    loss, gradient = _loss_and_gradient(logits, labels, class_weights)
    return loss, lambda upstream: (upstream * gradient, None, None)


# One compiled loop: ten operations one by one, each through memory, took more than twice as long.
@tf.function(jit_compile=True)
def _loss_and_gradient(logits, labels, class_weights):
    wanted = tf.gather(tf.linalg.diag(class_weights), tf.cast(labels, tf.int32))
    log_probability = tf.nn.log_softmax(logits)
    pixels = tf.cast(tf.size(labels), tf.float32)
    weight = tf.reduce_sum(wanted, axis=-1, keepdims=True)
    gradient = (tf.exp(log_probability) * weight - wanted) / pixels
    return -tf.reduce_sum(wanted * log_probability) / pixels, gradient


def class_overlap(logits: tf.Tensor, labels: tf.Tensor, classes: int) -> tf.Tensor:
    """Pixel counts of a batch for Dice: float32 [3, classes + 1].

    Rows: intersection, predicted, true. The last column is lesion against the rest (label 2 and
    above), which the classes' columns do not tell.
    """
    predicted = tf.argmax(logits, axis=-1, output_type=tf.int32)
    labels = tf.cast(labels, tf.int32)
    hit = tf.cast(predicted == labels, tf.float32)
    true = _counts(labels, None, classes)
    guess = _counts(predicted, None, classes)
    both = _counts(labels, hit, classes)
    lesion_true = tf.cast(labels >= 2, tf.float32)
    lesion_guess = tf.cast(predicted >= 2, tf.float32)
    lesion = tf.stack(
        [
            tf.reduce_sum(lesion_true * lesion_guess),
            tf.reduce_sum(lesion_guess),
            tf.reduce_sum(lesion_true),
        ]
    )
    return tf.concat([tf.stack([both, guess, true]), lesion[:, None]], axis=1)


def _counts(labels: tf.Tensor, weights: tf.Tensor | None, classes: int) -> tf.Tensor:
    flat = tf.reshape(labels, [-1])
    weights = tf.ones_like(flat, tf.float32) if weights is None else tf.reshape(weights, [-1])
    return tf.math.unsorted_segment_sum(weights, flat, classes)

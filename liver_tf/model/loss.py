"""The paper's loss and the soft measures that are cheap enough for every step."""

from __future__ import annotations

import tensorflow as tf


def weighted_cross_entropy(
    logits: tf.Tensor, labels: tf.Tensor, class_weights: tf.Tensor
) -> tf.Tensor:
    """Cross-entropy per pixel times the weight of its true class, averaged over pixels.

    Args:
      logits: float32 [batch, rows, columns, classes]. labels: integer [batch, rows, columns].
      class_weights: float32 [classes], of ``records.statistics.class_weights``: their mean over
        the training pixels is 1, so the loss has the scale of the unweighted one.

    Returns:
      float32 scalar.
    """
    labels = tf.cast(labels, tf.int32)
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    return tf.reduce_mean(entropy * tf.gather(class_weights, labels))


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

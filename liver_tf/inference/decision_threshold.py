"""From class probabilities to labels: the decision threshold, and filling of holes."""

import tensorflow as tf

from liver_tf.inference.graph_components_2d import fill_holes
from liver_tf.inference.postprocessing import PostProcessing
from liver_tf.labels import LIVER


def lesion_probability(probabilities: tf.Tensor) -> tf.Tensor:
    """Probability of a lesion of any type, [...], of class probabilities [..., classes]."""
    return tf.reduce_sum(probabilities[..., LIVER + 1 :], axis=-1)


def decide(
    probabilities: tf.Tensor,
    inside: tf.Tensor | None,
    how: PostProcessing,
    *,
    outlined: bool = False,
    liver: tf.Tensor | None = None,
) -> tf.Tensor:
    """The labels of pixels, int32 [batch, rows, columns], before small lesions are removed.

    Args:
      probabilities: float32 [batch, rows, columns, classes]; all zero is background.
      inside: bool [batch, rows, columns], where lesions are allowed; None for everywhere.
      how: ``lesion_probability``, ``fill_holes`` and ``whole_liver`` are applied.
      outlined: An outline network decides where lesions are: without ``how.lesion_probability``
        a pixel is lesion if a lesion of any type is its most likely class.
      liver: bool [batch, rows, columns], the outlined liver. Where it exceeds ``inside``, pixels
        may be liver, but not lesion; None for nowhere.
    """
    of_types = probabilities[..., LIVER + 1 :]
    likeliest_type = tf.argmax(of_types, axis=-1, output_type=tf.int32) + LIVER + 1
    if how.lesion_probability is None and not outlined:
        labels = tf.argmax(probabilities, axis=-1, output_type=tf.int32)
    else:
        of_rest = probabilities[..., : LIVER + 1]
        if how.lesion_probability is None:
            lesion = lesion_probability(probabilities) > tf.reduce_max(of_rest, axis=-1)
        else:
            lesion = lesion_probability(probabilities) >= how.lesion_probability
        rest = tf.argmax(of_rest, axis=-1, output_type=tf.int32)
        labels = tf.where(lesion, likeliest_type, rest)
    if inside is not None:
        beside = 0 if liver is None else tf.where(liver, tf.minimum(labels, LIVER), 0)
        labels = tf.where(inside, labels, beside)
    if how.whole_liver and liver is not None:
        labels = tf.where(liver, tf.maximum(labels, LIVER), labels)
    if how.fill_holes:
        lesion = labels > LIVER
        labels = tf.where(fill_holes(lesion) & ~lesion, likeliest_type, labels)
    return labels

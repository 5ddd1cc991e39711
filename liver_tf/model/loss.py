"""The loss: cross-entropy weighted per class as in the paper, soft Dice, and the class weights."""

from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from liver_tf.labels import LIVER


def class_weights(class_pixels: Iterable[int], kind: str = "inverse") -> tuple[float, ...]:
    """Class weights of the cross-entropy.

    ``inverse``: inversely proportional to each class's share of pixels, as in the paper. ``sqrt``:
    to the square root of that share. Both are scaled so that the mean weight over all pixels is 1,
    and give weight 0 to a class without pixels. ``none``: all weights are 1.

    Args:
      class_pixels: Number of pixels of each class.
      kind: ``inverse``, ``sqrt`` or ``none``.
    """
    pixels = np.asarray(list(class_pixels), np.float64)
    if kind == "none":
        return (1.0,) * len(pixels)
    present = pixels > 0
    weights = np.zeros_like(pixels)
    if kind == "inverse":
        weights[present] = pixels.sum() / (present.sum() * pixels[present])
    else:
        weights[present] = pixels.sum() / np.sqrt(pixels).sum() / np.sqrt(pixels[present])
    return tuple(weights.tolist())


def segmentation_loss(
    logits: tf.Tensor,
    labels: tf.Tensor,
    class_weights: tf.Tensor,
    dice_weight: float = 0.0,
    type_weight: float = 0.0,
) -> tf.Tensor:
    """Weighted cross-entropy plus weighted soft Dice loss and cross-entropy of the lesion types.

    The soft Dice loss is 1 - (2 sum(p y) + 1) / (sum(p) + sum(y) + 1) over all pixels of the batch,
    where p is the summed probability of all lesion types (of the liver, without lesion types) and y
    is 1 in true lesion pixels. The added ones make it 0 in a batch without lesion that is
    predicted as such.

    The cross-entropy of the types is that of a type's probability given that there is a lesion, in
    true lesion pixels only, averaged over the lesion pixels of an image and then over the images
    with lesion. Lesions are one pixel in fifty; without it their types hardly count in the loss.

    Arguments and result: as ``weighted_cross_entropy``.
    """
    if not dice_weight and not type_weight:
        return weighted_cross_entropy(logits, labels, class_weights)

    @tf.custom_gradient
    def of_logits(logits):
        loss, gradient = _sum_of_losses(logits, labels, class_weights, dice_weight, type_weight)
        return loss, lambda upstream: upstream * gradient

    return of_logits(logits)


@tf.custom_gradient
def weighted_cross_entropy(
    logits: tf.Tensor, labels: tf.Tensor, class_weights: tf.Tensor
) -> tf.Tensor:
    """Cross-entropy per pixel times the weight of its true class, averaged over pixels.

    Args:
      logits: float32 [batch, rows, columns, classes].
      labels: Integer [batch, rows, columns].
      class_weights: float32 [classes].

    Returns:
      float32 scalar. Only ``logits`` have a gradient; there is no second derivative.
    """
    loss, gradient = _loss_and_gradient(logits, labels, class_weights)
    return loss, lambda upstream: (upstream * gradient, None, None)


# One compiled loop: ten separate operations, each through memory, took more than twice as long.
@tf.function(jit_compile=True, autograph=False)
def _loss_and_gradient(logits, labels, class_weights):
    weighted = tf.gather(tf.linalg.diag(class_weights), tf.cast(labels, tf.int32))
    log_probability = tf.nn.log_softmax(logits)
    pixels = tf.cast(tf.size(labels), tf.float32)
    weight = tf.reduce_sum(weighted, axis=-1, keepdims=True)
    gradient = (tf.exp(log_probability) * weight - weighted) / pixels
    return -tf.reduce_sum(weighted * log_probability) / pixels, gradient


# One program. The weights are Python numbers: a loss of weight 0 is not computed.
@tf.function(jit_compile=True, autograph=False)
def _sum_of_losses(logits, labels, class_weights, dice_weight: float, type_weight: float):
    loss, gradient = _loss_and_gradient(logits, labels, class_weights)
    classes = logits.shape[-1]
    first = min(LIVER + 1, classes - 1)
    if dice_weight:
        dice_loss, by_logits = _soft_dice(logits, labels, first)
        loss, gradient = loss + dice_weight * dice_loss, gradient + dice_weight * by_logits
    if type_weight and classes - first > 1:
        type_loss, by_logits = _types_within_lesions(logits, labels, first)
        loss, gradient = loss + type_weight * type_loss, gradient + type_weight * by_logits
    return loss, gradient


def _soft_dice(logits, labels, first: int):
    probability = tf.nn.softmax(logits)
    predicted = tf.reduce_sum(probability[..., first:], axis=-1, keepdims=True)
    true = tf.cast(labels >= first, tf.float32)[..., None]
    numerator = 2.0 * tf.reduce_sum(predicted * true) + 1.0
    denominator = tf.reduce_sum(predicted) + tf.reduce_sum(true) + 1.0
    by_predicted = (numerator - 2.0 * true * denominator) / denominator**2
    is_lesion = tf.constant([float(label >= first) for label in range(logits.shape[-1])])
    return 1.0 - numerator / denominator, probability * (is_lesion - predicted) * by_predicted


def _types_within_lesions(logits, labels, first: int):
    lesion = tf.cast(labels >= first, tf.float32)
    pixels = tf.reduce_sum(lesion, axis=(1, 2), keepdims=True)
    images = tf.reduce_sum(tf.cast(pixels > 0, tf.float32))
    share = (lesion / tf.maximum(pixels, 1.0) / tf.maximum(images, 1.0))[..., None]
    # A label below the first lesion type is outside the range of one_hot: a row of zeros.
    true = tf.one_hot(tf.cast(labels, tf.int32) - first, logits.shape[-1] - first)
    log_probability = tf.nn.log_softmax(logits[..., first:])
    gradient = share * (tf.exp(log_probability) - true)
    return -tf.reduce_sum(share * true * log_probability), tf.pad(
        gradient, [(0, 0), (0, 0), (0, 0), (first, 0)]
    )

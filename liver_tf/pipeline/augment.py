"""Augmentation after the paper: rotation, zoom, flip, shift, noise, grey-level changes; and more.

Beyond the paper, and off by default: elastic deformation, gamma, blur, lesion-safe cropping.

Plain TensorFlow and nothing of the project but the modules beside this one, so that the same code
runs on an accelerator, in ``tf.data``, and in the environment of the parity test.

Two steps. ``draw`` makes the parameters of one example: a pure function of (seed, epoch, example
number), whatever thread calls it. ``apply`` uses them on a batch of images and label maps: one map
of the pixels' places, whatever it is composed of, and one interpolation, bilinear for the image
and nearest for the labels.
"""

from __future__ import annotations

import math

import tensorflow as tf

from liver_tf.pipeline import elastic, grey_levels, lesion_safe, lost_lesions, warp
from liver_tf.pipeline.augmentation_ranges import Ranges
from liver_tf.pipeline.noise import symmetric_uniform
from liver_tf.pipeline.xla import compiled

#: Random words of an example; which is used for what stands in ``draw``, and must not move.
_WORDS = 16


def draw(seed: int, epoch: tf.Tensor, example: tf.Tensor, ranges: Ranges) -> dict[str, tf.Tensor]:
    """Parameters of one example in one epoch, or of a batch of them.

    A batch costs little more than one example, and its parameters are those of its examples drawn
    one by one, but for rounding.

    Args:
      seed: the run's seed. epoch: int scalar. example: int64 scalar or [batch] that names the
        slices.

    Returns:
      ``transform`` float32 [6]: as ``warp.source_lines`` takes it; ``gain``, ``offset_hu`` float32
      scalars. Where ``ranges`` ask for it: ``noise_seed`` int32 [2] and ``noise_hu`` float32;
      ``elastic`` float32 [points, points, 2] of ``elastic.draw_control``; ``gamma`` float32;
      ``blur`` float32 [reach + 1] of ``grey_levels.taps``; ``kept_from`` int32. With a batch all
      have it as their first axis.
    """
    run = tf.cast(seed, tf.int64) * 1_000_003 + tf.cast(epoch, tf.int64)

    def words_of(one: tf.Tensor) -> tf.Tensor:
        key = tf.stack([run, one])
        return tf.random.stateless_uniform(
            [_WORDS], key, minval=None, maxval=None, dtype=tf.int32, alg="philox"
        )

    example = tf.convert_to_tensor(example, tf.int64)
    batched = example.shape.rank == 1
    words = _each(words_of, example, batched, tf.TensorSpec([_WORDS], tf.int32))
    # What is drawn for one thing does not hang on whether another is switched on.
    uniform = symmetric_uniform(words)
    drawn = {
        "transform": _transform(uniform, ranges),
        "gain": 1.0 + uniform[..., 6] * ranges.gain,
        "offset_hu": uniform[..., 7] * ranges.offset_hu,
    }
    if ranges.noise_hu:
        drawn["noise_hu"] = _upwards(uniform[..., 5]) * ranges.noise_hu
        drawn["noise_seed"] = words[..., 8:10]
    if ranges.gamma:
        drawn["gamma"] = tf.exp(uniform[..., 10] * math.log1p(ranges.gamma))
    if ranges.blur_pixels:
        sd = _upwards(uniform[..., 11]) * ranges.blur_pixels
        drawn["blur"] = grey_levels.taps(sd, ranges.blur_pixels)
    if ranges.elastic:
        amplitude = _upwards(uniform[..., 12]) * ranges.elastic
        points = elastic.control_shape(ranges.elastic_intervals)
        control = _each(
            lambda pair: elastic.draw_control(pair, points),
            *(words[..., 13:15], batched, tf.TensorSpec(points)),
        )
        drawn["elastic"] = amplitude[..., None, None, None] * control
    if ranges.kept_from:
        drawn["kept_from"] = tf.fill(tf.shape(example), ranges.kept_from)
    return drawn


def _each(function, values: tf.Tensor, batched: bool, made: tf.TensorSpec) -> tf.Tensor:
    """What ``function`` makes of an example's value, or of each in a batch."""
    return tf.map_fn(function, values, fn_output_signature=made) if batched else function(values)


def _upwards(uniform: tf.Tensor) -> tf.Tensor:
    """From -1 to 1, to 0 to 1."""
    return (uniform + 1.0) / 2.0


def _transform(uniform: tf.Tensor, ranges: Ranges) -> tf.Tensor:
    angle = uniform[..., 0] * (ranges.rotation_degrees * math.pi / 180.0)
    zoom = 1.0 + uniform[..., 1] * ranges.zoom
    mirror = tf.where(_upwards(uniform[..., 4]) < ranges.flip, -1.0, 1.0)
    cosine, sine = tf.cos(angle) / zoom, tf.sin(angle) / zoom
    # Where an output point, seen from the centre, comes from: rotate, zoom, mirror, shift.
    return tf.stack(
        [
            mirror * cosine,
            -mirror * sine,
            uniform[..., 3] * ranges.shift,
            sine,
            cosine,
            uniform[..., 2] * ranges.shift,
        ],
        axis=-1,
    )


def apply(
    images: tf.Tensor,
    labels: tf.Tensor,
    parameters: dict[str, tf.Tensor],
    window: tuple[float, float],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Transform a batch; images stay inside the window, labels inside the label set.

    XLA compiles it, in some 0.3 s, once for every shape of a batch that a process meets. Batches of
    one shape give the same bits wherever this runs on a machine's CPUs; in a batch of another size
    an image may differ in its last bit.

    Args:
      images: float32 [batch, rows, columns], HU. labels: uint8 [batch, rows, columns].
      parameters: of ``draw``, batched; what is missing, but for ``transform``, ``gain`` and
        ``offset_hu``, is not done.
      window: (low, high) HU; low is what comes from outside the image.

    Returns:
      Images and labels of the same shapes and dtypes. With identity parameters, bit for bit.
    """
    low, high = float(window[0]), float(window[1])
    done, lines = _placed(labels, parameters)
    parameters = parameters | done
    images, labels = _moved(images, labels, lines, parameters, low, high)
    if "blur" in parameters:
        images = _blurred(images, parameters, low, high)
    return images, labels


def applied(labels: tf.Tensor, parameters: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The parameters with which ``apply`` moves a batch: as drawn, moderated to keep lesions."""
    return parameters | _placed(labels, parameters)[0]


@compiled
def _placed(labels, parameters):
    # On its own: in the next program XLA would round the lines anew for every pixel.
    rows, columns = tf.shape(labels)[1], tf.shape(labels)[2]
    done = {"transform": parameters["transform"]}
    if "kept_from" in parameters:
        kept_from = parameters["kept_from"]
        margin = (tf.zeros_like(kept_from, tf.float32),) * 2
        if "elastic" in parameters:
            done["elastic"] = lesion_safe.gentler(parameters["elastic"], labels, kept_from)
            margin = elastic.most(done["elastic"], rows, columns)
        done["transform"] = lesion_safe.keep_inside(done["transform"], labels, kept_from, margin)
    return done, warp.source_lines(done["transform"], rows, columns)


@compiled
def _moved(images, labels, lines, parameters, low: float, high: float):
    points, displacement = warp.source_points(lines), None
    transform = parameters["transform"]
    if "elastic" in parameters:
        rows, columns = tf.shape(images)[1], tf.shape(images)[2]
        displacement = elastic.displacement(parameters["elastic"], rows, columns)
        points = warp.displaced(points, transform, displacement)
    images = warp.bilinear(images, *points, low)
    moved = warp.nearest(labels, *points)
    if "kept_from" in parameters:
        kept_from = parameters["kept_from"]
        moved = lost_lesions.put_back(labels, moved, kept_from, points, transform, displacement)
    images = grey_levels.level(images, parameters, (low, high))
    if "blur" not in parameters:
        images = grey_levels.finish(images, parameters, (low, high))
    return images, moved


@compiled
def _blurred(images, parameters, low: float, high: float):
    # On its own: in one program with the rest XLA would make each pixel anew for every tap.
    return grey_levels.finish(grey_levels.blur(images, parameters), parameters, (low, high))

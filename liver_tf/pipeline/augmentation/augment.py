"""Augmentation of the paper: rotation, zoom, flip, shift, noise, grey-level changes; and more.

Beyond the paper, and off by default: elastic deformation, gamma, blur, curves of grey levels,
images drawn from tissue maps, and lesion-safe cropping.

``draw`` makes the parameters of an example: a pure function of (seed, epoch, example number).
``apply`` uses them on a batch of images and label maps: all geometry is composed into one map of
coordinates with one interpolation, bilinear for images and nearest for labels. The package's
docstring explains how to add a kind of augmentation.
"""

import math

import tensorflow as tf

from liver_tf.pipeline.augmentation import (
    drawing,
    elastic,
    grey_levels,
    lesion_safe,
    lost_lesions,
    warp,
)
from liver_tf.pipeline.augmentation.noise import symmetric_uniform
from liver_tf.pipeline.augmentation.ranges import Ranges
from liver_tf.pipeline.augmentation.xla import compiled

#: Random words per example. The use of each word in ``draw`` must not change. More words do not
#: change the first ones.
_CURVE = slice(16, 16 + grey_levels.SEGMENTS)
_WORDS = _CURVE.stop + 1


def draw(seed: int, epoch: tf.Tensor, example: tf.Tensor, ranges: Ranges) -> dict[str, tf.Tensor]:
    """Draw the parameters of one example, or of a batch, in one epoch.

    A batch costs little more than one example. Except for rounding, drawing a batch gives the same
    parameters as drawing its examples one by one.

    Args:
      epoch: Integer scalar.
      example: int64 scalar or [batch], the numbers of the slices.

    Returns:
      ``transform`` float32 [6] for ``warp.source_lines``; ``gain`` and ``offset_hu`` float32
      scalars. If ``ranges`` has them: ``noise_seed`` int32 [2] and ``noise_hu`` float32;
      ``elastic`` float32 [points, points, 2] from ``elastic.draw_control``; ``gamma`` float32;
      ``blur`` float32 [reach + 1] from ``grey_levels.taps``; ``curve`` float32 [segments] from
      ``grey_levels.steepness``; ``kept_from`` int32; ``drawing_seed`` int32 [2] and ``is_drawn``
      bool. For a batch, all have it as their first axis.
    """
    run = tf.cast(seed, tf.int64) * 1_000_003 + tf.cast(epoch, tf.int64)

    def words_of(number: tf.Tensor) -> tf.Tensor:
        key = tf.stack([run, number])
        return tf.random.stateless_uniform(
            [_WORDS], key, minval=None, maxval=None, dtype=tf.int32, alg="philox"
        )

    example = tf.convert_to_tensor(example, tf.int64)
    batched = example.shape.rank == 1
    words = _each(words_of, example, batched, tf.TensorSpec([_WORDS], tf.int32))
    # Each kind has separate words, so that it does not depend on which other kinds are enabled.
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
    if ranges.curve:
        curved = _upwards(uniform[..., 15]) < ranges.curve
        drawn["curve"] = grey_levels.steepness(uniform[..., _CURVE], curved)
    if ranges.elastic:
        amplitude = _upwards(uniform[..., 12]) * ranges.elastic
        points = elastic.control_shape(ranges.elastic_intervals)
        control = _each(
            lambda pair: elastic.draw_control(pair, points),
            *(words[..., 13:15], batched, tf.TensorSpec(points)),
        )
        drawn["elastic"] = amplitude[..., None, None, None] * control
    if ranges.drawn:
        # The seed of the noise, of which ``drawing`` uses other bits.
        drawn["drawing_seed"] = words[..., 8:10]
        drawn["is_drawn"] = _upwards(uniform[..., _CURVE.stop]) < ranges.drawn
    if ranges.kept_from:
        drawn["kept_from"] = tf.fill(tf.shape(example), ranges.kept_from)
    return drawn


def _each(function, values: tf.Tensor, batched: bool, spec: tf.TensorSpec) -> tf.Tensor:
    """Call ``function`` with an example's value, or with each value of a batch."""
    return tf.map_fn(function, values, fn_output_signature=spec) if batched else function(values)


def _upwards(uniform: tf.Tensor) -> tf.Tensor:
    """Map -1 to 1 onto 0 to 1."""
    return (uniform + 1.0) / 2.0


def _transform(uniform: tf.Tensor, ranges: Ranges) -> tf.Tensor:
    angle = uniform[..., 0] * (ranges.rotation_degrees * math.pi / 180.0)
    zoom = 1.0 + uniform[..., 1] * ranges.zoom
    mirror = tf.where(_upwards(uniform[..., 4]) < ranges.flip, -1.0, 1.0)
    cosine, sine = tf.cos(angle) / zoom, tf.sin(angle) / zoom
    # The source of an output point relative to the centre: rotate, zoom, mirror, shift.
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
    """Transform a batch; images stay inside the window.

    XLA compiles it once for every batch shape, in about 0.3 s. Results are reproducible bit for bit
    on a machine's CPUs for one batch shape; in a batch of another size an image may differ in its
    last bit.

    Args:
      images: float32 [batch, rows, columns], HU.
      labels: uint8 [batch, rows, columns].
      parameters: From ``draw``, batched. Optional ones that are missing are not applied. Drawn
        slices also need ``tissues``, uint8 [batch, FINER rows, FINER columns], and ``code_labels``,
        uint8 [batch, CODES], as in ``drawing``.
      window: (low, high) HU; pixels outside the image are set to low.

    Returns:
      Images and labels of the same shapes and dtypes; unchanged, bit for bit, with identity
      parameters.
    """
    low, high = float(window[0]), float(window[1])
    reduced, lines, finer_lines = _geometry(labels, parameters)
    parameters = parameters | reduced
    if "tissues" in parameters:
        parameters["drawn_image"], parameters["drawn_labels"] = _drawn(finer_lines, parameters)
    images, labels = _moved(images, labels, lines, parameters, low, high)
    if "blur" in parameters:
        images = _blurred(images, parameters, low, high)
    return images, labels


def applied(labels: tf.Tensor, parameters: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The parameters that ``apply`` uses for a batch, reduced to keep lesions."""
    return parameters | _geometry(labels, parameters)[0]


@compiled
def _geometry(labels, parameters):
    # A separate program: in the next one XLA would recompute the lines for every pixel.
    rows, columns = tf.shape(labels)[1], tf.shape(labels)[2]
    reduced = {"transform": parameters["transform"]}
    if "kept_from" in parameters:
        kept_from = parameters["kept_from"]
        margin = (tf.zeros_like(kept_from, tf.float32),) * 2
        if "elastic" in parameters:
            reduced["elastic"] = lesion_safe.reduce_deformation(
                parameters["elastic"], labels, kept_from
            )
            margin = elastic.largest(reduced["elastic"], rows, columns)
        reduced["transform"] = lesion_safe.keep_inside(
            reduced["transform"], labels, kept_from, margin
        )
    transform = reduced["transform"]
    finer_lines = warp.source_lines(transform, drawing.FINER * rows, drawing.FINER * columns)
    return reduced, warp.source_lines(transform, rows, columns), finer_lines


@compiled
def _drawn(lines, parameters):
    tissues = parameters["tissues"]
    points = warp.source_points(lines)
    if "elastic" in parameters:
        rows, columns = tf.shape(tissues)[1], tf.shape(tissues)[2]
        displacement = elastic.displacement(parameters["elastic"], rows, columns)
        points = warp.displaced(points, parameters["transform"], displacement)
    codes = warp.nearest(tissues, *points)
    return drawing.draw(codes, parameters["code_labels"], parameters["drawing_seed"])


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
        moved = lost_lesions.restore(labels, moved, kept_from, points, transform, displacement)
    if "drawn_image" in parameters:
        is_drawn = parameters["is_drawn"][:, None, None]
        images = tf.where(is_drawn, parameters["drawn_image"], images)
        moved = tf.where(is_drawn, parameters["drawn_labels"], moved)
    images = grey_levels.level(images, parameters, (low, high))
    if "blur" not in parameters:
        images = grey_levels.finish(images, parameters, (low, high))
    return images, moved


@compiled
def _blurred(images, parameters, low: float, high: float):
    # A separate program: together with the rest XLA would recompute each pixel for every tap.
    return grey_levels.finish(grey_levels.blur(images, parameters), parameters, (low, high))

"""Images drawn from tissue maps: a new scan of the same anatomy in every epoch.

After Billot et al. 2023, "SynthSeg": a network that never sees the same contrast twice learns
shapes and relations instead of grey values, and carries over from computed to real images. Here the
attenuation is that of CT (``attenuation``), followed by partial volume, texture of the tissues,
streaks, shading and coloured noise; ``augment.apply`` adds its grey levels, blur and noise.
"""

import math

import tensorflow as tf

from liver_tf.phantom.tissue_codes import FIRST_LESION, Tissue
from liver_tf.pipeline.augmentation import attenuation
from liver_tf.pipeline.augmentation.lesion_texture import within_lesions
from liver_tf.pipeline.augmentation.noise import normal_fields, symmetric_uniform, threefry

#: Pixels of the tissue map along a pixel of the image, for partial volume.
FINER = 2
#: Points along a side of the fields of which noise, texture and shading consist.
_MEDIUM, _COARSE, _SHADING = 48, 16, 4
_FIELDS = 7
_SCANNER = 16


def draw(codes: tf.Tensor, code_labels: tf.Tensor, seeds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Draw a batch of images.

    Args:
      codes: uint8 [batch, FINER rows, FINER columns], tissue codes.
      code_labels: uint8 [batch, CODES], label of each code.
      seeds: int32 [batch, 2]; an image depends on its seed only.

    Returns:
      float32 [batch, rows, columns] in HU, not clipped; uint8 labels of the same shape.
    """
    rows, columns = tf.shape(codes)[1] // FINER, tf.shape(codes)[2] // FINER
    uniform, field_seeds = _random(seeds)
    fields = normal_fields(field_seeds[:, 0], rows, columns), *_smooth(field_seeds, rows, columns)
    hu, coarse, fine = attenuation.draw(uniform[:, _SCANNER:])
    index = tf.cast(codes, tf.int32)
    image, coarse, fine = (
        _pooled(tf.gather(table, index, batch_dims=1)) for table in (hu, coarse, fine)
    )
    scanner = tf.unstack(uniform[:, :_SCANNER, None, None], axis=1)
    image += coarse * fields[4] + fine * fields[3]
    lesion = _pooled(tf.cast(codes >= FIRST_LESION, tf.float32))
    contrast = hu[:, FIRST_LESION] - hu[:, Tissue.LIVER]
    image += within_lesions(lesion, contrast, fields[3], seeds)
    image += _streaks(scanner, rows, columns) + 12.0 * scanner[0] * fields[5]
    image += _noise(scanner, fields)
    return image, _labels(tf.gather(code_labels, index, batch_dims=1))


def _random(seeds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Numbers in 0 to 1 [batch, ...], and seeds of fields int32 [batch, _FIELDS, 2]."""
    count = _SCANNER + attenuation.NUMBERS
    key = tf.bitcast(seeds, tf.uint32)
    counter = tf.bitcast(tf.range(count + _FIELDS), tf.uint32)[None]
    # Another second counter than that of ``normal_fields``, which may use the same seed.
    first, second = threefry((key[:, :1], key[:, 1:]), (counter, tf.ones_like(counter)))
    first, second = tf.bitcast(first, tf.int32), tf.bitcast(second, tf.int32)
    uniform = (symmetric_uniform(first[:, :count]) + 1.0) / 2.0
    return uniform, tf.stack([first[:, count:], second[:, count:]], axis=-1)


def _smooth(seeds: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Smooth fields [batch, rows, columns] of SD about 1.

    Medium and coarse for noise, medium and coarse for texture, shading, horizontal streaks.
    """
    points = (_MEDIUM, _COARSE, _MEDIUM, _COARSE, _SHADING)
    fields = [
        _enlarged(normal_fields(seeds[:, number], count, count), rows, columns)
        for number, count in enumerate(points, start=1)
    ]
    streaks = normal_fields(seeds[:, len(points) + 1], rows, _COARSE)
    return *fields, _enlarged(streaks, rows, columns)


def _enlarged(fields: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Linear interpolation to [batch, rows, columns], with the SD of the given points."""
    down, across = (
        _interpolation(tf.shape(fields)[1 + axis], side) for axis, side in ((0, rows), (1, columns))
    )
    return tf.einsum("rp,bpq,cq->brc", down, fields, across)


def _interpolation(points: tf.Tensor, side: tf.Tensor) -> tf.Tensor:
    """float32 [side, points] of linear interpolation that keeps the SD of independent points."""
    last = tf.cast(points - 1, tf.float32)
    place = tf.range(tf.cast(side, tf.float32)) * (last / tf.cast(side - 1, tf.float32))
    weights = tf.nn.relu(1.0 - tf.abs(place[:, None] - tf.range(tf.cast(points, tf.float32))))
    return weights / tf.sqrt(tf.reduce_sum(weights**2, axis=1, keepdims=True))


def _pooled(values: tf.Tensor) -> tf.Tensor:
    """Mean of the FINER x FINER pixels that form a pixel of the image."""
    parts = [values[:, r::FINER, c::FINER] for r in range(FINER) for c in range(FINER)]
    return tf.add_n(parts) / float(len(parts))


def _labels(labels: tf.Tensor) -> tf.Tensor:
    """Label of most of the pixels that form a pixel of the image; of the first one in a tie."""
    first, *others = (labels[:, r::FINER, c::FINER] for r in range(FINER) for c in range(FINER))
    a, b, c = others
    # Only without the first pixel's label in the majority do the other three decide.
    return tf.where((a == b) & (b == c), a, first)


def _noise(scanner: list[tf.Tensor], fields: tuple[tf.Tensor, ...]) -> tf.Tensor:
    """Noise of SD 1 to 25 HU: white, medium, coarse and streaky parts in random proportions."""
    parts = (fields[0], fields[1], fields[2], fields[6])
    shares = [scanner[1] + 0.05, scanner[2], 0.5 * scanner[3] ** 2, 0.6 * scanner[4] ** 2]
    total = tf.sqrt(tf.add_n([share**2 for share in shares]))
    sd = tf.exp(math.log(25.0) * scanner[5])
    return sd / total * tf.add_n([s * part for s, part in zip(shares, parts, strict=True)])


def _streaks(scanner: list[tf.Tensor], rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Streaks from a dense object, in one image in eight."""
    down, across = (
        (tf.range(tf.cast(side, tf.float32)) / tf.cast(side, tf.float32))[None] - number[:, :, 0]
        for side, number in ((rows, scanner[6]), (columns, scanner[7]))
    )
    down, across = down[:, :, None], across[:, None, :]
    angle = tf.atan2(down, across)
    rays = tf.sin(tf.round(4.0 + 10.0 * scanner[8]) * angle + 6.3 * scanner[9])
    rays *= tf.sin(tf.round(2.0 + 6.0 * scanner[10]) * angle + 6.3 * scanner[11])
    distance = tf.sqrt(down**2 + across**2)
    strength = tf.where(scanner[12] < 0.125, 60.0 * scanner[13], 0.0)
    return strength * rays * tf.exp(-distance / (0.1 + 0.4 * scanner[14]))

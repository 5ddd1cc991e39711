"""HU of each tissue in a drawn image: random contrast phase, liver fat and iron, oral contrast.

A table gives the typical HU of each tissue without contrast and in the arterial, portal and delayed
phase; the phase of an image is anywhere between them. Every tissue then deviates independently, so
that a network cannot rely on the relation of any two organs.
"""

import numpy as np
import tensorflow as tf

from liver_tf.phantom.tissue_codes import CODES, FIRST_LESION, Tissue

#: HU without contrast, arterial, portal, delayed; largest deviation in HU; amplitude of the texture
#: in HU, coarse (some 2 cm) and fine (some 5 mm).
_TYPICAL: dict[Tissue, tuple[float, ...]] = {
    Tissue.AIR: (-1000, -1000, -1000, -1000, 0, 0, 0),
    Tissue.LIVER: (56, 66, 112, 92, 22, 3, 3),
    Tissue.HEPATIC_VEIN: (43, 52, 150, 112, 25, 2, 2),
    Tissue.PORTAL_BRANCH: (43, 95, 165, 115, 30, 2, 2),
    Tissue.PORTAL_VEIN: (43, 95, 165, 115, 30, 2, 2),
    Tissue.CAVA: (43, 65, 140, 112, 35, 8, 4),
    Tissue.AORTA: (43, 300, 160, 115, 50, 2, 2),
    Tissue.BILE: (10, 10, 10, 12, 14, 2, 2),
    Tissue.SPLEEN: (48, 115, 118, 95, 22, 3, 3),
    Tissue.KIDNEY_CORTEX: (33, 165, 190, 150, 35, 3, 3),
    Tissue.KIDNEY_MEDULLA: (33, 70, 165, 160, 35, 6, 5),
    Tissue.PANCREAS: (40, 95, 90, 70, 22, 4, 14),
    Tissue.GUT_WALL: (40, 75, 85, 70, 25, 5, 8),
    Tissue.STOMACH_CONTENT: (18, 18, 18, 18, 22, 8, 22),
    Tissue.BOWEL_FLUID: (15, 15, 15, 18, 22, 8, 16),
    Tissue.STOOL: (-15, -15, -15, -15, 70, 45, 110),
    Tissue.GAS: (-920, -920, -920, -920, 60, 20, 20),
    Tissue.HEART_MUSCLE: (45, 95, 105, 85, 22, 3, 3),
    Tissue.HEART_BLOOD: (43, 240, 150, 112, 45, 6, 4),
    Tissue.LUNG: (-840, -840, -840, -840, 70, 25, 30),
    Tissue.LUNG_VESSEL: (30, 90, 60, 50, 35, 2, 2),
    Tissue.MUSCLE: (52, 55, 62, 60, 14, 6, 10),
    Tissue.FAT: (-100, -100, -98, -98, 14, 3, 9),
    Tissue.CORTICAL_BONE: (450, 450, 450, 450, 150, 20, 40),
    Tissue.MARROW: (190, 190, 195, 195, 90, 20, 30),
    Tissue.DISC: (75, 75, 80, 80, 25, 4, 6),
    Tissue.SKIN: (10, 10, 15, 15, 40, 4, 8),
    Tissue.TABLE: (-100, -100, -100, -100, 200, 5, 5),
    Tissue.ASCITES: (10, 10, 10, 12, 12, 2, 2),
}
#: Texture of lesions: tumours are less uniform than the liver.
_LESION_TEXTURE = (12, 8)
#: Tissues that deviate together.
_TOGETHER = {Tissue.PORTAL_VEIN: Tissue.PORTAL_BRANCH}
_WITH_ORAL_CONTRAST = (Tissue.STOMACH_CONTENT, Tissue.BOWEL_FLUID, Tissue.STOOL)

#: Random numbers that ``draw`` needs for each image.
NUMBERS = CODES + 16


def _columns() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Typical HU [4, CODES], largest deviations [CODES], texture [2, CODES]."""
    table = np.tile(np.array(_TYPICAL[Tissue.LIVER], np.float32), (CODES, 1))
    for tissue, row in _TYPICAL.items():
        table[tissue] = row
    table[FIRST_LESION:, 5:] = _LESION_TEXTURE
    return table[:, :4].T.copy(), table[:, 4], table[:, 5:].T.copy()


def draw(uniform: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """HU and texture of every code in each image.

    Args:
      uniform: float32 [batch, NUMBERS], random in 0 to 1.

    Returns:
      float32 [batch, CODES]: HU, amplitude of coarse texture, amplitude of fine texture.
    """
    typical, largest, texture = _columns()
    own, of_image = uniform[:, :CODES], tf.unstack(uniform[:, CODES:, None], axis=1)
    partners = np.arange(CODES)
    for tissue, partner in _TOGETHER.items():
        partners[tissue] = partner
    own = 2.0 * tf.gather(own, partners, axis=1) - 1.0
    hu = _of_phase(of_image[0], typical)
    # One image in five exceeds the usual deviations.
    hu += own * largest * tf.where(of_image[1] < 0.2, 2.2, 1.0)
    liver = tf.clip_by_value(hu[:, Tissue.LIVER, None] + _fat_or_iron(of_image), 0.0, 170.0)
    hu += (liver - hu[:, Tissue.LIVER, None]) * _at(Tissue.LIVER)
    oral = tf.where(of_image[4] < 0.25, 60.0 + 300.0 * of_image[5], 0.0)
    for tissue, number in zip(_WITH_ORAL_CONTRAST, of_image[6:9], strict=True):
        hu += oral * tf.cast(number < 0.6, tf.float32) * _at(tissue)
    hu = tf.where(
        np.arange(CODES) < FIRST_LESION,
        hu,
        liver + _of_lesion(own, of_image[9], _phase(of_image[0])),
    )
    strength = [
        2.0 * number * amplitude for number, amplitude in zip(of_image[10:], texture, strict=False)
    ]
    return hu, strength[0], strength[1]


def _phase(number: tf.Tensor) -> tf.Tensor:
    """0 without contrast (one image in five), 1 arterial, 2 portal, 3 delayed, or between them."""
    return 3.0 * tf.maximum(number - 0.2, 0.0) / 0.8


def _of_phase(number: tf.Tensor, typical: np.ndarray) -> tf.Tensor:
    """Typical HU at a phase."""
    phase = _phase(number)
    weights = [tf.nn.relu(1.0 - tf.abs(phase - index)) for index in range(len(typical))]
    return tf.add_n([weight * row for weight, row in zip(weights, typical, strict=True)])


def _fat_or_iron(of_image: list[tf.Tensor]) -> tf.Tensor:
    """Change of liver HU: three livers in ten are fatty, one in ten contains iron."""
    kind, amount = of_image[2], of_image[3]
    return tf.where(kind < 0.3, -75.0 * amount, tf.where(kind > 0.9, 45.0 * amount, 0.0))


def _of_lesion(own: tf.Tensor, number: tf.Tensor, phase: tf.Tensor) -> tf.Tensor:
    """Difference of lesions to the liver: 8 to 90 HU darker or brighter.

    Lesions are brighter in half of the arterial images, and in one of twelve without contrast or
    in the portal phase: what is bright there is usually a vessel. Faint lesions are drawn more
    often than distinct ones: half of them differ by less than 33 HU.
    """
    bright = 0.08 + 0.42 * tf.nn.relu(1.0 - tf.abs(phase - 1.0))
    return tf.where(number < bright, 1.0, -1.0) * (8.0 + 82.0 * (0.5 + 0.5 * own) ** 1.7)


def _at(tissue: Tissue) -> np.ndarray:
    return np.eye(CODES, dtype=np.float32)[tissue]

"""Is it CT at all? Plausibility of HU values, and of the HU under a mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from liver_tf.labels import LIVER
from liver_tf.refusals import Caution, Refusal

#: No scanner stores HU beyond 16 bits; extended scales for metal end at about 30,700 HU.
HU_LIMITS = (-32768, 32767)

#: An image of a body holds air or fat and soft tissue: hundreds of HU apart. 100 is far below.
SMALLEST_SPREAD_HU = 100

#: Mean HU of a liver, from severe steatosis without contrast to a bright arterial phase; lesions
#: from fat-holding to strongly enhancing. Wider than any textbook, to catch shifted masks only.
PLAUSIBLE_MEAN_HU = {"liver": (-30.0, 250.0), "lesion": (-100.0, 300.0)}

#: Voxels outside this range are neither liver nor (uncalcified) lesion: lung, gas, bone, metal.
SOFT_TISSUE_HU = (-150, 400)
LARGEST_SHARE_OUTSIDE = 0.10


def refuse_implausible_hu(lowest: float, highest: float, path: Path) -> None:
    """Raise ``Refusal`` if an image with this range of values (padding left out) cannot be HU.

    Codes: ``hu-unscaled`` (no value below 0, or hardly any spread), ``hu-impossible``.
    """
    remedy = (
        "Export the image again as CT in HU, or check that slope and intercept of the file are "
        "those of the scanner."
    )
    if lowest < HU_LIMITS[0] or highest > HU_LIMITS[1]:
        raise Refusal(
            "hu-impossible",
            path,
            expected=f"HU between {HU_LIMITS[0]} and {HU_LIMITS[1]}",
            came=f"values from {lowest:g} to {highest:g}",
            remedy=remedy,
        )
    if lowest >= 0 or highest - lowest < SMALLEST_SPREAD_HU:
        raise Refusal(
            "hu-unscaled",
            path,
            expected="HU values: air and fat lie below 0, tissues far apart",
            came=f"values from {lowest:g} to {highest:g}, which looks unscaled",
            remedy=remedy,
        )


def mask_cautions(
    hu: np.ndarray, labels: np.ndarray, lesion_labels: tuple[int, ...] | None = None
) -> tuple[Caution, ...]:
    """Cautions where the HU under a mask cannot be liver or lesion, as with a rotated mask.

    Args:
      hu: int16 or float32 of any shape, HU.
      labels: integers of the same shape; 1 is liver.
      lesion_labels: labels of lesions; by default every label above liver.

    Returns:
      At most one caution each, ``liver-hu`` and ``lesion-hu``. An empty mask gives none.
    """
    liver = labels == LIVER
    lesion = labels > LIVER if lesion_labels is None else np.isin(labels, lesion_labels)
    cautions = []
    for name, mask in (("liver", liver), ("lesion", lesion)):
        values = hu[mask].astype(np.float64)
        if values.size == 0:
            continue
        mean = float(values.mean())
        outside = (values < SOFT_TISSUE_HU[0]) | (values > SOFT_TISSUE_HU[1])
        share = float(outside.mean())
        low, high = PLAUSIBLE_MEAN_HU[name]
        if not low <= mean <= high or share > LARGEST_SHARE_OUTSIDE:
            cautions.append(
                Caution(
                    f"{name}-hu",
                    f"under the {name} mask the mean is {mean:.0f} HU and {share:.0%} of the "
                    f"voxels are air, lung, bone or metal; expected a mean of {low:.0f} to "
                    f"{high:.0f} HU. Is the mask flipped or rotated against the image?",
                )
            )
    return tuple(cautions)

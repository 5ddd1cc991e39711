"""Checks whether a mask lies on the liver, by the HU under it and its position in the body.

The checks cover all slices of a case and only raise cautions, to be confirmed on the pictures.
"""

import numpy as np

from liver_tf.ct.hu_plausibility import PLAUSIBLE_MEAN_HU
from liver_tf.inspection.hu_statistics import Moments
from liver_tf.labels import LIVER
from liver_tf.refusals import Caution

#: Codes of the cautions on misplaced masks.
MASK_CODES = frozenset(("liver-hu", "lesion-hu", "liver-side", "liver-uneven", "mask-mirrored"))

#: Brighter pixels are body, darker ones air or lung.
_BODY_HU = -200
#: HU are clipped to this range, or a few voxels of gas would dominate the SD.
_SPREAD_HU = (-200, 300)
#: Maximum SD of liver with vessels and noise; a mask across several organs exceeds it.
_EVEN_SD_HU = 40.0
#: Minimum SD for ``liver-uneven``: the mask extends into fat or lung.
_UNEVEN_SD_HU = 70.0
#: ``mask-mirrored`` requires an SD below this share when mirrored.
_MUCH_SMALLER = 0.6
#: With fewer liver pixels there is no caution.
_LEAST_PIXELS = 200

#: Steps along rows and columns that mirror a slice.
_STEPS = {
    "as drawn": (1, 1),
    "left to right": (1, -1),
    "front to back": (-1, 1),
    "both ways": (-1, -1),
}


class MaskFit:
    """Position of the liver masks of a case, and HU under them.

    Attributes:
      right, pixels: liver pixels in the right half of the patient's body, and in total.
      spread: clipped HU under the liver mask as drawn and mirrored, without its border, where
        pixels contain liver and lung or fat.
    """

    def __init__(self) -> None:
        self.right = 0
        self.pixels = 0
        self.spread = dict.fromkeys(_STEPS, Moments())

    @classmethod
    def of(cls, hu: np.ndarray, labels: np.ndarray) -> "MaskFit":
        """Check a single slice."""
        fit = cls()
        fit.add(hu, labels)
        return fit

    def add(self, hu: np.ndarray, labels: np.ndarray) -> None:
        """Add a slice; HU and labels are [rows, columns] in canonical orientation."""
        liver = labels == LIVER
        if not liver.any():
            return
        body = np.cumsum(np.count_nonzero(hu > _BODY_HU, axis=0))
        middle = int(np.searchsorted(body, body[-1] / 2))
        self.right += int(np.count_nonzero(liver[:, :middle]))
        self.pixels += int(np.count_nonzero(liver))
        inside = _without_border(liver)
        for name, (rows, columns) in _STEPS.items():
            values = np.clip(hu[::rows, ::columns][inside], *_SPREAD_HU)
            self.spread[name] += Moments.of(values)

    @property
    def right_share(self) -> float | None:
        """Share of the liver in the right half of the body; None without a liver."""
        return self.right / self.pixels if self.pixels else None

    def cautions(self) -> list[Caution]:
        """``liver-side``, ``mask-mirrored`` or ``liver-uneven``, as they apply."""
        cautions = []
        if self.pixels >= _LEAST_PIXELS and self.right_share < 0.5:
            cautions.append(
                Caution(
                    "liver-side",
                    f"{1 - self.right_share:.0%} of the liver mask lies in the left half of the "
                    "body; the liver lies on the right, except in situs inversus. Check whether "
                    "left and right are swapped in the mask, or in image and mask.",
                )
            )
        if self.spread["as drawn"].count < _LEAST_PIXELS:
            return cautions
        drawn = self.spread["as drawn"].sd
        way, best = min(self.spread.items(), key=lambda pair: pair[1].sd)
        low, high = PLAUSIBLE_MEAN_HU["liver"]
        if drawn > _EVEN_SD_HU and best.sd < _MUCH_SMALLER * drawn and low <= best.mean <= high:
            cautions.append(
                Caution(
                    "mask-mirrored",
                    f"the SD under the liver mask is {drawn:.0f} HU, but {best.sd:.0f} HU if the "
                    f"mask is mirrored {way}. Check whether the mask is mirrored.",
                )
            )
        elif drawn > _UNEVEN_SD_HU:
            cautions.append(
                Caution(
                    "liver-uneven",
                    f"the SD under the liver mask is {drawn:.0f} HU; within one organ it is at "
                    f"most {_UNEVEN_SD_HU:.0f}. Check whether the mask is shifted, rotated or from "
                    "another scan.",
                )
            )
        return cautions


def _without_border(mask: np.ndarray) -> np.ndarray:
    """Erode a mask by its 4-neighbourhood."""
    padded = np.pad(mask, 1)
    vertical = padded[:-2, 1:-1] & padded[2:, 1:-1]
    return mask & vertical & padded[1:-1, :-2] & padded[1:-1, 2:]

"""Does the mask lie on the liver? Questions to HU and place that a misplaced mask fails.

All are sums over the slices of a case, and all only caution: the page of ``verify`` shows the
pictures that decide.
"""

from __future__ import annotations

import numpy as np

from liver_tf.ct.hu_plausibility import PLAUSIBLE_MEAN_HU
from liver_tf.inspection.hu_statistics import Moments
from liver_tf.labels import LIVER
from liver_tf.refusals import Caution

#: Cautions that say that a mask does not fit its image.
MASK_CODES = frozenset(("liver-hu", "lesion-hu", "liver-side", "liver-uneven", "mask-mirrored"))

#: What is brighter than this is body, what is darker air or lung.
_BODY_HU = -200
#: HU are clipped to this before their spread is taken, or a few voxels of gas would decide it.
_SPREAD_HU = (-200, 300)
#: Liver with vessels and noise spreads by less than this; a mask on several organs by more.
_EVEN_SD_HU = 40.0
#: Noise and vessels do not make a liver spread by this; a mask that reaches into fat or lung does.
_UNEVEN_SD_HU = 70.0
#: A mirrored mask is told only where the other side's spread is this much smaller.
_MUCH_SMALLER = 0.6
#: Fewer pixels of liver than these prove nothing.
_LEAST_PIXELS = 200

_STEPS = {
    "as drawn": (1, 1),
    "left to right": (1, -1),
    "front to back": (-1, 1),
    "both ways": (-1, -1),
}


class MaskFit:
    """What the slices of a case tell about the place of their masks.

    Attributes:
      right, pixels: liver pixels on the patient's right half of the body, and all.
      spread: HU, clipped, under the inside of the liver's mask as it is drawn and mirrored in the
        image. Without its border, where a pixel holds liver and lung or fat.
    """

    def __init__(self) -> None:
        self.right = 0
        self.pixels = 0
        self.spread = dict.fromkeys(_STEPS, Moments())

    @classmethod
    def of(cls, hu: np.ndarray, labels: np.ndarray) -> MaskFit:
        """Of a single slice."""
        fit = cls()
        fit.add(hu, labels)
        return fit

    def add(self, hu: np.ndarray, labels: np.ndarray) -> None:
        """Take a slice into account; HU and labels are [rows, columns] in canonical orientation."""
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
        """Share of the liver on the patient's right half of the body; None without a liver."""
        return self.right / self.pixels if self.pixels else None

    def cautions(self) -> list[Caution]:
        """``liver-side``, and one of ``mask-mirrored`` and ``liver-uneven``, or less."""
        found = []
        if self.pixels >= _LEAST_PIXELS and self.right_share < 0.5:
            found.append(
                Caution(
                    "liver-side",
                    f"{1 - self.right_share:.0%} of the liver mask lies on the patient's left half "
                    "of the body; the liver lies on the right, except in situs inversus. Are the "
                    "sides swapped in the mask, or in image and mask together?",
                )
            )
        if self.spread["as drawn"].count < _LEAST_PIXELS:
            return found
        drawn = self.spread["as drawn"].sd
        way, best = min(self.spread.items(), key=lambda pair: pair[1].sd)
        low, high = PLAUSIBLE_MEAN_HU["liver"]
        if drawn > _EVEN_SD_HU and best.sd < _MUCH_SMALLER * drawn and low <= best.mean <= high:
            found.append(
                Caution(
                    "mask-mirrored",
                    f"under the liver mask HU spread by {drawn:.0f} (SD); mirrored {way} it would "
                    f"lie on tissue that spreads by {best.sd:.0f} only. Is the mask mirrored?",
                )
            )
        elif drawn > _UNEVEN_SD_HU:
            found.append(
                Caution(
                    "liver-uneven",
                    f"under the liver mask HU spread by {drawn:.0f} (SD), more than those of one "
                    f"organ; expected at most {_UNEVEN_SD_HU:.0f}. Is the mask shifted, turned, or "
                    "of another scan?",
                )
            )
        return found


def _without_border(mask: np.ndarray) -> np.ndarray:
    """Pixels of a mask whose four neighbours belong to it too."""
    padded = np.pad(mask, 1)
    vertical = padded[:-2, 1:-1] & padded[2:, 1:-1]
    return mask & vertical & padded[1:-1, :-2] & padded[1:-1, 2:]

"""Plausibility checks: whether values can be HU, and whether a mask fits its image."""

import math
from pathlib import Path

import numpy as np

from liver_tf.ct.bad_input import bad_input
from liver_tf.labels import LIVER
from liver_tf.refusals import Caution

#: Scanners store HU in 16 bits; extended scales for metal end at about 30,700 HU.
HU_LIMITS = (-32768, 32767)

#: Pixel spacings outside these limits are not CT (mm).
SPACING_LIMITS_MM = (0.01, 20.0)

#: The longer side of a slice (mm), from less than a liver to more than any scanner's field of view.
#: Cropped images pass.
FIELD_LIMITS_MM = (30.0, 2000.0)

#: The longer side of usual abdominal CT slices is well within these limits (mm).
USUAL_FIELD_MM = (150.0, 1000.0)

#: Every body image contains air or fat and soft tissue, which are hundreds of HU apart.
SMALLEST_SPREAD_HU = 100

#: Values up to this are padding (-2000, -3024), not air.
_PADDING_HU = -1500
#: Where fat and soft tissue belong, and where they lie after an offset of 1000 to 1024.
_TISSUE_HU, _SHIFTED_HU = (-200, 300), (824, 1324)
#: Lung and air, well below the noise of air that was shifted to 24.
_AIR_HU = (-1100, -150)
#: Shares of the values: dense bone is rarer than this, and in an image without air than the first
#: one; soft tissue is more frequent.
_BONE_SHARES, _TISSUE_SHARE = (0.05, 0.15), 0.02
#: Fewer values below 0 are noise or interpolation, or single damaged voxels.
_NEGATIVE_SHARE = 0.001
#: Pixels along a side of a slice that are counted, at most about twice as many.
_COUNTED_SIDE = 128

#: Mean HU of liver (severe steatosis without contrast to a bright arterial phase) and lesions (with
#: fat to strongly enhancing). Wider than textbook ranges, to catch only masks that are shifted.
PLAUSIBLE_MEAN_HU = {"liver": (-30.0, 250.0), "lesion": (-100.0, 300.0)}

#: Voxels outside this range are lung, gas, bone or metal, not liver or (uncalcified) lesion.
SOFT_TISSUE_HU = (-150, 400)
LARGEST_SHARE_OUTSIDE = 0.10


class HuHistogram:
    """Where the values of an image lie, collected slice by slice: they must be those of a CT."""

    def __init__(self) -> None:
        self._lowest, self._highest = math.inf, -math.inf
        self._below = dict.fromkeys((*_TISSUE_HU, *_SHIFTED_HU, *_AIR_HU, _PADDING_HU, 0), 0)
        self._counted = 0

    def add(self, hu: np.ndarray, padding: np.ndarray | None = None) -> None:
        """Include a slice, [rows, columns] in HU; ``padding`` is bool of the same shape."""
        real = hu if padding is None or not padding.any() else hu[~padding]
        if not real.size:
            return
        self._lowest = min(self._lowest, float(real.min()))
        self._highest = max(self._highest, float(real.max()))
        # A sample of large slices, for speed.
        rows, columns = (slice(None, None, max(1, side // _COUNTED_SIDE)) for side in hu.shape)
        sample = hu[rows, columns]
        if padding is not None:
            sample = sample[~padding[rows, columns]]
        self._counted += sample.size
        for limit in self._below:
            self._below[limit] += int(np.count_nonzero(sample < limit))

    @property
    def empty(self) -> bool:
        """Whether no value was added."""
        return self._lowest > self._highest

    def refuse_range(self, path: Path | None) -> None:
        """Refuse values whose range cannot be that of HU, also in a slice of air or liver alone.

        Raises:
          Refusal: ``hu-impossible``; ``hu-unscaled`` if none is below 0 or all are nearly equal.
        """
        lowest, highest = self._lowest, self._highest
        if lowest < HU_LIMITS[0] or highest > HU_LIMITS[1]:
            expected = f"HU between {HU_LIMITS[0]} and {HU_LIMITS[1]}"
            found = f"values from {lowest:g} to {highest:g}"
            raise bad_input("hu-impossible", path, expected, found)
        if lowest >= 0 or highest - lowest < SMALLEST_SPREAD_HU:
            expected = "HU, with air or fat below 0 and tissues far apart"
            found = f"values from {lowest:g} to {highest:g}, which look unscaled"
            raise bad_input("hu-unscaled", path, expected, found)

    def refuse_implausible(self, path: Path | None) -> None:
        """Refuse an image whose values cannot be HU.

        Raises:
          Refusal: as :meth:`refuse_range`; ``hu-unscaled`` if hardly any value is below 0, or if
            air and soft tissue are not where they belong. A few voxels, such as padding, change
            nothing.
        """
        self.refuse_range(path)
        counted = max(self._counted - self._below[_PADDING_HU], 1)
        negative = self._below[0] - self._below[_PADDING_HU]
        tissue, shifted, air = (
            self._between(*limits) / counted for limits in (_TISSUE_HU, _SHIFTED_HU, _AIR_HU)
        )
        expected = "a CT in HU, with air near -1000, fat near -100 and soft tissue near 50"
        if shifted >= _BONE_SHARES[0 if air < shifted / 10 else 1]:
            found = f"{shifted:.0%} of the values near 1000: HU + 1024, or another offset of 1000"
        elif tissue < _TISSUE_SHARE:
            found = f"{tissue:.1%} of the values in the range of fat and soft tissue"
        elif negative < _NEGATIVE_SHARE * counted:
            found = f"{negative / counted:.2%} of the values below 0"
        else:
            return
        raise bad_input("hu-unscaled", path, expected, f"{found}; they look unscaled")

    def _between(self, low: int, high: int) -> int:
        return self._below[high] - self._below[low]


def refuse_implausible_hu(hu: np.ndarray, path: Path | None) -> None:
    """Refuse slices [slices, rows, columns] whose values cannot be HU, as :class:`HuHistogram`."""
    histogram = HuHistogram()
    for each in hu:
        histogram.add(each)
    histogram.refuse_implausible(path)


def labelled_box(labels: np.ndarray) -> tuple[slice, ...] | None:
    """Bounding box of all labels above 0 in an array of integers; None if there are none."""
    if labels.ndim == 2:
        return _box_of_slice(labels)
    box: list[slice] = []
    for axis in range(labels.ndim):
        others = tuple(other for other in range(labels.ndim) if other != axis)
        places = np.flatnonzero(labels[tuple(box)].any(axis=others))
        if not places.size:
            return None
        box.append(slice(int(places[0]), int(places[-1]) + 1))
    return tuple(box)


def _box_of_slice(labels: np.ndarray) -> tuple[slice, slice] | None:
    """Bounding box in [rows, columns], eight bytes at a time if the row length allows."""
    words = labels
    if labels.flags.c_contiguous and labels.nbytes and labels.shape[1] * labels.itemsize % 8 == 0:
        words = labels.view(np.uint64)
    rows = np.flatnonzero(np.bitwise_or.reduce(words, axis=1))
    if not rows.size:
        return None
    down = slice(int(rows[0]), int(rows[-1]) + 1)
    together = np.bitwise_or.reduce(words[down], axis=0)
    columns = np.flatnonzero(np.ascontiguousarray(together).view(labels.dtype))
    return down, slice(int(columns[0]), int(columns[-1]) + 1)


def hu_by_label(hu: np.ndarray, labels: np.ndarray) -> dict[int, np.ndarray]:
    """HU under every label above 0 that occurs, each a flat array.

    Args:
      hu: int16 or float32 of any shape, HU.
      labels: Integers of the same shape, 0 or more.
    """
    box = labelled_box(labels)
    if box is None:
        return {}
    hu, labels = hu[box], labels[box]
    values = {label: hu[labels == label] for label in range(1, int(labels.max()) + 1)}
    return {label: under for label, under in values.items() if under.size}


class MaskHuCheck:
    """HU under liver and lesions, collected slice by slice, to detect a displaced mask.

    Args:
      lesion_labels: Labels of lesions; by default every label above liver.
    """

    def __init__(self, lesion_labels: tuple[int, ...] | None = None) -> None:
        self._lesion_labels = lesion_labels
        # By name: number of voxels, sum of HU, number of voxels outside soft tissue.
        self._sums = {name: np.zeros(3) for name in PLAUSIBLE_MEAN_HU}

    def add(self, values_by_label: dict[int, np.ndarray]) -> None:
        """Include a slice or a volume, as returned by :func:`hu_by_label`."""
        for label, values in values_by_label.items():
            lesion = label > LIVER if self._lesion_labels is None else label in self._lesion_labels
            if label != LIVER and not lesion:
                continue
            exact = np.int64 if values.dtype.kind == "i" else np.float64
            outside = np.count_nonzero(values < SOFT_TISSUE_HU[0])
            outside += np.count_nonzero(values > SOFT_TISSUE_HU[1])
            self._sums["lesion" if lesion else "liver"] += np.array(
                [values.size, values.sum(dtype=exact), outside], np.float64
            )

    def cautions(self) -> tuple[Caution, ...]:
        """At most one caution ``liver-hu`` and one ``lesion-hu``; none for an empty mask."""
        cautions = []
        for name, (voxels, total, outside) in self._sums.items():
            if not voxels:
                continue
            mean, share = total / voxels, outside / voxels
            low, high = PLAUSIBLE_MEAN_HU[name]
            if not low <= mean <= high or share > LARGEST_SHARE_OUTSIDE:
                cautions.append(
                    Caution(
                        f"{name}-hu",
                        f"under the {name} mask the mean is {mean:.0f} HU and {share:.0%} of the "
                        f"voxels are air, lung, bone or metal; expected a mean of {low:.0f} to "
                        f"{high:.0f} HU. Check that the mask is not flipped or rotated.",
                    )
                )
        return tuple(cautions)


def mask_cautions(
    hu: np.ndarray, labels: np.ndarray, lesion_labels: tuple[int, ...] | None = None
) -> tuple[Caution, ...]:
    """:class:`MaskHuCheck` of a single array."""
    check = MaskHuCheck(lesion_labels)
    check.add(hu_by_label(hu, labels))
    return check.cautions()

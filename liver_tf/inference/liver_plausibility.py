"""Whether a liver mask can be a liver: cautions that need no reference mask.

The limits are wide: a correct outline of a usual scan gets no caution, and a partial scan gets
``liver-cut`` only.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from liver_tf.ct.hu_plausibility import LARGEST_SHARE_OUTSIDE, PLAUSIBLE_MEAN_HU, SOFT_TISSUE_HU
from liver_tf.ct.window import DEFAULT_WINDOW
from liver_tf.inference.largest_component_3d import MOST_RUNS
from liver_tf.inference.pixel_runs import components, holes, runs_of
from liver_tf.refusals import Caution
from liver_tf.scan_ranges import ScanRanges, ScanValues, outside_text

#: From a small remnant after resection to severe polycystic disease.
VOLUME_LIMITS_ML = (400.0, 4000.0)
#: The first or last slice cuts the liver if its liver area exceeds this share of the largest area;
#: a smaller tip that is missing changes the volume by less than 2 %.
CUT_SHARE = 0.1
#: Liver along the border of an image, in mm (or pixels if the spacing is unknown), that cuts it.
CUT_MM = 20.0
#: Largest share of the liver that may be filled holes; large dark lesions leave such holes.
HOLES_SHARE = 0.05
#: Largest size of the second part, as a share of the first.
PARTS_SHARE = 0.05
#: SD of HU, clipped to soft tissue, above which the mask covers more than one organ.
LARGEST_SD_HU = 70.0

#: Largest difference between the mean HU of a scan and of the training data, in SDs of the latter.
TRAINING_SDS = 2.0


def liver_cautions(
    hu: np.ndarray,
    liver: np.ndarray,
    network_mask: np.ndarray,
    spacing_mm: tuple[float, ...] | None,
) -> tuple[Caution, ...]:
    """Cautions on the liver of a scan, at most one of each code; none if there is no liver.

    Args:
      hu: HU [slices, rows, columns], canonical orientation.
      liver: bool of the same shape: the largest component, with its holes filled.
      network_mask: bool [slices, s, s], all that the network marked.
      spacing_mm: Along (slices, rows, columns). Without it (None, or NaN between slices) the volume
        is not checked.

    Returns:
      ``liver-volume``, ``liver-cut``, ``liver-holes``, ``liver-parts``, ``liver-hu``.
    """
    areas = np.array([np.count_nonzero(each) for each in liver])
    if not areas.any():
        return ()
    cut = _cut(liver, areas, spacing_mm)
    found = [
        *_volume(int(areas.sum()), spacing_mm, partial=bool(cut) or len(hu) == 1),
        *cut,
        *_shape(network_mask),
        *_hu(hu, liver),
    ]
    return tuple(Caution(code, text) for code, text in found)


def outside_training(
    networks: Mapping[str, ScanRanges | None], scan: ScanValues
) -> tuple[Caution, ...]:
    """``training-range`` if a scan lies outside the training data of a network.

    Args:
      networks: As ``CascadeTrainedOn.ranges``.
      scan: From ``scan_values``.
    """
    text = outside_text(networks, scan)
    if not text:
        return ()
    text = f"outside the range of the training data: {text}. Results are less reliable."
    return (Caution("training-range", text),)


def scan_values(
    hu: np.ndarray,
    liver: np.ndarray,
    lesion: np.ndarray,
    spacing_mm: Sequence[float] | None,
    *,
    whole: bool,
    window: tuple[int, int] = DEFAULT_WINDOW,
) -> ScanValues:
    """The values of a scan that ``ScanRanges`` holds of the training scans.

    Args:
      hu, liver: As ``liver_cautions``.
      lesion: bool of the same shape.
      spacing_mm: Along (slices, rows, columns); None, or NaN between slices, if unknown.
      whole: Whether the scan holds the whole liver.
      window: (low, high) HU of the training records.
    """
    spacing = [float(mm) if np.isfinite(mm) else None for mm in spacing_mm or (np.nan,) * 3]
    values = np.clip(hu[liver & ~lesion], *window)
    known = [mm for mm in spacing if mm is not None]
    volume = np.count_nonzero(liver) * float(np.prod(known)) / 1000
    return {
        "pixel_mm": max(known[-2:], default=None),
        "slice_mm": spacing[0],
        "liver_hu": float(values.mean(dtype=np.float64)) if values.size else None,
        "liver_ml": volume if whole and volume and len(known) == 3 else None,
    }


def unlike_training(
    hu: np.ndarray, liver: np.ndarray, mean_hu: float, sd_hu: float
) -> tuple[Caution, ...]:
    """``liver-training`` if the mean HU of the liver is unlike those of the training data.

    For networks of earlier versions, without the ranges of their training scans.

    Args:
      hu, liver: As ``liver_cautions``.
      mean_hu, sd_hu: Of the liver voxels of the training data.
    """
    if not liver.any():
        return ()
    mean = float(hu[liver].mean(dtype=np.float64))
    if abs(mean - mean_hu) <= TRAINING_SDS * sd_hu:
        return ()
    text = (
        f"the mean of the liver is {mean:.0f} HU; in the training data it was {mean_hu:.0f} HU "
        f"(SD {sd_hu:.0f} HU). The contrast phase may differ, or the liver may be diseased: "
        "results are less reliable."
    )
    return (Caution("liver-training", text),)


_Found = list[tuple[str, str]]


def _volume(voxels: int, spacing_mm: tuple[float, ...] | None, *, partial: bool) -> _Found:
    volume = voxels * float(np.prod(spacing_mm or np.nan)) / 1000
    least, most = VOLUME_LIMITS_ML
    if not (volume > most or (volume < least and not partial)):
        return []
    expected = f"expected {least:.0f} to {most:.0f} ml"
    text = f"the liver volume is {volume:.0f} ml; {expected}. Check the outline and the spacing."
    return [("liver-volume", text)]


def _cut(liver: np.ndarray, areas: np.ndarray, spacing_mm: tuple[float, ...] | None) -> _Found:
    """Not for a single slice, which is always a part."""
    row_mm, column_mm = (spacing_mm or (1.0,) * 3)[1:]
    sides = {
        "anterior": liver[:, 0].sum(axis=1).max() * column_mm,
        "posterior": liver[:, -1].sum(axis=1).max() * column_mm,
        "right": liver[:, :, 0].sum(axis=1).max() * row_mm,
        "left": liver[:, :, -1].sum(axis=1).max() * row_mm,
    }
    cut = [side for side, length in sides.items() if length >= CUT_MM]
    if len(liver) > 1:
        ends = {"lower": areas[0], "upper": areas[-1]}
        cut += [end for end, area in ends.items() if area > CUT_SHARE * areas.max()]
    if not cut:
        return []
    *others, final = cut
    borders = f"{', '.join(others)} and {final} borders" if others else f"{final} border"
    text = f"the liver extends beyond the {borders} of the scan: its volume is incomplete."
    return [("liver-cut", text)]


def _shape(network_mask: np.ndarray) -> _Found:
    runs = runs_of(network_mask, network_mask.shape, MOST_RUNS)
    if runs is None or not len(runs):
        return []
    names, count = components(runs)
    sizes = np.bincount(names, runs.length, minlength=count)
    filled = holes(runs[names == sizes.argmax()]).length.sum()
    found = []
    if (share := filled / (filled + sizes.max())) > HOLES_SHARE:
        text = f"holes in the outline ({share:.0%} of the liver) were filled"
        found.append(("liver-holes", f"{text}. Check whether they are large lesions."))
    second = np.sort(sizes)[-2] / sizes.max() if count > 1 else 0.0
    if second > PARTS_SHARE:
        text = f"the liver outline has several parts, the second {second:.0%} as large as the first"
        found.append(("liver-parts", f"{text}. Only the largest is used: check the outline."))
    return found


def _hu(hu: np.ndarray, liver: np.ndarray) -> _Found:
    values = hu[liver]
    mean = values.mean(dtype=np.float64)
    outside = np.mean((values < SOFT_TISSUE_HU[0]) | (values > SOFT_TISSUE_HU[1]))
    sd = np.clip(values, *SOFT_TISSUE_HU).std(dtype=np.float64)
    low, high = PLAUSIBLE_MEAN_HU["liver"]
    if low <= mean <= high and outside <= LARGEST_SHARE_OUTSIDE and sd <= LARGEST_SD_HU:
        return []
    text = (
        f"within the liver outline, the mean is {mean:.0f} HU, the SD is {sd:.0f} HU, and "
        f"{outside:.0%} of the voxels are air, lung, bone or metal; expected a mean of {low:.0f} "
        f"to {high:.0f} HU and an SD of at most {LARGEST_SD_HU:.0f} HU. Check the outline."
    )
    return [("liver-hu", text)]

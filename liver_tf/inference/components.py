"""Connected components: the liver is the largest one (the paper's post-processing)."""

from __future__ import annotations

import cc3d
import numpy as np
from scipy import ndimage


def largest_component(mask: np.ndarray, *, fill_holes: bool = True) -> np.ndarray:
    """The largest connected component of a mask.

    Args:
      mask: bool [slices, rows, columns] (26-connected) or [rows, columns] (8-connected).
      fill_holes: fill holes, slice by slice: a lesion that the liver network leaves out is inside
        the liver.

    Returns:
      bool of the same shape; all False for an empty mask. Of two components of equal size the one
      that comes first in memory.
    """
    mask = np.ascontiguousarray(mask, bool)
    if not mask.any():
        return mask
    labelled = cc3d.connected_components(mask, connectivity=26 if mask.ndim == 3 else 8)
    sizes = cc3d.statistics(labelled, no_slice_conversion=True)["voxel_counts"]
    kept = labelled == 1 + int(np.argmax(sizes[1:]))
    if not fill_holes:
        return kept
    if kept.ndim == 2:
        return ndimage.binary_fill_holes(kept)
    return np.stack([ndimage.binary_fill_holes(one) if one.any() else one for one in kept])

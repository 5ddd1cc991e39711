"""The liver is the largest 3-D component of the liver network's mask (the paper's post-processing).

26 neighbours; of two components of equal size the one whose first voxel comes first; holes are
filled slice by slice. ``graph_components_2d`` and ``graph_components_3d`` follow the same rules.
"""

import numpy as np
from scipy import ndimage

from liver_tf.inference.pixel_runs import components, holes, paint, runs_of

#: A mask with more runs is noise. Labels of voxels (4 bytes each) then take less memory than runs
#: (about 100 bytes each).
MOST_RUNS = 2_000_000


def largest_component(mask: np.ndarray, *, fill_holes: bool = True) -> np.ndarray:
    """The largest connected component of a volume, bool [slices, rows, columns].

    ``fill_holes`` works slice by slice: a lesion that the liver network leaves out is part of the
    liver. An empty mask stays empty. Takes the memory of the result and a few MiB.
    """
    mask = np.asarray(mask, bool)
    runs = runs_of(mask, mask.shape, MOST_RUNS)
    if runs is None:
        return _largest_of_noise(mask, fill_holes)
    if not len(runs):
        return np.zeros(mask.shape, bool)
    names, count = components(runs)
    # argmax returns the first maximum, and components are numbered by their first pixels.
    largest = np.bincount(names, runs.length, minlength=count).argmax()
    kept = runs[names == largest]
    return paint(kept, holes(kept)) if fill_holes else paint(kept)


def _largest_of_noise(mask: np.ndarray, fill_holes: bool) -> np.ndarray:
    labels = np.empty(mask.shape, np.int32)
    count = ndimage.label(mask, np.ones((3, 3, 3)), output=labels)
    sizes = np.zeros(count + 1, np.int64)
    for slice_labels in labels:
        sizes += np.bincount(slice_labels.reshape(-1), minlength=count + 1)
    # scipy numbers components by their first pixels, too.
    kept = labels == sizes[1:].argmax() + 1
    if fill_holes:
        for slice_mask in kept:
            slice_mask[:] = ndimage.binary_fill_holes(slice_mask)
    return kept

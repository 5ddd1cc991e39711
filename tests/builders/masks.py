"""Random masks, and their connected components by scipy."""

import numpy as np
from scipy import ndimage


def largest_by_scipy(mask):
    """The largest component with 26 (8) neighbours; of equal sizes the one with the first pixel."""
    labelled, count = ndimage.label(mask, np.ones((3,) * mask.ndim))
    if not count:
        return np.zeros_like(mask)
    sizes = [(labelled == number).sum() for number in range(1, count + 1)]
    first = [np.flatnonzero(labelled == number)[0] for number in range(1, count + 1)]
    best = min(range(count), key=lambda index: (-sizes[index], first[index]))
    return labelled == best + 1


def draw_mask(generator, shape):
    noise = generator.normal(size=shape)
    smooth = ndimage.gaussian_filter(noise, generator.uniform(0, 1.5))
    return smooth > np.quantile(smooth, generator.uniform(0.2, 0.95))

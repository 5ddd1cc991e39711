"""A NIfTI volume and its label map, read side by side, one axial slice at a time.

The memory needed does not grow with the scan. This requires a file whose last axis runs from feet
to head, as in nearly all files; others are read completely first, into a temporary file if they
exceed ``LARGEST_IN_MEMORY``.
"""

import contextlib
import math
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from liver_tf.ct.hu_plausibility import HuHistogram
from liver_tf.ct.mask_placement import mask_grid
from liver_tf.ct.nifti_file import NiftiFile
from liver_tf.ct.nifti_volume import (
    grid_of,
    mask_header_cautions,
    stored_to_hu,
    volume_header_cautions,
    whole_labels,
)
from liver_tf.ct.orientation import canonical_affine, spacing_of, to_canonical
from liver_tf.ct.scan import SourceGrid

#: Bytes of stored voxels kept in memory for a file that cannot be read slice by slice.
LARGEST_IN_MEMORY = 1 << 28


@contextlib.contextmanager
def open_nifti_with_labels(
    volume: Path | str, labels: Path | str, allowed: Collection[int] = (0, 1, 2)
) -> Iterator["NiftiWithLabels"]:
    """Open a volume and its label map; :meth:`NiftiWithLabels.slices` reads the voxels.

    ``allowed`` are the labels that may occur, within 0 to 255.
    """
    with NiftiFile(volume) as volume_file, NiftiFile(labels) as labels_file:
        yield NiftiWithLabels(volume_file, labels_file, allowed)


class NiftiWithLabels:
    """An open volume and its label map.

    Attributes:
      source, spacing_mm: As in :class:`liver_tf.ct.scan.Scan`.
      cautions: As of :func:`liver_tf.ct.nifti_volume.read_nifti_volume` and
        :func:`liver_tf.ct.nifti_volume.read_nifti_labels`.
    """

    def __init__(self, volume: NiftiFile, labels: NiftiFile, allowed: Collection[int]) -> None:
        self._volume, self._labels, self._allowed = volume, labels, allowed
        self.source: SourceGrid = grid_of(volume.path, volume.header)
        self._labels_grid, cautions = mask_grid(labels.header, self.source, labels.path)
        affine = canonical_affine(volume.header.affine, self.source)
        self.spacing_mm: tuple[float, float, float] = spacing_of(affine)
        self.cautions = (
            *volume_header_cautions(volume.header),
            *mask_header_cautions(labels.header),
            *cautions,
        )

    def slices(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (HU, labels) of each slice once, from feet to head.

        HU are int16 where those of the slice are whole, else float32; labels are uint8; both
        [rows, columns], each slice a separate array. Checksums and the plausibility of the HU are
        checked after the last slice.
        """
        histogram = HuHistogram()
        for stored, stored_labels in zip(
            _stored_slices(self._volume, self.source),
            _stored_slices(self._labels, self._labels_grid),
            strict=True,
        ):
            hu = stored_to_hu(stored[np.newaxis], self._volume.header, self._volume.path)[0]
            histogram.add(hu)
            labels = whole_labels(
                stored_labels[np.newaxis], self._labels.header, self._labels.path, self._allowed
            )[0]
            yield hu, labels
        histogram.refuse_implausible(self._volume.path)


def label_slices(path: Path, source: SourceGrid, allowed: Collection[int]) -> Iterator[np.ndarray]:
    """Yield uint8 [rows, columns] of another label map of the volume with grid ``source``."""
    with NiftiFile(path) as file:
        grid, _ = mask_grid(file.header, source, path)
        for stored in _stored_slices(file, grid):
            yield whole_labels(stored[np.newaxis], file.header, path, allowed)[0]


def _stored_slices(file: NiftiFile, grid: SourceGrid) -> Iterator[np.ndarray]:
    """Stored values [rows, columns] of the canonical slices, from feet to head."""
    if grid.axes[0] == 2 and not grid.flips[0]:
        for slab in file.slabs():
            # [j, i, 1] has the memory layout of [i, j, k]: no voxel is moved.
            yield to_canonical(slab.T[:, :, np.newaxis], grid)[0]
        return
    with tempfile.TemporaryFile() as spilled:
        shape, dtype = file.header.shape[::-1], file.header.dtype
        buffer = None
        if math.prod(shape) * dtype.itemsize > LARGEST_IN_MEMORY:
            buffer = np.memmap(spilled, dtype, "w+", shape=shape)
        yield from to_canonical(file.read(buffer), grid)

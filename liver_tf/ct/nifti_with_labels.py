"""A CT volume and its label map, read side by side, one axial slice after the other.

So a conversion holds a few slices, not a volume: what a worker needs does not grow with the scan.
That takes a file whose last axis runs from the feet to the head, as nearly all do; others are
read whole first, beyond ``LARGEST_IN_MEMORY`` into a temporary file.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from liver_tf.ct.hu_plausibility import refuse_implausible_hu
from liver_tf.ct.nifti import (
    grid_of,
    mask_header_cautions,
    refuse_other_shape,
    stored_to_hu,
    volume_header_cautions,
    whole_labels,
)
from liver_tf.ct.nifti_file import NiftiFile
from liver_tf.ct.orientation import canonical_affine, spacing_of, to_canonical
from liver_tf.ct.scan import SourceGrid

#: Bytes of stored voxels that are held in memory where a file cannot be read slice by slice.
LARGEST_IN_MEMORY = 1 << 28


class NiftiWithLabels:
    """The open pair.

    Attributes:
      source: how the volume's array lies to the canonical one.
      spacing_mm: along (slices, rows, columns).
      cautions: as of :func:`read_nifti_volume` and :func:`read_nifti_labels`.
    """

    def __init__(self, volume: NiftiFile, labels: NiftiFile, allowed: Collection[int]) -> None:
        self._volume, self._labels, self._allowed = volume, labels, allowed
        self.source: SourceGrid = grid_of(volume.path, volume.header)
        refuse_other_shape(labels.header, self.source, labels.path)
        affine = canonical_affine(volume.header.affine, self.source)
        self.spacing_mm: tuple[float, float, float] = spacing_of(affine)
        self.cautions = (
            *volume_header_cautions(volume.header),
            *mask_header_cautions(labels.header, self.source),
        )

    def slices(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(HU, labels) of one slice after the other, feet to head; once only.

        HU are int16 where those of the slice are whole, else float32; labels are uint8; both
        [rows, columns], each slice an array of its own. Whether both files are sound and their HU
        plausible is known only when the iteration has ended.

        Raises:
          Refusal: as :func:`read_nifti_volume` and :func:`read_nifti_labels`.
        """
        lowest, highest = math.inf, -math.inf
        for stored, stored_labels in zip(
            _stored_slices(self._volume, self.source),
            _stored_slices(self._labels, self.source),
            strict=True,
        ):
            hu = stored_to_hu(stored[np.newaxis], self._volume.header, self._volume.path)[0]
            lowest, highest = min(lowest, float(hu.min())), max(highest, float(hu.max()))
            labels = whole_labels(
                stored_labels[np.newaxis], self._labels.header, self._labels.path, self._allowed
            )[0]
            yield hu, labels
        refuse_implausible_hu(lowest, highest, self._volume.path)


@contextlib.contextmanager
def open_nifti_with_labels(
    volume: Path | str, labels: Path | str, allowed: Collection[int] = (0, 1, 2)
) -> Iterator[NiftiWithLabels]:
    """Open a volume and its label map; voxels are read by :meth:`NiftiWithLabels.slices`.

    Args:
      allowed: labels that may occur, within 0 to 255.

    Raises:
      Refusal: as :func:`liver_tf.ct.nifti_file.read_nifti`, and ``mask-shape``.
    """
    with NiftiFile(volume) as first, NiftiFile(labels) as second:
        yield NiftiWithLabels(first, second, allowed)


def _stored_slices(file: NiftiFile, grid: SourceGrid) -> Iterator[np.ndarray]:
    """Stored values [rows, columns] of canonical slices, feet to head."""
    if grid.axes[0] == 2 and not grid.flips[0]:
        for slab in file.slabs():
            # [j, i, 1] is laid out as [i, j, k] is; no voxel is moved.
            yield to_canonical(slab.T[:, :, np.newaxis], grid)[0]
        return
    with tempfile.TemporaryFile() as spilled:
        shape, dtype = file.header.shape[::-1], file.header.dtype
        buffer = None
        if math.prod(shape) * dtype.itemsize > LARGEST_IN_MEMORY:
            buffer = np.memmap(spilled, dtype, "w+", shape=shape)
        yield from to_canonical(file.read(buffer), grid)

"""Which voxel belongs to which lesion of a label map: the numbers that the list of lesions has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liver_tf.inference.pixel_runs import PixelRuns, components, runs_of_slices
from liver_tf.labels import LIVER


def runs_of_lesions(labels: np.ndarray) -> PixelRuns:
    """The runs of all lesions of a label map, uint8 [slices, rows, columns]."""
    return runs_of_slices((one > LIVER for one in labels), labels.shape)


@dataclass(frozen=True)
class LesionComponents:
    """The lesions of a label map, kept as runs: a scan's worth of numbers would be its size.

    Touching voxels (26 neighbours) of whatever type are one lesion; lesions are numbered from 1 in
    the order of their first voxels, from the feet to the head, then from front to back.

    Attributes:
      runs: of all lesion voxels of the scan.
      index: int64 [runs], the lesion of each, from 0: its number less one.
      count: how many lesions there are.
    """

    runs: PixelRuns
    index: np.ndarray
    count: int

    @classmethod
    def of_labels(cls, labels: np.ndarray) -> LesionComponents:
        """Of a label map, integer [slices, rows, columns]."""
        runs = runs_of_lesions(labels)
        return cls(runs, *components(runs))

    @property
    def dtype(self) -> np.dtype:
        """uint16, or uint32 where the numbers would not fit."""
        return np.dtype(np.uint16 if self.count <= np.iinfo(np.uint16).max else np.uint32)

    def voxels(self) -> np.ndarray:
        """Voxels of each lesion, int64 [lesions]."""
        return np.bincount(self.index, self.runs.length, minlength=self.count).astype(np.int64)

    def centroids(self) -> np.ndarray:
        """Mean (slice, row, column) of the voxels of each lesion, float64 [lesions, 3]."""
        runs = self.runs
        middles = (runs.slice, runs.row, (runs.start + runs.end - 1) / 2)
        sums = [
            np.bincount(self.index, middle * runs.length, minlength=self.count)
            for middle in middles
        ]
        return np.stack(sums, axis=1) / self.voxels()[:, None]

    def paint(self, onto: np.ndarray) -> None:
        """Write every lesion's number into an integer array of zeros, [slices, rows, columns]."""
        runs = self.runs
        places = (runs.slice, runs.row, runs.start, runs.end, self.index + 1)
        for index, row, start, end, number in zip(*(one.tolist() for one in places), strict=True):
            onto[index, row, start:end] = number

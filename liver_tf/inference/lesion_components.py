"""The voxels of each lesion of a label map (the numbers in ``lesion_ids.nii.gz``)."""

from dataclasses import dataclass

import numpy as np

from liver_tf.inference.pixel_runs import PixelRuns, components, runs_of
from liver_tf.labels import LIVER


@dataclass(frozen=True)
class LesionComponents:
    """The lesions of a label map as runs of pixels, which take far less memory than a volume.

    Connected voxels (26 neighbours) of any type are one lesion. Lesions are numbered from 1 by
    their first voxels, from the feet to the head, then from front to back. ``index`` int64 [runs]
    is the number of each run's lesion minus 1.
    """

    runs: PixelRuns
    index: np.ndarray
    count: int

    @classmethod
    def of_labels(cls, labels: np.ndarray) -> "LesionComponents":
        """The lesions of a label map, integer [slices, rows, columns]."""
        runs = runs_of((each > LIVER for each in labels), labels.shape)
        return cls(runs, *components(runs))

    @property
    def dtype(self) -> np.dtype:
        """uint16, or uint32 for more lesions than it can hold."""
        return np.dtype(np.uint16 if self.count <= np.iinfo(np.uint16).max else np.uint32)

    def voxels(self) -> np.ndarray:
        """Voxels of each lesion, int64 [lesions]."""
        return np.bincount(self.index, self.runs.length, minlength=self.count).astype(np.int64)

    def slices(self) -> list[tuple[int, int]]:
        """First and last slice of each lesion."""
        first, last = np.full(self.count, self.runs.shape[0]), np.full(self.count, -1)
        np.minimum.at(first, self.index, self.runs.slice)
        np.maximum.at(last, self.index, self.runs.slice)
        return list(zip(first.tolist(), last.tolist(), strict=True))

    def largest_sections(self) -> np.ndarray:
        """Pixels of each lesion in the slice that holds most of it, int64 [lesions]."""
        slices = self.runs.shape[0]
        places, inverse = np.unique(self.index * slices + self.runs.slice, return_inverse=True)
        pixels = np.bincount(inverse, self.runs.length).astype(np.int64)
        largest = np.zeros(self.count, np.int64)
        np.maximum.at(largest, places // slices, pixels)
        return largest

    def centroids(self) -> np.ndarray:
        """Mean (slice, row, column) of the voxels of each lesion, float64 [lesions, 3]."""
        runs = self.runs
        middles = (runs.slice, runs.row, (runs.start + runs.end - 1) / 2)
        sums = [
            np.bincount(self.index, middle * runs.length, minlength=self.count)
            for middle in middles
        ]
        return np.stack(sums, axis=1) / self.voxels()[:, None]

    def paint(self, volume: np.ndarray, values: np.ndarray | None = None) -> None:
        """Write a value of every lesion into an integer array, [slices, rows, columns].

        ``values`` [lesions] are by default the numbers of the lesions, from 1.
        """
        runs = self.runs
        painted = self.index + 1 if values is None else values[self.index]
        columns = (runs.slice, runs.row, runs.start, runs.end, painted)
        for index, row, start, end, number in zip(*(c.tolist() for c in columns), strict=True):
            volume[index, row, start:end] = number

"""The first half of the cascade: where the liver is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from liver_tf.inference.graph_components_2d import largest_component
from liver_tf.inference.trained_network import TrainedNetwork
from liver_tf.labels import LIVER
from liver_tf.model.description import Description
from liver_tf.pipeline import resample

#: Slices that go through a network together.
BATCH = 8


class LiverFinder(tf.Module):
    """The liver network and what is made of its answer.

    Components are found on the liver network's own grid and then brought back to the slice: that
    is where the network decides, and it costs less than on the slice's grid.
    """

    def __init__(self, network: TrainedNetwork) -> None:
        super().__init__()
        if network.description.kind != "liver":
            raise ValueError(f"expected a liver network, got a {network.description.kind} network")
        self.network = network
        self._mask = HostGraph(self.mask_on_grid)
        self._back = HostGraph(self.back, tf.TensorSpec([2], tf.int32), dtypes=(tf.bool,))

    @classmethod
    def of_run(cls, folder: Path, *, flips: bool = False) -> LiverFinder:
        """From a finished run; raises ``Refusal`` where there is none."""
        return cls(TrainedNetwork.of_run(folder, "liver", flips=flips))

    @property
    def description(self) -> Description:
        """Of the liver network."""
        return self.network.description

    def mask_on_grid(self, hu: tf.Tensor) -> tf.Tensor:
        """HU [batch, rows, columns] to bool [batch, s, s]: liver more likely than not."""
        box = _whole(tf.shape(hu)[0], tf.shape(hu)[1:3])
        hu = tf.cast(hu, tf.float32)
        return self.network.probabilities_on_grid(hu, box)[..., LIVER] > 0.5

    def back(self, grids: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        """Masks bool [batch, s, s] to the slices' grid, bool [batch, rows, columns]."""
        origin = tf.zeros([tf.shape(grids)[0], 2], tf.int32)
        return self.back_to_window(grids, size, origin, size)

    @staticmethod
    def back_to_window(
        grids: tf.Tensor, size: tf.Tensor, origin: tf.Tensor, window: tf.Tensor
    ) -> tf.Tensor:
        """Masks bool [batch, s, s] to a part of the slices' grid, bool [batch, *window].

        Args:
          size: int32 [2], of the slices. origin: int32 [batch, 2], first row and column of the
            part in each slice. window: int32 [2], the size of the part.
        """
        box = _whole(tf.shape(grids)[0], size)
        box -= tf.pad(tf.cast(origin, tf.float32), [[0, 0], [0, 1]])
        maps = tf.cast(grids, tf.float32)[..., None]
        return resample.put_back(maps, box, window[0], window[1])[..., 0] > 0.5

    def find_on_grid(self, hu: np.ndarray) -> np.ndarray:
        """The liver of a scan on the liver network's grid, bool [slices, s, s].

        The largest 3-D component (2-D for a single slice) with its holes filled.
        """
        parts = [self._mask(part).numpy() for part in batches(hu)]
        return largest_component(np.concatenate(parts))

    def on_slices(self, grids: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Masks bool [slices, s, s] on the slices' own grid, bool [slices, rows, columns]."""
        masks = np.zeros((len(grids), *size), bool)
        some = np.flatnonzero(grids.any(axis=(1, 2)))
        for first in range(0, len(some), BATCH):
            group = some[first : first + BATCH]
            masks[group] = self._back(grids[group], size).numpy()
        return masks

    def find(self, hu: np.ndarray) -> np.ndarray:
        """The liver of a scan, HU [slices, rows, columns], feet to head.

        Returns:
          bool of the same shape: the largest 3-D component (2-D for a single slice) with its holes
          filled; all False where there is no liver.

        Raises:
          ValueError: as :func:`check_hu`.
        """
        check_hu(hu)
        return self.on_slices(self.find_on_grid(hu), hu.shape[1:])


def _whole(batch: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    return tf.tile(resample.whole_slice_box(size[0], size[1])[None], [batch, 1])


class HostGraph:
    """A function of a batch of slices as a graph that the host calls, one for each of its dtypes.

    It is no part of the module that holds it, so that an export does not carry it along.
    """

    def __init__(self, function, *more: tf.TensorSpec, dtypes=(tf.int16, tf.float32)) -> None:
        self._graphs = {
            dtype: tf.function(
                function, input_signature=[tf.TensorSpec([None, None, None], dtype), *more]
            )
            for dtype in dtypes
        }

    def __call__(self, slices: np.ndarray, *more):
        """``slices``: [batch, rows, columns]."""
        slices = tf.constant(slices)
        return self._graphs[slices.dtype](slices, *(tf.constant(one) for one in more))


def batches(hu: np.ndarray) -> Iterator[np.ndarray]:
    """Slices in groups, int16 as they are and all else as float32."""
    for first in range(0, len(hu), BATCH):
        yield for_graph(hu[first : first + BATCH])


def for_graph(hu: np.ndarray) -> np.ndarray:
    """int16 as it is, all else as float32."""
    return hu if hu.dtype == np.int16 else hu.astype(np.float32, copy=False)


def check_hu(hu: np.ndarray) -> None:
    """Raise ``ValueError`` unless these are finite HU of at least one pixel, [slices, r, c]."""
    if hu.ndim != 3:
        raise ValueError(f"hu: expected [slices, rows, columns], got {hu.ndim} axes")
    if not hu.size:
        raise ValueError(f"hu: expected at least one slice of at least one pixel, got {hu.shape}")
    if hu.dtype.kind not in "iuf":
        raise ValueError(f"hu: expected numbers, got {hu.dtype}")
    if hu.dtype.kind == "f" and not all(np.isfinite(one).all() for one in hu):
        raise ValueError("hu: expected finite Hounsfield units, got NaN or infinite ones")

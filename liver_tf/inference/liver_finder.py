"""The first half of the cascade: the liver network and its largest component."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from liver_tf.inference.largest_component_3d import largest_component
from liver_tf.inference.slice_batches import BATCH, SliceGraph, check_hu
from liver_tf.inference.trained_network import TrainedNetwork
from liver_tf.labels import LIVER
from liver_tf.model.precision_settings import FLOAT32
from liver_tf.pipeline import resample


class LiverFinder:
    """Finds the liver in slices or in a scan.

    The largest component is determined on the grid of the liver network (``grids``, bool [batch, s,
    s]) and then resampled to the slices, which costs less than on the grid of the slices.
    """

    def __init__(self, network: TrainedNetwork) -> None:
        if network.description.kind != "liver":
            raise ValueError(
                f"expected a liver network, found a {network.description.kind} network"
            )
        self.network, self.rule = network, network.description.liver_rule
        self._mask = SliceGraph(self.mask_on_grid)
        self._to_slices = SliceGraph(self.to_slices, tf.TensorSpec([2], tf.int32), dtypes=(bool,))

    @classmethod
    def of_run(
        cls, folder: Path, *, flips: bool = False, precision: str = FLOAT32
    ) -> "LiverFinder":
        """From a finished run; see ``TrainedNetwork.of_run``."""
        return cls(TrainedNetwork.of_run(folder, "liver", flips=flips, precision=precision))

    def find(self, hu: np.ndarray) -> np.ndarray:
        """The liver of a scan, HU [slices, rows, columns] from the feet to the head.

        Returns:
          bool of the same shape: the largest 3-D component (2-D for a single slice) with holes
          filled; all False if there is no liver.

        Raises:
          ValueError: As ``check_hu``.
        """
        check_hu(hu)
        return self.on_slices(largest_component(self.masks_on_grid(hu)), hu.shape[1:])

    def masks_on_grid(self, hu: np.ndarray) -> np.ndarray:
        """All components, on the grid of the liver network, bool [slices, s, s]."""
        parts = [self._mask(hu[k : k + BATCH]).numpy() for k in range(0, len(hu), BATCH)]
        return np.concatenate(parts)

    def on_slices(self, grids: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
        """Resample grids to slices of ``size``, bool [slices, rows, columns]."""
        masks = np.zeros((len(grids), *size), bool)
        not_empty = np.flatnonzero(grids.any(axis=(1, 2)))
        for first in range(0, len(not_empty), BATCH):
            group = not_empty[first : first + BATCH]
            masks[group] = self._to_slices(grids[group], size).numpy()
        return masks

    def mask_on_grid(self, hu: tf.Tensor) -> tf.Tensor:
        """HU [batch, rows, columns] to bool [batch, s, s]: liver by the rule of the network."""
        return self.decide(self.probability_on_grid(hu))

    def decide(self, probability: tf.Tensor) -> tf.Tensor:
        """Probability of liver to bool."""
        return probability > self.rule.probability

    def probability_on_grid(self, hu: tf.Tensor) -> tf.Tensor:
        """HU [batch, rows, columns] to the probability of liver, float32 [batch, s, s].

        The mean over the views of the rule.
        """
        box = _whole_slices(tf.shape(hu)[0], tf.shape(hu)[1:3])
        hu = tf.cast(hu, tf.float32)
        views = [self._view(hu, box, zoom) for zoom in self.rule.zooms]
        if self.rule.zooms == (1.0,):
            return views[0][0]
        return tf.add_n([p for p, _ in views]) / tf.add_n([covered for _, covered in views])

    def _view(self, hu: tf.Tensor, box: tf.Tensor, zoom: float) -> tuple[tf.Tensor, tf.Tensor]:
        """Probability in a view, on the grid of the whole slice, and 1 where the view covers it."""
        first, side = box[:, :2], box[:, 2:]
        view = tf.concat([first + side * (1 - zoom) / 2, side * zoom], axis=1)
        found = self.network.probabilities_on_grid(hu, view)[..., LIVER]
        if zoom == 1:
            return found, tf.ones_like(found)
        s = self.network.description.architecture.image_size
        place = tf.constant([[s * (1 - zoom) / 2, s * (1 - zoom) / 2, s * zoom]])
        maps = tf.stack([found, tf.ones_like(found)], axis=-1)
        on_whole = resample.put_back(maps, tf.tile(place, [tf.shape(hu)[0], 1]), s, s)
        return on_whole[..., 0], on_whole[..., 1]

    def to_slices(self, grids: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        """As ``on_slices``, for a batch as a graph."""
        origin = tf.zeros([tf.shape(grids)[0], 2], tf.int32)
        return self.to_windows(grids, size, origin, size)

    @staticmethod
    def to_windows(
        grids: tf.Tensor, size: tf.Tensor, origin: tf.Tensor, window: tf.Tensor
    ) -> tf.Tensor:
        """Resample grids to windows of slices of ``size``, bool [batch, *window].

        ``origin`` and ``window`` are those of :func:`liver_tf.inference.roi_box.windows_of`.
        """
        box = _whole_slices(tf.shape(grids)[0], size)
        box -= tf.pad(tf.cast(origin, tf.float32), [[0, 0], [0, 1]])
        maps = tf.cast(grids, tf.float32)[..., None]
        return resample.put_back(maps, box, window[0], window[1])[..., 0] > 0.5


def _whole_slices(batch: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    return tf.tile(resample.whole_slice_box(size[0], size[1])[None], [batch, 1])

"""What is made of the lesion network's probabilities: threshold, holes, least size.

Which settings serve a run is chosen on its validation patients (``trainers.choose_postprocessing``)
and kept in the run's folder.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from liver_tf import atomic_files, run_files
from liver_tf.inference.graph_components_2d import filled, sections
from liver_tf.inference.lesion_components import runs_of_lesions
from liver_tf.inference.lesion_properties import largest_in_a_slice
from liver_tf.inference.pixel_runs import components
from liver_tf.inference.roi_box import NOMINAL_SPACING_MM
from liver_tf.labels import LIVER
from liver_tf.model.weights_file import stored_hash
from liver_tf.refusals import Refusal


@dataclass(frozen=True)
class PostProcessing:
    """How probabilities become lesions. The defaults do nothing beyond the most likely class.

    Attributes:
      lesion_probability: a pixel is lesion where the probabilities of all types together reach
        this, and of the most likely type; None: it is of the most likely class.
      fill_holes: what a lesion encloses in a slice (4 neighbours) becomes lesion, of the type that
        is most likely there.
      least_area_mm2: a lesion is dropped unless its largest section in a slice reaches this.
    """

    lesion_probability: float | None = None
    fill_holes: bool = False
    least_area_mm2: float = 0.0

    def __post_init__(self) -> None:
        least = self.lesion_probability
        if least is not None and not 0 < least < 1:
            raise ValueError(f"lesion_probability: expected above 0 and below 1, got {least}")
        if not (math.isfinite(self.least_area_mm2) and self.least_area_mm2 >= 0):
            raise ValueError(f"least_area_mm2: expected 0 or more, got {self.least_area_mm2}")

    def steps(self) -> int:
        """How many of the three do something."""
        return sum(getattr(self, name) != value for name, value in asdict(NOTHING).items())

    def simplicity(self) -> tuple[float, ...]:
        """A key by which the simpler comes first: fewer steps, then the gentler, then any order."""
        probability = -1.0 if self.lesion_probability is None else self.lesion_probability
        apart = 0.0 if probability < 0 else round(abs(probability - 0.5), 6)
        return self.steps(), self.least_area_mm2, apart, probability, self.fill_holes

    def text(self) -> str:
        """For people."""
        parts = []
        if self.lesion_probability is not None:
            parts.append(f"lesion where its probability is {self.lesion_probability:g} or more")
        if self.fill_holes:
            parts.append("holes filled")
        if self.least_area_mm2:
            parts.append(f"lesions below {self.least_area_mm2:g} mm2 dropped")
        return ", ".join(parts) or "none"


NOTHING = PostProcessing()


def decide(probabilities: tf.Tensor, inside: tf.Tensor | None, how: PostProcessing) -> tf.Tensor:
    """Labels of pixels, all but the least size of lesions.

    Args:
      probabilities: float32 [batch, rows, columns, classes]; all zero is background.
      inside: bool [batch, rows, columns], where lesions (and liver) may be; None: anywhere.

    Returns:
      int32 [batch, rows, columns].
    """
    of_types = probabilities[..., LIVER + 1 :]
    kind = tf.argmax(of_types, axis=-1, output_type=tf.int32) + LIVER + 1
    if how.lesion_probability is None:
        labels = tf.argmax(probabilities, axis=-1, output_type=tf.int32)
    else:
        lesion = tf.reduce_sum(of_types, axis=-1) >= how.lesion_probability
        rest = tf.argmax(probabilities[..., : LIVER + 1], axis=-1, output_type=tf.int32)
        labels = tf.where(lesion, kind, rest)
    if inside is not None:
        labels = tf.where(inside, labels, 0)
    if how.fill_holes:
        lesion = labels > LIVER
        labels = tf.where(filled(lesion) & ~lesion, kind, labels)
    return labels


def least_pixels(spacing_mm: tf.Tensor, how: PostProcessing) -> tf.Tensor:
    """Pixels that reach the least area, int32 [batch].

    Args:
      spacing_mm: float32 [batch, 2]; where it is NaN or 0 the nominal spacing is taken.
    """
    known = tf.where(spacing_mm > 0.0, spacing_mm, NOMINAL_SPACING_MM)
    # What lacks a thousandth of a pixel by rounding reaches it.
    pixels = how.least_area_mm2 / tf.reduce_prod(known, axis=1)
    return tf.cast(tf.math.ceil(pixels - 1e-3), tf.int32)


def without_small_2d(labels: tf.Tensor, liver: tf.Tensor, least: tf.Tensor) -> tf.Tensor:
    """As :func:`without_small`, of slices that stand each for itself, as a graph.

    Args:
      labels: int32 [batch, rows, columns]. liver: bool of the same shape. least: int32 [batch].
    """
    small = (labels > LIVER) & (sections(labels > LIVER) < least[:, None, None])
    return tf.where(small, tf.cast(liver, labels.dtype) * LIVER, labels)


def without_small(labels: np.ndarray, liver: np.ndarray, least: int) -> np.ndarray:
    """Take out lesions whose largest section in a slice has less than some pixels.

    Lesions hang together by 26 neighbours. What is taken out becomes liver inside ``liver``, and
    background outside of it.

    Args:
      labels: uint8 [slices, rows, columns], changed in place. liver: bool of the same shape.

    Returns:
      Which of the lesion voxels were kept, bool [lesion voxels before] in C order.
    """
    runs = runs_of_lesions(labels)
    names, count = components(runs)
    kept = (largest_in_a_slice(runs, names, count) >= least)[names]
    flat, inside = labels.reshape(-1), liver.reshape(-1)
    dropped = runs[~kept]
    begin = dropped.line * runs.shape[2]
    ends = (begin + dropped.end).tolist()
    for start, end in zip((begin + dropped.start).tolist(), ends, strict=True):
        flat[start:end] = inside[start:end] * LIVER
    return np.repeat(kept, runs.length)


def save(run: Path, how: PostProcessing, how_chosen: dict) -> None:
    """Keep settings, and how they were chosen, with a run."""
    value = {"postprocessing": asdict(how), "weights": stored_hash(run / run_files.WEIGHTS)}
    atomic_files.write_json(run / run_files.POSTPROCESSING, value | how_chosen)


def load(run: Path) -> PostProcessing:
    """The settings kept with a run; ``NOTHING`` where none were chosen.

    Raises ``Refusal``: ``postprocessing-damaged``, and ``postprocessing-other-weights`` where the
    run was trained again since.
    """
    path = run / run_files.POSTPROCESSING
    if not path.is_file():
        return NOTHING
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        how, weights = PostProcessing(**value["postprocessing"]), value["weights"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refusal(
            "postprocessing-damaged",
            path,
            expected="the settings that trainers.choose_postprocessing wrote",
            found=type(error).__name__,
            remedy="Choose them again, or delete the file to do without.",
        ) from None
    if weights != stored_hash(run / run_files.WEIGHTS):
        raise Refusal(
            "postprocessing-other-weights",
            path,
            expected="settings that were chosen for the run's weights",
            found="settings chosen for others: the run was trained again",
            remedy="Choose them again with trainers.choose_postprocessing, or delete the file.",
        )
    return how


def of_ensemble(each: list[PostProcessing]) -> PostProcessing:
    """One for several runs: that of most of them, of equally many the simplest.

    The order of the runs does not count.
    """
    return min(each, key=lambda how: (-each.count(how), *how.simplicity()))

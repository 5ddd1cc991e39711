"""Lesions of a label map: connected components with a type, sizes and a mean HU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liver_tf.inference.diameters import longest_diameters
from liver_tf.inference.lesion_components import LesionComponents
from liver_tf.inference.pixel_runs import PixelRuns
from liver_tf.labels import HEALTHY, LIVER, LabelSet

#: The type of a lesion whose most likely type is not likely enough.
INDETERMINATE = "indeterminate"


@dataclass(frozen=True)
class DetectedLesion:
    """One connected lesion of a scan.

    Attributes:
      number: from 1, from the feet to the head, then from front to back.
      type: the most likely type, or ``indeterminate`` where its probability is below the threshold.
      most_likely_type: the type of the highest probability (ties: the lower label).
      type_probabilities: by type, the mean over the lesion's voxels, scaled to sum to one over the
        types.
      lesion_probability: that it is a lesion of any type, the mean over its voxels; None where the
        probabilities were not given.
      slices: first and last slice, counted from the feet from 0. voxels: their count.
      volume_ml: None where slice or pixel spacing is unknown, and for a single slice.
      area_mm2: the largest in one slice, None where the pixel spacing is unknown.
      longest_diameter_mm: in the plane of the slices, see :mod:`liver_tf.inference.diameters`; None
        where the pixel spacing is unknown. diameter_slice: the slice in which it lies, or None.
      mean_hu: over its voxels.
      disagreeing_models: of an ensemble, the share of the models whose own most likely type of this
        lesion is another than the ensemble's; None for one model.
      type_probability_sd: of an ensemble, by type, the sample standard deviation (n - 1) over the
        models of their type probabilities of this lesion; None for one model.
    """

    number: int
    type: str
    most_likely_type: str
    type_probabilities: dict[str, float]
    lesion_probability: float | None
    slices: tuple[int, int]
    voxels: int
    volume_ml: float | None
    area_mm2: float | None
    longest_diameter_mm: float | None
    diameter_slice: int | None
    mean_hu: float
    disagreeing_models: float | None = None
    type_probability_sd: dict[str, float] | None = None


def find_lesions(
    labels: np.ndarray,
    hu: np.ndarray,
    spacing_mm: tuple[float, float, float] | None,
    label_set: LabelSet,
    *,
    probabilities: np.ndarray | None = None,
    type_threshold: float = 0.0,
) -> list[DetectedLesion]:
    """Lesions of a scan; touching voxels (26 neighbours) of whatever type are one lesion.

    Args:
      labels: uint8 [slices, rows, columns]. hu: the same shape.
      spacing_mm: (slice, row, column); None or NaN entries where unknown.
      probabilities: real [lesion voxels, models, types], of the voxels above ``LIVER`` in C order,
        as :class:`liver_tf.inference.cascade.Prediction` holds them. Without them the probability
        of a type is the share of the voxels that are labelled so.
      type_threshold: a lesion whose most likely type is less probable is ``indeterminate``.
    """
    ids = LesionComponents.of_labels(labels)
    runs, names, count = ids.runs, ids.index, ids.count
    if not count:
        return []
    of_voxel = np.repeat(names, runs.length)
    voxels = np.bincount(of_voxel, minlength=count)
    values = _at_lesions(labels, hu, len(of_voxel))
    mean_hu = np.bincount(of_voxel, values, minlength=count) / voxels
    if probabilities is None:
        kinds = len(label_set.lesions)
        types = _at_lesions(labels, labels, len(of_voxel)).astype(np.int64) - (LIVER + 1)
        counts = np.bincount(of_voxel * kinds + types, minlength=count * kinds)
        means = counts.reshape(count, 1, kinds) / voxels[:, None, None]
    else:
        means = _means(of_voxel, voxels, probabilities)
    slices = _slices_of(runs, names, count)
    largest = largest_in_a_slice(runs, names, count)
    slice_mm, row_mm, column_mm = spacing_mm or (np.nan,) * 3
    slice_mm = slice_mm if len(labels) > 1 else np.nan
    pixel_mm2 = row_mm * column_mm
    if np.isfinite(pixel_mm2):
        diameters, at = longest_diameters(runs, names, count, (row_mm, column_mm))
    else:
        diameters, at = np.full(count, np.nan), None
    return [
        DetectedLesion(
            number=index + 1,
            **_typed(means[index], label_set, type_threshold, probabilities is not None),
            slices=slices[index],
            voxels=int(voxels[index]),
            volume_ml=_known(voxels[index] * pixel_mm2 * slice_mm / 1000),
            area_mm2=_known(largest[index] * pixel_mm2),
            longest_diameter_mm=_known(diameters[index]),
            diameter_slice=None if at is None else int(at[index]),
            mean_hu=round(float(mean_hu[index]), 1),
        )
        for index in range(count)
    ]


def _at_lesions(labels: np.ndarray, of: np.ndarray, count: int) -> np.ndarray:
    """Values at the lesion voxels in C order, float64 [lesion voxels]."""
    values, filled = np.empty(count), 0
    for slice_labels, slice_values in zip(labels, of, strict=True):
        found = slice_values[slice_labels > LIVER]
        values[filled : filled + len(found)] = found
        filled += len(found)
    return values


def _means(of_voxel: np.ndarray, voxels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Mean probabilities of every lesion, float64 [lesions, models, types]."""
    if len(probabilities) != len(of_voxel):
        raise ValueError(
            f"probabilities: expected those of {len(of_voxel)} lesion voxels, "
            f"got {len(probabilities)}"
        )
    means = np.empty((len(voxels), *probabilities.shape[1:]))
    for model, kind in np.ndindex(probabilities.shape[1:]):
        sums = np.bincount(of_voxel, probabilities[:, model, kind], minlength=len(voxels))
        means[:, model, kind] = sums / voxels
    return means


def _typed(means: np.ndarray, label_set: LabelSet, threshold: float, are_probabilities: bool):
    """What a lesion's mean probabilities, [models, types], say of its type."""
    names = label_set.lesions
    mean = means.mean(axis=0)
    shares = _scaled(mean)
    best = int(np.argmax(shares))
    told = {
        "type": names[best] if shares[best] >= threshold else INDETERMINATE,
        "most_likely_type": names[best],
        "type_probabilities": _by_name(names, shares),
        "lesion_probability": round(float(mean.sum()), 4) if are_probabilities else None,
    }
    if len(means) > 1:
        own = np.stack([_scaled(one) for one in means])
        told["disagreeing_models"] = round(float((own.argmax(axis=1) != best).mean()), 4)
        told["type_probability_sd"] = _by_name(names, own.std(axis=0, ddof=1))
    return told


def _scaled(means: np.ndarray) -> np.ndarray:
    """Scaled to sum to one; all types alike where nothing speaks for any."""
    total = means.sum()
    return means / total if total > 0 else np.full(len(means), 1 / len(means))


def _by_name(names: tuple[str, ...], values: np.ndarray) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in zip(names, values, strict=True)}


def _slices_of(runs: PixelRuns, names: np.ndarray, count: int) -> list[tuple[int, int]]:
    first, last = np.full(count, runs.shape[0]), np.full(count, -1)
    np.minimum.at(first, names, runs.slice)
    np.maximum.at(last, names, runs.slice)
    return list(zip(first.tolist(), last.tolist(), strict=True))


def largest_in_a_slice(runs: PixelRuns, names: np.ndarray, count: int) -> np.ndarray:
    """Pixels of each lesion in the slice that holds most of it, int64 [lesions]."""
    places, inverse = np.unique(names * runs.shape[0] + runs.slice, return_inverse=True)
    pixels = np.bincount(inverse, runs.length).astype(np.int64)
    largest = np.zeros(count, np.int64)
    np.maximum.at(largest, places // runs.shape[0], pixels)
    return largest


def _known(value: float) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None


def diagnosis(labels: np.ndarray, label_set: LabelSet) -> str:
    """The majority class among all lesion voxels (paper), ``healthy`` where there is none."""
    counts = np.zeros(len(label_set), np.int64)
    for one in labels:
        counts += np.bincount(one.reshape(-1), minlength=len(label_set))
    counts = counts[LIVER + 1 :]
    return label_set.classes[LIVER + 1 + int(np.argmax(counts))] if counts.any() else HEALTHY

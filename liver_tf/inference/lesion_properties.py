"""The lesions of a label map: type, probabilities, extent, size and mean HU of each."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from liver_tf.inference.diameters import longest_diameters
from liver_tf.inference.lesion_components import LesionComponents
from liver_tf.labels import HEALTHY, INDETERMINATE, LIVER, LabelSet


@dataclass(frozen=True)
class DetectedLesion:
    """One connected lesion of a scan. Unknown values are None.

    Attributes:
      number: From 1, from the feet to the head, then from front to back.
      type: The most likely type, or ``indeterminate`` if its probability is below the threshold.
      most_likely_type: Of equally likely types the one with the lower label.
      type_probabilities: Means over the voxels, scaled to sum to 1 over the types.
      lesion_probability: Of any type, the mean over the voxels.
      slices: First and last slice, numbered from the feet from 0.
      volume_ml: None if the slice or pixel spacing is unknown, and for a single slice.
      area_mm2: Largest area in one slice; None if the pixel spacing is unknown.
      longest_diameter_mm: See :mod:`liver_tf.inference.diameters`; None if the pixel spacing is
        unknown. ``diameter_slice`` is its slice.
      disagreeing_models: Share of the networks of an ensemble with another most likely type.
      type_probability_sd: Sample standard deviation (n - 1) over the networks of an ensemble.
    """

    number: int
    type: str
    most_likely_type: str
    type_probabilities: dict[str, float]
    lesion_probability: float
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
    probabilities: np.ndarray,
    type_threshold: float = 0.0,
) -> list[DetectedLesion]:
    """The lesions of a scan. Connected voxels (26 neighbours) of any type are one lesion.

    Args:
      labels: uint8 [slices, rows, columns], of ``label_set``.
      hu: Of the same shape.
      spacing_mm: (slice, row, column); None or NaN where unknown.
      probabilities: Real [lesion voxels, networks, types], in C order, as in
        :class:`liver_tf.inference.cascade.Prediction`.
      type_threshold: A lesion whose most likely type is less probable is ``indeterminate``.
    """
    lesions = LesionComponents.of_labels(labels)
    count = lesions.count
    if not count:
        return []
    lesion_of_voxel, voxels = np.repeat(lesions.index, lesions.runs.length), lesions.voxels()
    of_voxels = [hu_of[of > LIVER] for of, hu_of in zip(labels, hu, strict=True)]
    mean_hu = np.bincount(lesion_of_voxel, np.concatenate(of_voxels), minlength=count) / voxels
    means = _means(lesion_of_voxel, voxels, probabilities)
    slice_mm, row_mm, column_mm = spacing_mm or (np.nan,) * 3
    slice_mm = slice_mm if len(labels) > 1 else np.nan
    pixel_mm2 = row_mm * column_mm
    if np.isfinite(pixel_mm2):
        diameters, diameter_slices, _ = longest_diameters(
            lesions.runs, lesions.index, count, (row_mm, column_mm)
        )
    else:
        diameters, diameter_slices = np.full(count, np.nan), None
    slices, areas = lesions.slices(), lesions.largest_sections()
    return [
        DetectedLesion(
            number=index + 1,
            **_type_fields(means[index], label_set, type_threshold),
            slices=slices[index],
            voxels=int(voxels[index]),
            volume_ml=_finite(voxels[index] * pixel_mm2 * slice_mm / 1000),
            area_mm2=_finite(areas[index] * pixel_mm2),
            longest_diameter_mm=_finite(diameters[index]),
            diameter_slice=None if diameter_slices is None else int(diameter_slices[index]),
            mean_hu=round(float(mean_hu[index]), 1),
        )
        for index in range(count)
    ]


def diagnosis(labels: np.ndarray, label_set: LabelSet) -> str:
    """The majority class among all lesion voxels (paper), or ``healthy`` if there are none."""
    counts = np.zeros(len(label_set), np.int64)
    for slice_labels in labels:
        counts += np.bincount(slice_labels.reshape(-1), minlength=len(label_set))
    counts = counts[LIVER + 1 :]
    return label_set.classes[LIVER + 1 + int(np.argmax(counts))] if counts.any() else HEALTHY


def _means(
    lesion_of_voxel: np.ndarray, voxels: np.ndarray, probabilities: np.ndarray
) -> np.ndarray:
    """Mean probabilities of every lesion, float64 [lesions, networks, types]."""
    if len(probabilities) != len(lesion_of_voxel):
        raise ValueError(
            f"probabilities: expected those of {len(lesion_of_voxel)} lesion voxels, "
            f"found {len(probabilities)}"
        )
    means = np.empty((len(voxels), *probabilities.shape[1:]))
    for network, kind in np.ndindex(probabilities.shape[1:]):
        sums = np.bincount(lesion_of_voxel, probabilities[:, network, kind], len(voxels))
        means[:, network, kind] = sums / voxels
    return means


def _type_fields(means: np.ndarray, label_set: LabelSet, threshold: float) -> dict[str, Any]:
    """The fields of a lesion that follow from its mean probabilities, [networks, types]."""
    names = label_set.lesions
    mean = means.mean(axis=0)
    shares = _scaled(mean)
    best = int(np.argmax(shares))
    fields: dict[str, Any] = {
        "type": names[best] if shares[best] >= threshold else INDETERMINATE,
        "most_likely_type": names[best],
        "type_probabilities": _by_name(names, shares),
        "lesion_probability": round(float(mean.sum()), 4),
    }
    if len(means) > 1:
        of_networks = np.stack([_scaled(each) for each in means])
        fields["disagreeing_models"] = round(float((of_networks.argmax(axis=1) != best).mean()), 4)
        fields["type_probability_sd"] = _by_name(names, of_networks.std(axis=0, ddof=1))
    return fields


def _scaled(means: np.ndarray) -> np.ndarray:
    """Scaled to sum to 1; equal shares if all are 0."""
    total = means.sum()
    return means / total if total > 0 else np.full(len(means), 1 / len(means))


def _by_name(names: tuple[str, ...], values: np.ndarray) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in zip(names, values, strict=True)}


def _finite(value: float) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None

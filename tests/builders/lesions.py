"""Lesions of label maps that no network made."""

from __future__ import annotations

import numpy as np

from liver_tf.inference.lesion_properties import DetectedLesion, find_lesions
from liver_tf.labels import LIVER, LabelSet


def lesions_of(labels, hu, spacing_mm, label_set: LabelSet, **options) -> list[DetectedLesion]:
    """As ``find_lesions``, where the type of each voxel's label has the probability 1."""
    types = np.arange(LIVER + 1, len(label_set))
    sure = labels[labels > LIVER][:, None, None] == types
    return find_lesions(labels, hu, spacing_mm, label_set, probabilities=sure, **options)

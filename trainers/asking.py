"""A slice to the servable and its answer back, without any of our code in the model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.evaluation.overlays import draw_overlay
from liver_tf.labels import LabelSet
from liver_tf.refusals import Refusal


def ask(model: Path, path: Path, picture: str | None) -> Iterator[str]:
    """The servable's answer about a slice, line by line; raises ``Refusal`` for bad input."""
    if not (model / "saved_model.pb").is_file():
        raise Refusal(
            "no-saved-model",
            model,
            expected="the version folder of a SavedModel",
            came="a folder without saved_model.pb" if model.is_dir() else "no such folder",
            remedy="Export one with python -m trainers.export.",
        )
    scan = read_dicom_slice(path)
    spacing = (0.0, 0.0) if scan.spacing_mm is None else scan.spacing_mm[1:]
    loaded = tf.saved_model.load(str(model))
    answer = loaded.signatures["serving_default"](
        hu=tf.constant(scan.hu, tf.float32), spacing_mm=tf.constant([spacing], tf.float32)
    )
    meaning = json.loads((model / "assets.extra" / "model.json").read_text(encoding="utf-8"))
    labels = LabelSet("served", tuple(meaning["labels"]))
    found = bool(answer["found_lesion"][0])
    diagnosis = labels.classes[int(answer["diagnosis"][0])] if found else "no lesion found"
    yield f"diagnosis: {diagnosis}"
    for name, share in zip(labels.lesions, answer["diagnosis_probability"][0].numpy(), strict=True):
        yield f"  {name}: {share:.2f}"
    for name in ("liver_area_mm2", "lesion_area_mm2"):
        area = float(answer[name][0])
        yield f"{name}: {'unknown spacing' if np.isnan(area) else f'{area:.0f}'}"
    if picture:
        draw_overlay(
            scan.hu[0],
            None,
            answer["label_map"][0].numpy(),
            labels,
            Path(picture),
            f"served answer: {diagnosis}",
            None if scan.spacing_mm is None else scan.spacing_mm[1:],
        )
        yield f"picture: {picture}"

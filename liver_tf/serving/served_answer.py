"""A slice to the servable and its answer back, without any of our code in the model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.hu_plausibility import USUAL_FIELD_MM
from liver_tf.ct.scan import Scan
from liver_tf.export.saved_model import EXTRA, MEANING
from liver_tf.export.scan_findings import NO_LIVER_TITLE
from liver_tf.labels import LabelSet
from liver_tf.report.overlays.draw_overlays import draw_overlay
from liver_tf.serving.model_clients import Client, refuse_no_model


def ask(client: Client, model: Path, path: Path, picture: Path | None) -> Iterator[str]:
    """A servable's answer about a slice, line by line; raises ``Refusal`` for bad input.

    The diagnosis is the type that most lesion pixels have (as the paper has it), the probabilities
    are means over the lesion pixels: ``diagnosis_agrees`` tells whether both name one type.

    Args:
      model: the version's folder, which tells what the labels mean.
    """
    meaning = _meaning(model)
    scan = read_dicom_slice(path)
    spacing = (0.0, 0.0) if scan.spacing_mm is None else scan.spacing_mm[1:]
    answer = client(scan.hu.astype(np.float32), np.array([spacing], np.float32))
    labels = LabelSet("served", tuple(meaning["labels"]))
    diagnosis = "no lesion found"
    if answer["found_lesion"][0]:
        diagnosis = labels.classes[int(answer["diagnosis"][0])]
    elif not answer["found_liver"][0]:
        diagnosis = NO_LIVER_TITLE
    yield f"diagnosis: {diagnosis}"
    title = diagnosis
    if answer["found_lesion"][0]:
        by_mean = labels.lesions[int(np.argmax(answer["diagnosis_probability"][0]))]
        if by_mean != diagnosis:
            title = f"{diagnosis} by most lesion pixels, {by_mean} by mean probability"
        yield from _types(diagnosis, by_mean, labels, answer["diagnosis_probability"][0])
    for name in ("liver_area_mm2", "lesion_area_mm2"):
        area = float(answer[name][0])
        yield f"{name}: {'unknown spacing' if np.isnan(area) else f'{area:.0f}'}"
    yield from _field_caution(scan)
    if picture:
        draw_overlay(
            scan.hu[0],
            None,
            answer["label_map"][0],
            labels,
            picture,
            f"served answer: {title}",
            None if scan.spacing_mm is None else scan.spacing_mm[1:],
        )
        yield f"picture: {picture}"


def _types(diagnosis: str, by_mean: str, labels: LabelSet, shares: np.ndarray) -> Iterator[str]:
    """Both rules by which a type is told, which may differ."""
    yield "  (the type that most lesion pixels have)"
    yield "mean probabilities over the lesion pixels:"
    for name, share in zip(labels.lesions, shares, strict=True):
        yield f"  {name}: {share:.2f}"
    if by_mean == diagnosis:
        yield "diagnosis_agrees: yes"
    else:
        yield (
            f"diagnosis_agrees: no: by most lesion pixels {diagnosis}, by mean probability "
            f"{by_mean}; look at the picture"
        )


def _field_caution(scan: Scan) -> Iterator[str]:
    """What is odd but possible is told, not refused."""
    if scan.spacing_mm is None:
        return
    sides = [n * mm for n, mm in zip(scan.hu.shape[1:], scan.spacing_mm[1:], strict=True)]
    low, high = USUAL_FIELD_MM
    if not low <= max(sides) <= high:
        yield (
            f"CAUTION. By its spacing the slice is {sides[0]:.0f} x {sides[1]:.0f} mm, where CT of "
            f"an abdomen is {low:.0f} to {high:.0f} mm wide: if the spacing is wrong lesions are "
            "missed, and areas are wrong"
        )


def _meaning(model: Path) -> dict:
    refuse_no_model(model)
    return json.loads((model / EXTRA / MEANING).read_text(encoding="utf-8"))

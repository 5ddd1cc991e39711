"""Query an exported model with a DICOM slice and print its answer (``trainers.ask``).

What the labels mean is read from ``model.json`` of the model; no other code of the project is
needed to understand an answer.
"""

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
from liver_tf.refusals import Refusal
from liver_tf.report.overlays.draw_overlays import Panel, draw_overlay
from liver_tf.serving.model_clients import Client, check_model


def ask(client: Client, model: Path, path: Path, picture: Path | None) -> Iterator[str]:
    """A model's answer for a slice, line by line.

    The diagnosis is the majority type of the lesion pixels (paper), probabilities are means over
    the lesion pixels; ``diagnosis_agrees`` states whether both name the same type.

    Args:
      model: Version folder of the model, for the meaning of its labels.
      path: A DICOM slice.
      picture: PNG file for an overlay image of the answer.

    Raises:
      Refusal: As ``read_dicom_slice`` and the client; ``no-saved-model``;
        ``picture-name``, ``answer-invalid``.
    """
    check_model(model)
    if picture and (picture.suffix.lower() != ".png" or picture.resolve() == path.resolve()):
        raise Refusal(
            "picture-name",
            picture,
            expected="a file name ending in .png, other than the input, for --picture",
            found="another file",
            remedy="Choose a name such as answer.png; data files are never overwritten.",
        )
    meaning = json.loads((model / EXTRA / MEANING).read_text(encoding="utf-8"))
    scan = read_dicom_slice(path)
    pixel_mm = scan.spacing_mm and scan.spacing_mm[1:]
    answer = client(scan.hu, np.array([pixel_mm or (0.0, 0.0)]))
    labels = LabelSet("served", tuple(meaning["labels"]))
    _check_answer(answer, labels, scan.hu.shape)
    diagnosis = "no lesion found" if answer["found_liver"][0] else NO_LIVER_TITLE
    if answer["found_lesion"][0]:
        diagnosis = labels.classes[int(answer["diagnosis"][0])]
    yield f"diagnosis: {diagnosis}"
    title = diagnosis
    if answer["found_lesion"][0]:
        yield "  (the majority type of the lesion pixels)"
        yield "mean probabilities over the lesion pixels:"
        probabilities = answer["diagnosis_probability"][0]
        for name, probability in zip(labels.lesions, probabilities, strict=True):
            yield f"  {name}: {probability:.2f}"
        by_mean = labels.lesions[int(np.argmax(probabilities))]
        if by_mean == diagnosis:
            yield "diagnosis_agrees: yes"
        else:
            title = f"{diagnosis} by most lesion pixels, {by_mean} by mean probability"
            yield f"diagnosis_agrees: no: {title}; check the picture"
    for name in ("liver_area_mm2", "lesion_area_mm2"):
        area = float(answer[name][0])
        yield f"{name}: {'unknown spacing' if np.isnan(area) else f'{area:.0f}'}"
    yield from _field_caution(scan)
    if picture:
        predicted = answer["label_map"][0]
        title = f"served answer: {title}"
        draw_overlay(Panel(scan.hu[0], None, predicted, labels, title, pixel_mm), picture)
        yield f"picture: {picture}"


def _check_answer(answer: dict[str, np.ndarray], labels: LabelSet, shape: tuple[int, ...]) -> None:
    """Refuse (``answer-invalid``) what the graph of ``model.json`` cannot answer."""
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(
        ("found_liver", "found_lesion", "diagnosis", "liver_area_mm2", "lesion_area_mm2"), (1,)
    )
    shapes |= {"label_map": shape, "diagnosis_probability": (1, len(labels.lesions))}
    wrong = [n for n, size in shapes.items() if n not in answer or answer[n].shape != size]
    if not wrong:
        lesion = bool(answer["found_lesion"][0])
        if lesion and int(answer["diagnosis"][0]) not in labels.lesion_labels:
            wrong.append("diagnosis")
        if not 0 <= int(answer["label_map"].min()) <= int(answer["label_map"].max()) < len(labels):
            wrong.append("label_map")
        shares = answer["diagnosis_probability"]
        if not ((shares >= 0) & (shares <= 1.001)).all():  # NaN fails too
            wrong.append("diagnosis_probability")
    if wrong:
        raise Refusal(
            "answer-invalid",
            None,
            expected="the outputs of the model in --model, in their shapes and ranges",
            found=f"other values in {', '.join(wrong)}",
            remedy="Check that the server serves this model; compare their versions.",
        )


def _field_caution(scan: Scan) -> Iterator[str]:
    """A note on a field of view that is unusual but possible."""
    if scan.spacing_mm is None:
        return
    sides = [n * mm for n, mm in zip(scan.hu.shape[1:], scan.spacing_mm[1:], strict=True)]
    low, high = USUAL_FIELD_MM
    if not low <= max(sides) <= high:
        yield (
            f"CAUTION. By its spacing the slice measures {sides[0]:.0f} x {sides[1]:.0f} mm; "
            f"abdominal CT is {low:.0f} to {high:.0f} mm wide. If the spacing is wrong, lesions "
            "are missed and areas are wrong."
        )

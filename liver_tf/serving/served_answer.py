"""Query an exported model with a DICOM slice and print its answer (``trainers.ask``).

What the labels mean is read from ``model.json`` of the model; no other code of the project is
needed to understand an answer.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from liver_tf.bounded_files import read_json
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.hu_plausibility import USUAL_FIELD_MM
from liver_tf.ct.scan import Scan
from liver_tf.export.saved_model import EXTRA, MEANING
from liver_tf.export.scan_findings import NO_LIVER_TITLE
from liver_tf.inference.liver_plausibility import outside_training, scan_values
from liver_tf.labels import LIVER, LabelSet
from liver_tf.refusals import Refusal
from liver_tf.report.overlays.draw_overlays import Panel, draw_overlay
from liver_tf.serving.answer_types import invalid_answer
from liver_tf.serving.model_clients import Client, check_model
from liver_tf.trained_on import NOT_STORED, CascadeTrainedOn

#: Relative difference of areas: the model computes in 32 bits.
_AREA_TOLERANCE = 1e-4


def ask(client: Client, model: Path, path: Path, picture: Path | None) -> Iterator[str]:
    """A model's answer for a slice, line by line.

    The diagnosis is the majority type of the lesion pixels (paper), probabilities are means over
    the lesion pixels; ``diagnosis_agrees`` states whether both name the same type.

    Args:
      model: Version folder of the model, for the meaning of its labels.
      path: A DICOM slice.
      picture: PNG file for an overlay image of the answer.

    Raises:
      Refusal: As ``read_dicom_slice`` and the client; ``no-saved-model``,
        ``checksum-differs``, ``model-damaged``; ``picture-name``; ``other-model``,
        ``answer-invalid``.
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
    labels, model_id, notice, trained_on = _meaning(model)
    scan = read_dicom_slice(path)
    pixel_mm = scan.spacing_mm and scan.spacing_mm[1:]
    spacing_mm = np.array([pixel_mm or (0.0, 0.0)])
    answer = client(scan.hu, spacing_mm)
    _refuse_other_model(answer, model_id)
    _check_answer(answer, labels, scan.hu.shape, spacing_mm)
    diagnosis = "no lesion found" if answer["found_liver"][0] else NO_LIVER_TITLE
    if answer["found_lesion"][0]:
        diagnosis = labels.classes[int(answer["diagnosis"][0])]
    yield f"note: {notice}"
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
    predicted = answer["label_map"]
    values = scan_values(scan.hu, predicted > 0, predicted > LIVER, scan.spacing_mm, whole=False)
    for caution in outside_training(trained_on.ranges, values):
        yield f"CAUTION. The slice is {caution.text}"
    if picture:
        title = f"served answer: {title}"
        draw_overlay(Panel(scan.hu[0], None, predicted[0], labels, title, pixel_mm), picture)
        yield f"picture: {picture}"


def _meaning(model: Path) -> tuple[LabelSet, int | None, str, CascadeTrainedOn]:
    """Labels, number, notice and training data of an exported model, as far as it states them."""
    path = model / EXTRA / MEANING
    try:
        meaning = read_json(path)
        labels, stored = LabelSet("served", tuple(meaning["labels"])), meaning.get("trained_on")
        trained_on = CascadeTrainedOn.from_json(stored) if stored else NOT_STORED
        # Earlier versions stored no notice for unknown or real training data.
        notice = (stored or {}).get("notice") or trained_on.notice
        return labels, meaning.get("model_id"), notice, trained_on
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refusal(
            "model-damaged",
            path,
            expected="the description that liver-tf export wrote",
            found=type(error).__name__,
            remedy="Copy the model again, or export it again.",
        ) from None


def _refuse_other_model(answer: dict[str, np.ndarray], expected: int | None) -> None:
    """Refuse (``other-model``) an answer that does not come from the known model."""
    found = answer.get("model_id", np.array([])).ravel().tolist()
    if expected is not None and found != [expected]:
        raise Refusal(
            "other-model",
            None,
            expected=f"an answer of the model in --model, number {expected}",
            found=f"number {found[0]}" if len(found) == 1 else "an answer without its number",
            remedy="Set --model to the version that the server has loaded, or load this one.",
        )


def _check_answer(
    answer: dict[str, np.ndarray],
    labels: LabelSet,
    shape: tuple[int, ...],
    spacing_mm: np.ndarray,
) -> None:
    """Refuse (``answer-invalid``) what the graph of ``model.json`` cannot answer."""
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(
        ("found_liver", "found_lesion", "diagnosis", "liver_area_mm2", "lesion_area_mm2"), (1,)
    )
    shapes |= {"label_map": shape, "diagnosis_probability": (1, len(labels.lesions))}
    wrong = [n for n, size in shapes.items() if n not in answer or answer[n].shape != size]
    if not wrong:
        if answer["label_map"].max() >= len(labels):
            wrong.append("label_map")
        # The rest follows from the label map.
        pixels = np.bincount(answer["label_map"].ravel(), minlength=len(labels))[LIVER + 1 :]
        if answer["found_lesion"][0] != pixels.any():
            wrong.append("found_lesion")
        if pixels.any() and not answer["found_liver"][0]:
            wrong.append("found_liver")
        majority = int(pixels.argmax()) + LIVER + 1 if pixels.any() else 0
        if answer["diagnosis"][0] != majority:
            wrong.append("diagnosis")
        shares = answer["diagnosis_probability"]
        total = 1.0 if pixels.any() else 0.0
        if not ((shares >= 0).all() and abs(shares.sum() - total) < 1e-3):  # NaN fails too
            wrong.append("diagnosis_probability")
        # Without spacing, areas are NaN. The liver is that of the liver network, not of the labels.
        pixel_mm2 = float(np.prod(spacing_mm)) or np.nan
        lesion, liver = answer["lesion_area_mm2"][0], answer["liver_area_mm2"][0]
        if not np.isclose(lesion, pixels.sum() * pixel_mm2, _AREA_TOLERANCE, 0, equal_nan=True):
            wrong.append("lesion_area_mm2")
        share = liver / (np.prod(shape) * pixel_mm2)
        valid = 0 <= share <= 1 + _AREA_TOLERANCE and (share > 0) == answer["found_liver"][0]
        if not valid if pixel_mm2 > 0 else not np.isnan(liver):
            wrong.append("liver_area_mm2")
    if wrong:
        raise invalid_answer(wrong)


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

"""The table of lesions of the scan page: five columns, and all other fields folded."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from liver_tf.export.lesion_thumbnail import around, marks_within, thumbnail
from liver_tf.export.lesions_csv import Scalar, row_of
from liver_tf.export.scan_findings import ScanFindings, significant
from liver_tf.export.scan_page_data import image_numbers
from liver_tf.inference.lesion_properties import DetectedLesion
from liver_tf.labels import INDETERMINATE
from liver_tf.trained_on import UNVALIDATED

#: Fields that the folded part leaves out because the columns show them.
_IN_COLUMNS = {"number", "type", "first_slice", "last_slice", "volume_ml", "longest_diameter_mm"}
_NAMES = {
    "most_likely_type": "most likely type",
    "lesion_probability": "p(lesion)",
    "area_mm2": "largest area, mm²",
    "mean_hu": "mean HU",
    "diameter_slice": "diameter in slice",
    "disagreeing_models": "disagreeing networks",
}
#: Names of fields with one value for each lesion type, such as ``p(cyst)``.
_PER_TYPE = {"type_probabilities": "p", "type_probability_sd": "SD of p"}
_THUMBNAIL, _MARGIN_PIXELS = 150, 12


def headings_of(findings: ScanFindings) -> list[tuple[str, str]]:
    """The headings of the five columns, each with a remark or an empty text."""
    note = UNVALIDATED if findings.trained_on.types_unvalidated else ""
    found = "type" if findings.label_set.has_types else "finding"
    others = ("diameter, mm", "volume, ml", "slices")
    return [("no.", ""), (f"{found}, confidence", note), *((name, "") for name in others)]


def lesion_table(
    findings: ScanFindings,
    shown: Sequence[Mapping[str, Any]],
    swatches: Mapping[str, Mapping[str, Any]],
    tracking_uids: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """One row per lesion: ``cells`` (text and sort value), ``more`` (name and value), thumbnail.

    Args:
      shown: Slice and boxes of every lesion, as in ``page_data``.
      swatches: Lines of the classes by name.
      tracking_uids: Of every lesion, or empty.
    """
    images = image_numbers(findings.scan)
    tracked = [[("tracking UID", uid)] for uid in tracking_uids] or [[] for _ in shown]
    return [
        {
            "cells": _cells(lesion, swatches),
            "more": [*_more(lesion, images), *uid],
            **_thumbnail(findings, shown, place["slice"], place["places"]),
        }
        for lesion, place, uid in zip(findings.lesions, shown, tracked, strict=True)
    ]


def percent(share: float) -> str:
    """A probability in whole percent, never rounded to certainty: ``> 99 %``, ``< 1 %``."""
    number = round(100 * share)
    text = "> 99 %" if number > 99 else "< 1 %" if number < 1 else f"{number} %"
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _cells(
    lesion: DetectedLesion, swatches: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    first, last = lesion.slices
    only_type = len(lesion.type_probabilities) == 1
    share = (
        lesion.lesion_probability
        if only_type
        else lesion.type_probabilities[lesion.most_likely_type]
    )
    confidence = percent(share)
    if lesion.type == INDETERMINATE:
        confidence = f"({lesion.most_likely_type} {confidence})"
    return [
        {"text": lesion.number, "value": lesion.number},
        {
            "word": lesion.type,
            "text": confidence,
            "value": f"{lesion.type} {1 - share:.4f}",  # A to Z, the most confident first
            "swatch": swatches.get(lesion.type),
        },
        _size(lesion.longest_diameter_mm),
        _size(lesion.volume_ml),
        {"text": first if first == last else f"{first}–{last}", "value": first},
    ]


def _size(value: float | None) -> dict[str, Any]:
    return {
        "text": "–" if value is None else significant(value),
        "value": "" if value is None else value,
    }


def _more(lesion: DetectedLesion, images: Sequence[int] | None) -> list[tuple[str, str]]:
    """Names and values of all other fields that have a value."""
    row = row_of(lesion)
    if images and lesion.diameter_slice is not None:
        row["diameter_slice"] = f"{lesion.diameter_slice}, image {images[lesion.diameter_slice]}"
    if lesion.type == lesion.most_likely_type:
        del row["most_likely_type"]
    if len(lesion.type_probabilities) == 1:
        row = {name: value for name, value in row.items() if not name.startswith("type_prob")}
    return [
        (_name(field), _text(field, value))
        for field, value in row.items()
        if value is not None and field not in _IN_COLUMNS
    ]


def _name(field: str) -> str:
    group, _, type_name = field.partition(".")
    if type_name and group in _PER_TYPE:
        return f"{_PER_TYPE[group]}({type_name})"
    return _NAMES.get(field, field.replace("_", " "))


def _text(field: str, value: Scalar) -> str:
    if not isinstance(value, float):
        return str(value)
    is_probability = field == "lesion_probability" or field.startswith("type_probabilities.")
    return percent(value) if is_probability else significant(value)


def _thumbnail(
    findings: ScanFindings,
    shown: Sequence[Mapping[str, Any]],
    index: int,
    places: Mapping[int, Sequence[int]],
) -> dict[str, Any]:
    top, left, bottom, right, _ = places[index]
    hu, labels = findings.scan.hu[index], findings.labels[index]
    part = around((top, left, bottom, right), hu.shape, _MARGIN_PIXELS)
    marks = marks_within(part, [each["places"] for each in shown], index)
    label_set, pixel_mm = findings.label_set, findings.pixel_mm
    picture, width, height = thumbnail(
        hu[part], labels[part], label_set, pixel_mm, _THUMBNAIL, marks
    )
    encoded = base64.b64encode(picture).decode("ascii")
    return {"thumbnail": encoded, "width": width, "height": height}

"""The data that the script of the scan page reads: images, label map, lesion boxes."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from liver_tf.ct.scan import Scan, has_geometry
from liver_tf.export.scan_findings import ScanFindings
from liver_tf.inference.lesion_components import LesionComponents
from liver_tf.inference.lesion_properties import DetectedLesion
from liver_tf.labels import LIVER
from liver_tf.report.overlays.draw_overlays import WINDOW_HU

#: Maximum total number of image pixels; larger scans are reduced by averaging 2 x 2, 3 x 3, ...
#: pixels. Keeps a page below about 15 MB (abdominal CT: 0.12 bytes per pixel, 0.16 in base64).
MOST_PIXELS = 96_000_000
_QUALITY = 85

#: The box of a lesion in a slice, in pixels: first row, first column, last row, last column, and
#: the last column of the lesion in the first row, where its number is drawn.
Place = tuple[int, int, int, int, int]


def page_data(findings: ScanFindings) -> dict[str, Any]:
    """All that the script needs, as JSON values."""
    scan, labels, label_set = findings.scan, findings.labels, findings.label_set
    reduction = reduction_of(labels.shape)
    places = lesion_places(findings.components)
    return {
        "rows": labels.shape[1],
        "columns": labels.shape[2],
        "mm": None if findings.pixel_mm is None else [float(mm) for mm in findings.pixel_mm],
        "z": _heights(scan),
        "first": _first_shown(labels),
        "trained_on": findings.trained_on.to_json(),
        "classes": [
            {"label": label, "name": label_set.classes[label], "colour": label_set.colour(label)}
            for label in range(LIVER, len(label_set))
        ],
        "pictures": [picture(hu, reduction) for hu in scan.hu],
        "runs": [encode_runs(slice_labels) for slice_labels in labels],
        "lesions": [
            _lesion(lesion, boxes) for lesion, boxes in zip(findings.lesions, places, strict=True)
        ],
    }


def encode_runs(labels: np.ndarray) -> list[int]:
    """The label map of a slice as ``gap, length, label, gap, length, label, ...``, row by row.

    A gap is the number of background pixels before the run.
    """
    flat = np.ascontiguousarray(labels).reshape(-1)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1])
    ends = np.append(starts[1:], len(flat))
    kept = flat[starts] != 0
    starts, ends = starts[kept], ends[kept]
    gaps = starts - np.concatenate([[0], ends[:-1]])
    return np.stack([gaps, ends - starts, flat[starts]], axis=1).reshape(-1).tolist()


def reduction_of(shape: tuple[int, int, int]) -> int:
    """Side of the squares of pixels averaged in the pictures of [slices, rows, columns]."""
    slices, rows, columns = shape
    side = 1
    while slices * -(-rows // side) * -(-columns // side) > MOST_PIXELS:
        side += 1
    return side


def picture(hu: np.ndarray, reduction: int = 1) -> str:
    """A slice, HU [rows, columns], in the display window as a JPEG in base64."""
    low, high = WINDOW_HU
    grey = ((np.clip(hu, low, high) - low) * (255 / (high - low))).round().astype(np.uint8)
    image = Image.fromarray(grey)
    if reduction > 1:
        image = image.reduce(reduction)
    buffer = io.BytesIO()
    image.save(buffer, "jpeg", quality=_QUALITY, optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def lesion_places(components: LesionComponents) -> list[dict[int, Place]]:
    """The box of each lesion, by slice."""
    runs = components.runs
    keys, part = np.unique(components.index * runs.shape[0] + runs.slice, return_inverse=True)
    top, left = np.full((2, len(keys)), np.iinfo(np.int64).max)
    bottom, right, corner = np.full((3, len(keys)), -1)
    for least, values in ((top, runs.row), (left, runs.start)):
        np.minimum.at(least, part, values)
    for most, values in ((bottom, runs.row), (right, runs.end - 1)):
        np.maximum.at(most, part, values)
    first = runs.row == top[part]
    np.maximum.at(corner, part[first], runs.end[first] - 1)
    places: list[dict[int, Place]] = [{} for _ in range(components.count)]
    boxes = np.stack([top, left, bottom, right, corner], axis=1).tolist()
    for key, box in zip(keys.tolist(), boxes, strict=True):
        places[key // runs.shape[0]][key % runs.shape[0]] = tuple(box)
    return places


def _lesion(lesion: DetectedLesion, places: dict[int, Place]) -> dict[str, Any]:
    """Number, boxes, and the slice that ``show`` leads to: the one with the largest box."""
    middle = sum(lesion.slices) // 2
    # Among equal boxes, the one nearest to the middle.
    largest = max(places, key=lambda index: (_area(places[index]), -abs(index - middle)))
    return {"number": lesion.number, "slice": int(largest), "places": places}


def _area(place: Place) -> int:
    top, left, bottom, right, _ = place
    return (bottom - top + 1) * (right - left + 1)


def _heights(scan: Scan) -> list[float] | None:
    """z of the centre of every slice in mm, as DICOM viewers show it; None without geometry."""
    if not has_geometry(scan):
        return None
    slices, rows, columns = scan.hu.shape
    centres = [[index, (rows - 1) / 2, (columns - 1) / 2, 1] for index in range(slices)]
    return np.round(np.asarray(centres) @ scan.affine[2], 1).tolist()


def _first_shown(labels: np.ndarray) -> int:
    """The slice with most lesion pixels, else with most liver pixels, else the middle one."""
    for lowest in (LIVER + 1, LIVER):
        pixels = np.array([np.count_nonzero(each >= lowest) for each in labels])
        if pixels.any():
            return int(pixels.argmax())
    return len(labels) // 2

"""The data that the script of the scan page reads: images, label map, lesion boxes."""

import base64
import io
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from liver_tf.ct.scan import Scan, has_geometry
from liver_tf.export.scan_findings import ScanFindings
from liver_tf.inference.diameters import longest_diameters
from liver_tf.inference.lesion_components import LesionComponents
from liver_tf.inference.lesion_properties import DetectedLesion
from liver_tf.labels import LIVER
from liver_tf.report.overlays.draw_overlays import WINDOW_HU

#: Maximum total number of image pixels; larger scans are reduced by averaging 2 x 2, 3 x 3, ...
#: pixels. Keeps a page below about 35 MB (abdominal CT: 0.26 bytes per pixel, 0.35 in base64).
MOST_PIXELS = 96_000_000

#: Two pictures of 8 bits per slice: fine steps in the paper's window; coarse ones for all tissues,
#: at half the resolution.
FINE_HU, WIDE_HU = WINDOW_HU, (-1024.0, 1500.0)
_FINE_QUALITY, _WIDE_QUALITY = 90, 75
PICTURES = ("fine", "wide")

#: More than the labels of any label map.
CLASSES = 64

#: The box of a lesion in a slice, in pixels: first row, first column, last row, last column, and
#: the last column of the lesion in the first row, where its number is drawn.
Place = tuple[int, int, int, int, int]


def page_data(findings: ScanFindings) -> dict[str, Any]:
    """All that the script needs, as JSON values; each of ``PICTURES`` has one picture per slice."""
    scan, labels, label_set = findings.scan, findings.labels, findings.label_set
    reduction = reduction_of(labels.shape)
    first = first_shown(labels)
    fine = [picture(hu, FINE_HU, _FINE_QUALITY, reduction) for hu in scan.hu]
    return {
        "slices": labels.shape[0],
        "rows": labels.shape[1],
        "columns": labels.shape[2],
        "reduction": reduction,
        "mm": None if findings.pixel_mm is None else [float(mm) for mm in findings.pixel_mm],
        "slice_mm": _slice_mm(scan),
        "z": _heights(scan),
        "images": image_numbers(scan),
        "first": first,
        "first_picture": fine[first],
        "trained_on": findings.trained_on.to_json(),
        "classes": [
            {
                "label": label,
                "name": label_set.classes[label],
                "colour": label_set.colour(label),
                "dashes": label_set.dashes(label),
            }
            for label in range(LIVER, len(label_set))
        ],
        "fine_hu": FINE_HU,
        "wide_hu": WIDE_HU,
        "fine": fine,
        "wide": [picture(hu, WIDE_HU, _WIDE_QUALITY, 2 * reduction) for hu in scan.hu],
        "code": CLASSES,
        "runs": encode_label_map(labels, findings.components),
        "lesions": _lesions(findings),
    }


def encode_label_map(labels: np.ndarray, components: LesionComponents) -> list[list[int]]:
    """``encode_runs`` of every slice, with codes that state label and lesion of a pixel.

    The code is the label plus ``CLASSES`` times the number of the lesion (0 outside lesions).
    """
    return [
        encode_runs(numbers.astype(np.int64) * CLASSES + slice_labels)
        for slice_labels, numbers in zip(labels, _numbers(labels.shape, components), strict=True)
    ]


def _numbers(shape: tuple[int, ...], components: LesionComponents) -> Iterator[np.ndarray]:
    """The lesion number of every pixel, slice by slice: [rows, columns], 0 outside lesions."""
    runs = components.runs
    bounds = np.searchsorted(runs.slice, np.arange(shape[0] + 1))
    for first, after in itertools.pairwise(bounds.tolist()):
        part = slice(first, after)
        numbers = np.zeros(shape[1:], components.dtype)
        columns = (runs.row[part], runs.start[part], runs.end[part], components.index[part] + 1)
        for row, start, end, number in zip(*(each.tolist() for each in columns), strict=True):
            numbers[row, start:end] = number
        yield numbers


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


def picture(
    hu: np.ndarray,
    range_hu: tuple[float, float] = FINE_HU,
    quality: int = _FINE_QUALITY,
    reduction: int = 1,
) -> str:
    """A slice, HU [rows, columns], as a JPEG in base64; ``range_hu`` is black and white."""
    low, high = range_hu
    grey = ((np.clip(hu, low, high) - low) * (255 / (high - low))).round().astype(np.uint8)
    image = Image.fromarray(grey)
    if reduction > 1:
        image = image.reduce(reduction)
    buffer = io.BytesIO()
    image.save(buffer, "jpeg", quality=quality, optimize=True)
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


def _lesions(findings: ScanFindings) -> list[dict[str, Any]]:
    """Number, boxes and diameter of each lesion, and the slice that ``show`` leads to.

    The slice is that of the diameter; without a diameter the one with the largest box.
    """
    components, lesions = findings.components, findings.lesions
    ends = None
    if lesions and findings.pixel_mm is not None and np.isfinite(findings.pixel_mm).all():
        runs, index = components.runs, components.index
        _, _, ends = longest_diameters(runs, index, components.count, findings.pixel_mm)
    return [
        {
            "number": lesion.number,
            "places": places,
            "slice": _shown(lesion, places),
            "mm": lesion.longest_diameter_mm,
            "line": None if ends is None else ends[number].tolist(),
        }
        for number, (lesion, places) in enumerate(
            zip(lesions, lesion_places(components), strict=True)
        )
    ]


def _shown(lesion: DetectedLesion, places: dict[int, Place]) -> int:
    if lesion.diameter_slice is not None:
        return lesion.diameter_slice
    middle = sum(lesion.slices) // 2
    # Among equal boxes, the one nearest to the middle.
    return max(places, key=lambda index: (_area(places[index]), -abs(index - middle)))


def _area(place: Place) -> int:
    top, left, bottom, right, _ = place
    return (bottom - top + 1) * (right - left + 1)


def _slice_mm(scan: Scan) -> float | None:
    """Distance of slices; None if unknown, and for a single slice."""
    spacing = scan.spacing_mm
    if spacing is None or len(scan.hu) == 1 or not np.isfinite(spacing).all():
        return None
    return float(spacing[0])


def _heights(scan: Scan) -> list[float] | None:
    """z of the centre of every slice in mm, as DICOM viewers show it; None without geometry."""
    if not has_geometry(scan):
        return None
    slices, rows, columns = scan.hu.shape
    centres = [[index, (rows - 1) / 2, (columns - 1) / 2, 1] for index in range(slices)]
    return np.round(np.asarray(centres) @ scan.affine[2], 1).tolist()


def image_numbers(scan: Scan) -> list[int] | None:
    """The Instance Number of every slice; None if one is missing or occurs twice."""
    numbers = [number for number in scan.source.instance_numbers if number is not None]
    return numbers if len(set(numbers)) == len(scan.hu) else None


def first_shown(labels: np.ndarray) -> int:
    """The slice with most lesion pixels, else with most liver pixels, else the middle one."""
    for lowest in (LIVER + 1, LIVER):
        pixels = np.array([np.count_nonzero(each >= lowest) for each in labels])
        if pixels.any():
            return int(pixels.argmax())
    return len(labels) // 2

"""An overview of a scan as DICOM Secondary Capture (PS3.3 A.8): headline, cautions, overlays."""

from __future__ import annotations

import datetime
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from liver_tf.bounded_files import read_json
from liver_tf.ct.dicom_elements import quiet_pydicom, read_dataset, text
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.dicom_derived import (
    copy_patient_and_study,
    require_highdicom,
    save,
    series_description,
    uid_of,
    unfit_source,
)
from liver_tf.export.scan_results import JSON
from liver_tf.export.valid_dicom_elements import is_valid_uid

SERIES_NUMBER = 902
SERIES_DESCRIPTION = "Liver lesions, overview, for research"
REPLACES_NOTE = "Replaces earlier results for part of the same series."
NOTE = "Found by a network, not verified. For research; not a medical device."

_COLUMNS, _TILE, _TEXT_SIZE, _MARGIN = 2, 700, 22, 20
#: Background of the overlays.
_GROUND = "#101010"


def write_overview(
    path: Path,
    results: Path,
    source: Path,
    made_by: AlgorithmIdentity,
    made_at: datetime.datetime | None = None,
    *,
    replaces: bool = False,
) -> None:
    """Write the overlays of a result folder as one colour image, atomically.

    It is a new series of the study. Its UIDs are derived from those of the scan, its pixels and the
    weights. The image contains no patient data.

    Args:
      results: From ``predict_scan``.
      source: A slice of the series.
      replaces: Whether a part of the series was predicted earlier, which the image then states.

    Raises:
      Refusal: ``seg-source``, ``seg-no-writer``; as ``read_dataset``.
    """
    require_highdicom(source)
    contents = read_json(results / JSON)
    notes = [NOTE, *([REPLACES_NOTE] if replaces else [])]
    pixels = np.asarray(_picture(contents, results, notes))
    with quiet_pydicom():
        try:
            capture = _capture(pixels, contents, source, made_by, notes)
            copy_patient_and_study(capture, source)
        except Exception:  # types vary, and messages may quote patient data
            raise unfit_source(source, "elements that are invalid in an overview") from None
        save(path, capture, made_at or datetime.datetime.now(), source)


def _capture(
    pixels: np.ndarray,
    contents: dict[str, Any],
    source: Path,
    made_by: AlgorithmIdentity,
    notes: list[str],
) -> Any:
    import highdicom

    header = read_dataset(source, pixels=False)
    study, series = (text(header, f"{level}InstanceUID", source) for level in ("Study", "Series"))
    if not (is_valid_uid(study) and is_valid_uid(series)):
        raise unfit_source(source, "a slice without a valid UID")
    algorithm = f"{made_by.name} {made_by.version} {made_by.model}"
    identity = " ".join([series, contents["scan_sha256"], algorithm, *notes[1:]])
    capture = highdicom.sc.SCImage(
        pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        study_instance_uid=study,
        series_instance_uid=uid_of(identity, "overview series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=uid_of(identity, "overview"),
        instance_number=1,
        **made_by.equipment,
        series_description=series_description(SERIES_DESCRIPTION, source, replaces=bool(notes[1:])),
    )
    capture.BodyPartExamined = "ABDOMEN"
    capture.BurnedInAnnotation = "NO"
    capture.DerivationDescription = "Slices with outlines found by a network"
    return capture


def _picture(contents: dict[str, Any], results: Path, notes: list[str]) -> Image.Image:
    """The texts above a grid of the overlays, each below its caption."""
    notice = (contents.get("trained_on") or {}).get("notice")
    unseen = _not_shown(contents)
    lines = [contents["headline"], *([unseen] if unseen else []), *notes]
    lines += [notice] if notice else []
    lines += [f"{each['code']}: {each['text']}" for each in contents["cautions"]]
    width = _COLUMNS * _TILE
    font = ImageFont.load_default(_TEXT_SIZE)
    wrapped = [part for line in lines for part in textwrap.wrap(line, width // 12)]
    tiles = [_tile(results / each["file"], _caption(each)) for each in contents.get("overlays", ())]
    top = 2 * _MARGIN + round(1.4 * _TEXT_SIZE) * len(wrapped)
    row = max((tile.height for tile in tiles), default=0)
    rows = -(-len(tiles) // _COLUMNS)
    sheet = Image.new("RGB", (width, top + rows * row), "white")
    drawing = ImageDraw.Draw(sheet)
    for index, line in enumerate(wrapped):
        place = (_MARGIN, _MARGIN + round(1.4 * _TEXT_SIZE) * index)
        drawing.text(place, line, fill="black", font=font)
    for index, tile in enumerate(tiles):
        sheet.paste(tile, (_TILE * (index % _COLUMNS), top + row * (index // _COLUMNS)))
    return sheet


def _tile(path: Path, caption: str) -> Image.Image:
    """An overlay below its caption, which may have two lines."""
    with Image.open(path) as image:
        overlay = image.convert("RGB")
    overlay.thumbnail((_TILE, 4 * _TILE))
    wrapped = textwrap.wrap(caption, _TILE // 12, max_lines=2, placeholder=" ...")
    top = _MARGIN + round(1.2 * _TEXT_SIZE) * len(wrapped)
    tile = Image.new("RGB", (_TILE, top + overlay.height), _GROUND)
    ImageDraw.Draw(tile).multiline_text(
        *((_MARGIN, _MARGIN // 2), "\n".join(wrapped)),
        fill="white",
        font=ImageFont.load_default(_TEXT_SIZE),
    )
    tile.paste(overlay, (0, top))
    return tile


def _not_shown(contents: dict[str, Any]) -> str:
    """The lesions that no overlay shows; empty if there are none."""
    shown = {number for overlay in contents.get("overlays", ()) for number in overlay["lesions"]}
    others = [each["number"] for each in contents["lesions"] if each["number"] not in shown]
    return f"Not in these images: {_lesions(others)}." if others else ""


def _lesions(numbers: list[int]) -> str:
    return f"lesion{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _caption(overlay: dict[str, Any]) -> str:
    """The image of the series, as viewers number it, and the lesions in it."""
    number, lesions = overlay["instance_number"], overlay["lesions"]
    name = (
        f"Slice {overlay['slice']} from the feet"
        if number is None
        else f"Image {number} of the series"
    )
    return f"{name}: {_lesions(lesions) if lesions else 'no lesion'}"

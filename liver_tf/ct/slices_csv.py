"""The table of single slices: which image, which mask, which patient, which diagnosis."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from liver_tf.ct.input_file import require_file, unreadable
from liver_tf.labels import HEALTHY, LESION_TYPES
from liver_tf.refusals import Refusal

COLUMNS = ("slice_id", "patient_id", "image", "mask", "diagnosis")
DEFAULT_DIAGNOSES = (*LESION_TYPES.lesions, HEALTHY)
_LARGEST_FILE = 1 << 28


@dataclass(frozen=True)
class SliceRow:
    """One slice of the table.

    Attributes:
      line: line number in the file, from 1.
      slice_id, patient_id: identifiers, by :func:`same_text`; they must leave as pseudonyms only.
      image: path of the DICOM file.
      mask: path of the mask; None for a healthy slice without one.
      diagnosis: one of the diagnoses allowed.
    """

    line: int
    slice_id: str
    patient_id: str
    image: Path
    mask: Path | None
    diagnosis: str


def read_slices_csv(
    path: Path | str,
    diagnoses: Sequence[str] = DEFAULT_DIAGNOSES,
    allow_outside: bool = False,
) -> tuple[list[SliceRow], list[Refusal]]:
    """Rows that can be used, in the order of the file, and a refusal for each that cannot.

    The file is comma-separated UTF-8, with or without a byte order mark, with LF or CRLF; empty
    lines and further columns are ignored. Image and mask are relative to the folder of the table.

    Args:
      path: the table.
      diagnoses: values allowed in ``diagnosis``; ``healthy`` may leave ``mask`` empty.
      allow_outside: whether absolute paths, ``..`` and links may lead out of the table's folder.

    Returns:
      Rows and refusals. A table that cannot be read at all gives no row and one refusal. Codes:
      ``file-missing``, ``file-unreadable``, ``csv-encoding``, ``csv-format``, ``csv-columns``,
      ``csv-empty``, ``csv-fields``, ``csv-blank``, ``csv-diagnosis``, ``csv-no-mask``,
      ``csv-outside``, ``csv-no-file``, ``csv-duplicate``, ``csv-image-twice``,
      ``csv-patient-spelling``.
    """
    path = Path(path)
    try:
        text = _decode(path)
        lines = _records(text, path)
    except Refusal as refusal:
        return [], [refusal]
    rows, refusals = [], []
    for line, record in lines:
        try:
            rows.append(_row(line, record, path, diagnoses, allow_outside))
        except Refusal as refusal:
            refusals.append(refusal)
    rows, contradictions = _without_contradictions(rows, path)
    refusals += contradictions
    if not rows and not refusals:
        refusals.append(_refused(path, "csv-empty", None, "at least one slice", "none"))
    return rows, refusals


def _decode(path: Path) -> str:
    try:
        if require_file(path).stat().st_size > _LARGEST_FILE:
            raise _refused(path, "csv-format", None, "a table of less than 256 MiB", "more")
        data = path.read_bytes()
    except OSError:
        raise unreadable(path) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
    found = "UTF-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "another encoding"
    raise _refused(path, "csv-encoding", line, "UTF-8", found)


def _records(text: str, path: Path) -> list[tuple[int, dict[str, str]]]:
    """(line number, cell by column) for each line that is not empty, stripped."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    records = []
    line = 1
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if "\0" in "".join(cells):
                raise _refused(path, "csv-format", line, "text", "a zero byte")
            if any(cells):
                if header is None:
                    header = _header(cells, path, line)
                else:
                    records.append((line, _cells(cells, header)))
            line = reader.line_num + 1
    except csv.Error:
        raise _refused(
            path, "csv-format", line, "comma-separated values", "broken quoting"
        ) from None
    if header is None:
        raise _refused(path, "csv-columns", None, f"the columns {', '.join(COLUMNS)}", "no line")
    return records


def _header(cells: list[str], path: Path, line: int) -> list[str]:
    header = [cell.lower() for cell in cells]
    missing = [column for column in COLUMNS if column not in header]
    twice = [column for column in COLUMNS if header.count(column) > 1]
    if missing or twice:
        found = f"a header without {', '.join(missing)}" if missing else f"{', '.join(twice)} twice"
        if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
            found += " (separated by semicolons or tabs?)"
        raise _refused(path, "csv-columns", line, f"the columns {', '.join(COLUMNS)}", found)
    return header


def _cells(cells: list[str], header: list[str]) -> dict[str, str]:
    """Cell by column; the number of cells under ``''`` if it is not that of the header."""
    if len(cells) != len(header):
        return {"": str(len(cells)), "header": str(len(header))}
    return dict(zip(header, cells, strict=True))


def _row(
    line: int, record: dict[str, str], path: Path, diagnoses: Sequence[str], allow_outside: bool
) -> SliceRow:
    if "slice_id" not in record:
        expected, found = f"{record['header']} cells", record[""]
        raise _refused(path, "csv-fields", line, expected, found)
    for column in ("slice_id", "patient_id", "image", "diagnosis"):
        if not record[column]:
            raise _refused(path, "csv-blank", line, f"a value for {column}", "an empty cell")
    if record["diagnosis"] not in diagnoses:
        expected = f"a diagnosis out of {', '.join(diagnoses)}"
        raise _refused(path, "csv-diagnosis", line, expected, "another value")
    image = _inside(record["image"], path, line, "image", allow_outside)
    mask = None
    if record["mask"]:
        mask = _inside(record["mask"], path, line, "mask", allow_outside)
    elif record["diagnosis"] != HEALTHY:
        raise _refused(path, "csv-no-mask", line, "a mask for a slice with a lesion", "none")
    identifiers = same_text(record["slice_id"]), same_text(record["patient_id"])
    return SliceRow(line, *identifiers, image, mask, record["diagnosis"])


def same_text(identifier: str) -> str:
    """An identifier as it is compared: composed characters (NFC), single spaces."""
    return " ".join(unicodedata.normalize("NFC", identifier).split())


def _inside(cell: str, path: Path, line: int, column: str, allow_outside: bool) -> Path:
    """Path of a file named in a cell, which may not lead out of the folder of the table."""
    folder = path.parent
    absolute = PurePosixPath(cell).is_absolute() or bool(PureWindowsPath(cell).drive)
    upward = ".." in PurePosixPath(cell).parts or "\\" in cell
    outside = _refused(
        path,
        "csv-outside",
        line,
        f"{column}: a path inside the table's folder, written with /",
        "an absolute path, one with .. or \\, or a link that leads out",
    )
    if (absolute or upward) and not allow_outside:
        raise outside
    target = folder / cell
    try:
        exists = target.is_file()
        leaves = not target.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):
        exists, leaves = False, False
    if leaves and not allow_outside:
        raise outside
    if not exists:
        raise _refused(path, "csv-no-file", line, f"{column}: a file that exists", "none")
    return target


def _without_contradictions(
    rows: list[SliceRow], path: Path
) -> tuple[list[SliceRow], list[Refusal]]:
    """Leave out all rows that contradict each other: which of them is right is not known."""
    bad: dict[int, Refusal] = {}

    def refuse_groups(code: str, key, doubt, expected: str, found: str) -> None:
        groups = defaultdict(list)
        for row in rows:
            groups[key(row)].append(row)
        for group in groups.values():
            if len(group) > 1 and doubt(group):
                others = ", ".join(str(row.line) for row in group[:8])
                for row in group:
                    bad.setdefault(
                        row.line, _refused(path, code, row.line, expected, f"{found} {others}")
                    )

    always = bool
    refuse_groups(
        "csv-duplicate",
        lambda row: row.slice_id,
        always,
        "each slice_id once",
        "the same one in lines",
    )
    refuse_groups(
        "csv-image-twice",
        lambda row: row.image.resolve(),
        always,
        "each image once",
        "the same one in lines",
    )
    refuse_groups(
        "csv-patient-spelling",
        lambda row: row.patient_id.casefold(),
        lambda group: len({row.patient_id for row in group}) > 1,
        "one spelling of a patient_id",
        "upper and lower case mixed in lines",
    )
    return [row for row in rows if row.line not in bad], list(bad.values())


def _refused(path: Path, code: str, line: int | None, expected: str, found: str) -> Refusal:
    remedy = f"Correct the table: UTF-8, comma-separated, with {', '.join(COLUMNS)}."
    if code == "csv-outside":
        remedy = "Move the files below the table, or allow it with --allow_outside."
    return Refusal(
        code,
        path,
        expected=expected if line is None else f"in line {line}: {expected}",
        found=found,
        remedy=remedy,
    )

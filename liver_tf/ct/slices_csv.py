"""The table of single slices (``slices.csv``): image, mask, patient and diagnosis of each."""

import contextlib
import csv
import io
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from liver_tf.ct.input_file import require_file, unreadable
from liver_tf.ct.patient_identity import patient_key
from liver_tf.labels import HEALTHY, LESION_TYPES
from liver_tf.refusals import Refusal

COLUMNS = ("slice_id", "patient_id", "image", "mask", "diagnosis")
#: An optional column: unlabelled slices next to the image, separated by semicolons, or the folder
#: of its series.
NEIGHBOURS = "neighbours"
DEFAULT_DIAGNOSES = (*LESION_TYPES.lesions, HEALTHY)
#: Bounds of a table: bytes, and cells (commas and line ends).
_LARGEST_FILE, _MOST_CELLS = 1 << 26, 1 << 23


@dataclass(frozen=True)
class SliceRow:
    """A slice in the table.

    Attributes:
      line: Line number in the file, from 1.
      slice_id, patient_id: Normalised by :func:`normalise`. They may leave the program as
        pseudonyms only.
      image: Path of the DICOM file.
      mask: Path of the mask; None for a healthy slice without one.
      diagnosis: One of the allowed diagnoses.
      neighbours: Unlabelled slices of the same scan, or the folder of the series.
    """

    line: int
    slice_id: str
    patient_id: str
    image: Path
    mask: Path | None
    diagnosis: str
    neighbours: tuple[Path, ...] = ()


def read_slices_csv(
    path: Path | str,
    diagnoses: Sequence[str] = DEFAULT_DIAGNOSES,
    allow_outside: bool = False,
) -> tuple[list[SliceRow], list[Refusal]]:
    """Read the usable rows, in the order of the file, and a refusal for every other row.

    The file is comma-separated UTF-8, with or without a byte order mark, with LF or CRLF; empty
    lines and other columns are ignored. Paths are relative to the folder of the table.

    Args:
      path: The table.
      diagnoses: Allowed values in ``diagnosis``; ``mask`` may be empty for ``healthy``.
      allow_outside: Whether absolute paths, ``..`` and links may lead out of the table's folder.

    Returns:
      Rows and refusals; a single refusal if the whole table cannot be read. Codes:
      ``file-missing``, ``file-unreadable``, ``csv-encoding``, ``csv-format``, ``csv-columns``,
      ``csv-empty``, ``csv-fields``, ``csv-blank``, ``csv-diagnosis``, ``csv-no-mask``,
      ``csv-outside``, ``csv-no-file``, ``csv-neighbours``, ``csv-duplicate``,
      ``csv-image-twice``.
    """
    path = Path(path)
    try:
        header, lines = _table(_decode(path), path)
    except Refusal as refusal:
        return [], [refusal]
    rows, refusals = [], []
    for line, cells in lines:
        try:
            rows.append(_row(line, cells, header, path, diagnoses, allow_outside))
        except Refusal as refusal:
            refusals.append(refusal)
    contradictions = _contradictions(rows, path)
    refusals += contradictions.values()
    if not lines:
        refusals.append(_refused(path, "csv-empty", None, "at least one slice", "none"))
    return [row for row in rows if row.line not in contradictions], refusals


def _decode(path: Path) -> str:
    try:
        if require_file(path).stat().st_size > _LARGEST_FILE:
            raise _refused(path, "csv-format", None, "a table of at most 64 MiB", "a larger one")
        data = path.read_bytes()
    except OSError:
        raise unreadable(path) from None
    if data.count(b",") + data.count(b"\n") + data.count(b"\r") > _MOST_CELLS:
        raise _refused(path, "csv-format", None, f"at most {_MOST_CELLS} cells", "more")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
    encoding = "UTF-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "another encoding"
    raise _refused(path, "csv-encoding", line, "UTF-8", encoding)


def _table(text: str, path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and (line number, stripped cells) of each row that is not empty."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    rows = []
    line = 1
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if "\0" in "".join(cells):
                raise _refused(path, "csv-format", line, "text", "a null byte")
            if any(cells) and not header:
                header = _header(cells, path, line)
            elif any(cells):
                rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error:
        expected = "comma-separated values"
        raise _refused(path, "csv-format", line, expected, "broken quoting") from None
    if not header:
        raise _refused(path, "csv-columns", None, f"the columns {', '.join(COLUMNS)}", "no line")
    return header, rows


def _header(cells: list[str], path: Path, line: int) -> list[str]:
    header = [cell.lower() for cell in cells]
    missing = [column for column in COLUMNS if column not in header]
    twice = [column for column in (*COLUMNS, NEIGHBOURS) if header.count(column) > 1]
    if missing or twice:
        problem = f"no {', '.join(missing)}" if missing else f"{', '.join(twice)} twice"
        if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
            problem += " (separated by semicolons or tabs?)"
        raise _refused(path, "csv-columns", line, f"the columns {', '.join(COLUMNS)}", problem)
    return header


def _row(
    line: int,
    cells: list[str],
    header: list[str],
    path: Path,
    diagnoses: Sequence[str],
    allow_outside: bool,
) -> SliceRow:
    if len(cells) != len(header):
        raise _refused(path, "csv-fields", line, f"{len(header)} cells", f"{len(cells)}")
    record = dict(zip(header, cells, strict=True))
    for column in ("slice_id", "patient_id", "image", "diagnosis"):
        if not record[column]:
            raise _refused(path, "csv-blank", line, f"a value for {column}", "an empty cell")
    if record["diagnosis"] not in diagnoses:
        expected = f"one of the diagnoses {', '.join(diagnoses)}"
        raise _refused(path, "csv-diagnosis", line, expected, "another value")
    image = _inside(record["image"], path, line, "image", allow_outside)
    mask = None
    if record["mask"]:
        mask = _inside(record["mask"], path, line, "mask", allow_outside)
    elif record["diagnosis"] != HEALTHY:
        raise _refused(path, "csv-no-mask", line, "a mask for a slice with a lesion", "none")
    cells = [cell.strip() for cell in record.get(NEIGHBOURS, "").split(";")]
    neighbours = tuple(
        _inside(cell, path, line, NEIGHBOURS, allow_outside) for cell in cells if cell
    )
    if len(neighbours) > 1 and any(each.is_dir() for each in neighbours):
        expected = f"{NEIGHBOURS}: files, or one folder"
        raise _refused(path, "csv-neighbours", line, expected, "a folder among several paths")
    identifiers = normalise(record["slice_id"]), normalise(record["patient_id"])
    if not patient_key(identifiers[1]):
        raise _refused(path, "csv-blank", line, "a value for patient_id", "an authority alone")
    return SliceRow(line, *identifiers, image, mask, record["diagnosis"], neighbours)


def normalise(identifier: str) -> str:
    """An identifier in the form used for comparison: NFC, single spaces."""
    return " ".join(unicodedata.normalize("NFC", identifier).split())


def _inside(cell: str, path: Path, line: int, column: str, allow_outside: bool) -> Path:
    """Path of a file or, for neighbours, of a folder; in the table's folder unless allowed."""
    folder = path.parent
    target = folder / cell
    absolute = PurePosixPath(cell).is_absolute() or bool(PureWindowsPath(cell).drive)
    outside = absolute or ".." in PurePosixPath(cell).parts or "\\" in cell
    exists = False
    if allow_outside or not outside:
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            outside = not target.resolve().is_relative_to(folder.resolve())
            exists = target.is_file() or (column == NEIGHBOURS and target.is_dir())
    if outside and not allow_outside:
        expected = f"{column}: a path inside the table's folder, written with /"
        found = "an absolute path, .. or \\, or a link that leads outside"
        raise _refused(path, "csv-outside", line, expected, found)
    if not exists:
        raise _refused(path, "csv-no-file", line, f"{column}: a file that exists", "none")
    return target


def _contradictions(rows: list[SliceRow], path: Path) -> dict[int, Refusal]:
    """Refusals, by line, of all rows that contradict each other: the correct one is unknown."""
    ids = _groups(rows, lambda row: row.slice_id)
    images = _groups(rows, lambda row: row.image.resolve())
    refusals: dict[int, Refusal] = {}
    for line, refusal in (
        *_refuse_groups(path, "csv-duplicate", ids, "each slice_id once", "the same slice_id"),
        *_refuse_groups(path, "csv-image-twice", images, "each image once", "the same image"),
    ):
        refusals.setdefault(line, refusal)
    return refusals


def _refuse_groups(
    path: Path, code: str, groups: list[list[SliceRow]], expected: str, found: str
) -> Iterator[tuple[int, Refusal]]:
    for group in groups:
        lines = ", ".join(str(row.line) for row in group[:8])
        for row in group:
            yield row.line, _refused(path, code, None, expected, f"{found} in lines {lines}")


def _groups(rows: list[SliceRow], key: Callable[[SliceRow], Hashable]) -> list[list[SliceRow]]:
    """Rows with the same key, where there are several."""
    groups: dict[Hashable, list[SliceRow]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return [group for group in groups.values() if len(group) > 1]


def _refused(path: Path, code: str, line: int | None, expected: str, found: str) -> Refusal:
    remedy = f"Correct the table: UTF-8, comma-separated, with {', '.join(COLUMNS)}."
    if code == "csv-outside":
        remedy = "Move the files into the folder of the table, or use --allow_outside."
    found = found if line is None else f"{found} in line {line}"
    return Refusal(code, path, expected=expected, found=found, remedy=remedy)

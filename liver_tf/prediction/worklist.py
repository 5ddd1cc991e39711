"""``index.html`` and ``results.csv``: all scans of an output folder with their findings.

Both are made from ``inputs.csv`` and the result folders, so they include those of earlier commands.
Thumbnails and links point into the result folders.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from liver_tf import atomic_files
from liver_tf.bounded_files import read_json
from liver_tf.counted import counted
from liver_tf.csv_text import csv_text
from liver_tf.export.scan_results import CSV, JSON, LABELS, SEG, SR, THUMBNAIL

INDEX, RESULTS = "index.html", "results.csv"
#: What begins a file that this module wrote; others are not replaced.
_OURS = {INDEX: b'<meta name="generator" content="liver_tf">', RESULTS: b"scan,status"}


def write_worklist(output: Path, inputs: Sequence[Mapping[str, Any]]) -> int:
    """Write both files, atomically; raises ``OSError``.

    Args:
      inputs: Rows of ``inputs.csv``.

    Returns:
      The number of scans on the page that have results; 0 if ``index.html`` is another page.
    """
    entries = [_entry(output, row) for row in inputs]
    listed = 0
    if is_ours(output / INDEX, _OURS[INDEX]):
        listed = sum(entry["done"] for entry in entries)
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        page = environment.get_template("worklist.html.jinja").render(
            entries=entries,
            notices=_notices(entry["notice"] for entry in entries),
            done=listed,
            unnamed=_kinds_without_path(entries),
        )
        atomic_files.write_text(output / INDEX, page)
    if is_ours(output / RESULTS, _OURS[RESULTS]):
        rows = [lesion for entry in entries for lesion in entry["lesions"]]
        columns = dict.fromkeys(["scan", "status", *(name for row in rows for name in row)])
        table = [list(columns), *([row.get(name) for name in columns] for row in rows)]
        atomic_files.write_text(output / RESULTS, csv_text(table))
    return listed


def is_ours(path: Path, sign: bytes) -> bool:
    """Whether a file is missing or begins as this program writes it."""
    if not path.exists():
        return True
    with open(path, "rb") as file:
        return sign in file.read(500)


def _kinds_without_path(entries: Sequence[Mapping[str, Any]]) -> dict[str, bool]:
    """Which kinds of names the page has to explain: those of entries without a path."""
    names = [entry["named_by"] for entry in entries if not entry["path"]]
    listed = [name.startswith("input_list") for name in names]
    return {"flag": not all(listed), "list": any(listed)} if names else {}


def _notices(notices: Iterable[str | None]) -> list[str]:
    """The notices of all scans, without those that another one begins with."""
    known = sorted({notice for notice in notices if notice})
    return [one for one in known if not any(o != one and o.startswith(one) for o in known)]


def _entry(output: Path, row: Mapping[str, Any]) -> dict[str, Any]:
    """A line of the page, and the lesions of the scan as in its ``lesions.csv``."""
    folder = output / row["scan"]
    entry = {
        "scan": row["scan"],
        "named_by": row["named_by"],
        "path": row.get("path"),
        "status": row["status"],
        "done": (folder / JSON).is_file(),
        "headline": row["status"],
        "cautions": [],
        "notice": None,
        "links": [],
        "thumbnail": None,
        "refusal": {name: row.get(name) for name in ("code", "expected", "came", "remedy")},
        "lesions": [{"scan": row["scan"], "status": row["status"]}],
    }
    if not entry["done"]:
        return entry
    try:
        return entry | _results(folder)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, csv.Error):
        return entry | {"headline": "damaged results", "done": False}


def _results(folder: Path) -> dict[str, Any]:
    """The parts of an entry that the files of a scan state."""
    contents = read_json(folder / JSON)
    with open(folder / CSV, encoding="utf-8", newline="") as file:
        lesions = list(csv.DictReader(file))
    # Earlier versions stored no headline.
    count = len(contents["lesions"])
    stored = {path.name for path in folder.iterdir()}
    return {
        "status": contents["status"],
        "headline": contents.get("headline", f"{counted(count, 'lesion')}, {contents['status']}"),
        "cautions": [f"{each['code']}: {each['text']}" for each in contents["cautions"]],
        "notice": (contents.get("trained_on") or {}).get("notice"),
        "links": [name for name in (CSV, LABELS, SEG, SR) if name in stored],
        "thumbnail": THUMBNAIL if THUMBNAIL in stored else None,
        "lesions": lesions,
    }

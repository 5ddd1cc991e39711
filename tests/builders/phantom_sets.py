"""Convert phantom files, run data commands and read their output."""

from __future__ import annotations

import contextlib
import csv
import importlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from liver_tf.command_line.run_command import execute
from liver_tf.options import OptionError

ROOT = Path(__file__).resolve().parents[2]
KEY = b"a key for tests, no secret at all"
MASK_VALUES = ((0, "background"), (1, "liver"), (2, "lesion"))


def convert_lits(source: Path, output: Path):
    """Convert a folder of LiTS pairs in this process; return (manifest or None, refusals)."""
    from liver_tf import __version__
    from liver_tf.conversion.convert_cases import Target, convert_cases, local_engine
    from liver_tf.conversion.sources import find_lits
    from liver_tf.ct.pseudonyms import key_fingerprint
    from liver_tf.labels import LITS

    tasks, refusals = find_lits(source, KEY)
    return convert_cases(
        tasks,
        Target(output),
        label_set=LITS,
        made_by={"version": __version__, "source": "lits", "site_key": key_fingerprint(KEY)},
        early_refusals=refusals,
        engine=local_engine(1),
    )


def convert_slices(table: Path, output: Path, mask_values=MASK_VALUES, allow_outside=False):
    """Convert a table of slices in this process; return (manifest or None, refusals)."""
    from liver_tf import __version__
    from liver_tf.conversion.convert_cases import Target, convert_cases, local_engine
    from liver_tf.conversion.sources import find_slices
    from liver_tf.ct.pseudonyms import key_fingerprint
    from liver_tf.labels import LESION_TYPES

    tasks, refusals = find_slices(
        table, KEY, LESION_TYPES, mask_values, allow_outside=allow_outside
    )
    made_by = {"version": __version__, "source": "slices", "site_key": key_fingerprint(KEY)}
    made_by["mask_values"] = ",".join(f"{value}:{name}" for value, name in mask_values)
    made_by["lesion_types"] = ",".join(LESION_TYPES.lesions)
    made_by["allow_outside"] = allow_outside
    made_by["ignore_patient_id"] = False
    return convert_cases(
        tasks,
        Target(output),
        label_set=LESION_TYPES,
        made_by=made_by,
        early_refusals=refusals,
        engine=local_engine(1),
    )


def convert_series(folder: Path, output: Path, segments=None, own_patient=False):
    """Convert a folder of DICOM series in this process; return (manifest or None, refusals)."""
    from liver_tf import __version__
    from liver_tf.conversion.convert_cases import Target, convert_cases, local_engine
    from liver_tf.conversion.segment_mapping import DEFAULT_SEGMENTS, parse_segments, segments_text
    from liver_tf.conversion.sources import find_series
    from liver_tf.ct.pseudonyms import key_fingerprint
    from liver_tf.labels import LESION_TYPES

    label_set, parsed = parse_segments(segments or DEFAULT_SEGMENTS, LESION_TYPES)
    tasks, refusals, _ = find_series(folder, KEY, label_set, parsed, study_is_patient=own_patient)
    return convert_cases(
        tasks,
        Target(output),
        label_set=label_set,
        made_by={
            "version": __version__,
            "source": "series",
            "site_key": key_fingerprint(KEY),
            "segments": segments_text(parsed, KEY),
            "series_without_patient_id": "own_patient" if own_patient else "refuse",
        },
        early_refusals=refusals,
        engine=local_engine(1),
    )


def run_command(
    name: str, *arguments: str | Path, key: bytes | None = KEY
) -> subprocess.CompletedProcess:
    """Run the command ``data_prep.NAME`` in this process, with or without a site key."""
    module = importlib.import_module(f"data_prep.{name}")
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.delenv("LIVER_TF_SITE_KEY", raising=False)
        if key is not None:
            patch.setenv("LIVER_TF_SITE_KEY", key.decode())
        try:
            status = execute(module.main, list(map(str, arguments)), tensorflow=False)
        except OptionError as error:
            print(error.as_flag(), file=err)
            status = 1
    return subprocess.CompletedProcess(name, status, out.getvalue(), err.getvalue())


def run_process(name: str, *arguments: str | Path) -> subprocess.CompletedProcess:
    """Run ``python -m data_prep.NAME`` in a new process, with the site key of the tests."""
    return subprocess.run(
        [sys.executable, "-m", f"data_prep.{name}", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "LIVER_TF_SITE_KEY": KEY.decode()},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def read_table(path: Path) -> list[dict[str, str]]:
    """Rows of a slices CSV."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def first_row(folder: Path, **values: str) -> dict[str, str]:
    """The first row of a folder's ``slices.csv`` with these values."""
    rows = read_table(folder / "slices.csv")
    return next(row for row in rows if values.items() <= row.items())


def write_table(path: Path, rows: list[dict[str, str]]) -> Path:
    """Write rows as a slices CSV."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def bytes_of(folder: Path, pattern: str = "*") -> dict[str, bytes]:
    """Contents of all files below a folder by relative path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob(pattern))
        if path.is_file()
    }


def records_of(folder: Path) -> dict:
    """All records of a record set by (case, slice index), checked against its manifest."""
    from liver_tf.records.manifest import load_manifest
    from liver_tf.records.shard_reader import check_shards, read_case

    manifest = load_manifest(folder)
    check_shards(folder, manifest)
    return {
        (record.case, record.slice_index): record
        for entry in manifest.cases
        for record in read_case(folder, entry)
    }


def without_data_kind(files: dict[str, bytes], kind: str) -> dict[str, bytes]:
    """The files of a record set without the kind of data, for which only the command looks."""
    from tests.builders.tiny_records import resealed

    line = f'  "data": "{kind}",\n'.encode()
    manifest = files["manifest.json"]
    assert manifest.count(line) == 1
    return files | {"manifest.json": resealed(manifest.replace(line, b"").decode()).encode()}

"""Cases to shards, in parallel processes, so that a conversion can be killed and goes on.

For every case a shard and, after it, a memo in ``.cases/`` appear whole. The manifest is put
together from the memos when all cases are done. A case whose memo fits the input files and the
arguments is not converted again.
"""

from __future__ import annotations

import collections
import json
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from data_prep.cases import CaseTask, ReadCase, slices_of
from liver_tf import atomic_files
from liver_tf.ct.window import apply_window
from liver_tf.labels import HEALTHY, LabelSet
from liver_tf.quiet_tensorflow import import_tensorflow
from liver_tf.records import statistics
from liver_tf.records.manifest import MANIFEST_NAME, CaseEntry, Manifest
from liver_tf.records.schema import SCHEMA_VERSION, SliceRecord
from liver_tf.records.shards import write_shard
from liver_tf.refusals import Refusal

MEMOS = ".cases"


@dataclass(frozen=True)
class Outcome:
    """What became of a case: an entry for the manifest, or none, and its refusals."""

    entry: CaseEntry | None
    refusals: tuple[Refusal, ...]


def convert(
    tasks: list[CaseTask],
    output: Path,
    *,
    label_set: LabelSet,
    window: tuple[int, int],
    made_by: dict,
    early_refusals: list[Refusal],
    workers: int,
) -> tuple[Manifest, list[Refusal]]:
    """Convert all cases and write the manifest last.

    Returns the manifest and every refusal, those of ``early_refusals`` included. Where not a
    single case could be read there is no data set: raises ``Refusal``.
    """
    output.mkdir(parents=True, exist_ok=True)
    # Shards may change from here on: without its manifest the folder is no data set.
    (output / MANIFEST_NAME).unlink(missing_ok=True)
    jobs = [(task, output, window) for task in tasks]
    refusals = list(early_refusals)
    entries = []
    for outcome in tqdm(
        _in_processes(convert_case, jobs, workers), total=len(jobs), desc="convert", unit="case"
    ):
        refusals += outcome.refusals
        if outcome.entry is not None:
            entries.append(outcome.entry)
    if not entries:
        raise Refusal(
            "nothing-converted",
            output,
            expected="at least one case that can be read",
            came=f"{len(tasks)} cases found and {len(refusals)} refusals",
            remedy="See the refusals above; check --source and --input.",
        )
    manifest = Manifest(
        label_set=label_set,
        window=window,
        cases=tuple(sorted(entries, key=lambda entry: entry.case)),
        refusals=tuple({"code": r.code, "text": r.text()} for r in refusals),
        made_by=made_by,
    )
    manifest.save(output)
    _sweep(output, manifest)
    return manifest, refusals


def convert_case(job: tuple[CaseTask, Path, tuple[int, int]]) -> Outcome:
    """Convert one case, unless a memo says that it is done."""
    task, output, window = job
    memo = output / MEMOS / f"{task.case}.json"
    stamp = _stamp(task, window)
    done = _remembered(memo, stamp, output)
    if done is not None:
        return done
    found = ReadCase()
    parts: list[statistics.CaseStatistics] = []
    diagnoses: collections.Counter[str] = collections.Counter()
    shard = output / f"{task.case}.tfrecord"
    try:
        info = write_shard(shard, _records(task, window, found, parts, diagnoses))
    except Refusal as refusal:
        return Outcome(None, (refusal,))
    if not info.records:
        shard.unlink()
        return Outcome(None, tuple(found.refusals))
    total = statistics.total(parts)
    entry = CaseEntry(
        case=task.case,
        patient=task.patient,
        group=task.group,
        shard=shard.name,
        records=info.records,
        bytes=info.bytes,
        sha256=info.sha256,
        diagnosis=_diagnosis(diagnoses, total),
        statistics=total,
        cautions=tuple(sorted({(caution.code, caution.text) for caution in found.cautions})),
        details=dict(sorted(found.details.items())),
    )
    if not found.refusals:
        atomic_files.write_json(memo, {"stamp": stamp, "entry": entry.to_json()})
    return Outcome(entry, tuple(found.refusals))


def _records(task, window, found, parts, diagnoses) -> Iterator[SliceRecord]:
    for one in slices_of(task, found):
        image = apply_window(one.hu, *window)
        parts.append(statistics.of_slice(image, one.labels, len(task.label_set)))
        diagnoses[one.diagnosis] += 1
        yield SliceRecord(
            image=image,
            labels=one.labels,
            spacing_mm=one.spacing_mm,
            case=task.case,
            patient=task.patient,
            slice_index=one.index,
            diagnosis=one.diagnosis,
        )


def _diagnosis(diagnoses: collections.Counter, total: statistics.CaseStatistics) -> str:
    """The case's diagnosis, by which folds are stratified."""
    kinds = [(count, name) for name, count in diagnoses.items() if name not in ("", HEALTHY)]
    if kinds:
        return max(kinds)[1]
    return "lesion" if sum(total.class_pixels[2:]) else HEALTHY


def _stamp(task: CaseTask, window: tuple[int, int]) -> dict:
    """What a memo must agree with to stand for a case: files by size and time, and arguments."""
    files = []
    for path in task.files:
        try:
            status = path.stat()
            files.append([status.st_size, status.st_mtime_ns])
        except OSError:
            files.append([-1, -1])
    return {
        "schema": SCHEMA_VERSION,
        "files": files,
        "window": list(window),
        "classes": list(task.label_set.classes),
        "group": task.group,
        "mask_values": [list(pair) for pair in task.mask_values],
        "diagnoses": [row.diagnosis for row in task.rows],
    }


def _remembered(memo: Path, stamp: dict, output: Path) -> Outcome | None:
    if not memo.is_file():
        return None
    try:
        stored = json.loads(memo.read_text(encoding="utf-8"))
        entry = CaseEntry.from_json(stored["entry"])
    except (ValueError, KeyError, TypeError):
        return None
    shard = output / entry.shard
    if stored["stamp"] != stamp or not shard.is_file():
        return None
    if atomic_files.sha256_of(shard) != entry.sha256:
        return None
    return Outcome(entry, ())


def _sweep(output: Path, manifest: Manifest) -> None:
    """Remove what earlier conversions into this folder left and the manifest does not name."""
    named = {case.case for case in manifest.cases}
    for memo in (output / MEMOS).glob("*.json"):
        if memo.stem not in named:
            (output / f"{memo.stem}.tfrecord").unlink(missing_ok=True)
            memo.unlink()
    for path in output.glob(f"{atomic_files.TEMPORARY_MARK}*"):
        path.unlink()


def _in_processes(function: Callable, jobs: Iterable, workers: int) -> Iterator:
    """Map over jobs in their order, in this process or in fresh ones (TensorFlow cannot fork)."""
    if workers <= 1:
        yield from map(function, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=import_tensorflow) as pool:
        yield from pool.map(function, jobs)

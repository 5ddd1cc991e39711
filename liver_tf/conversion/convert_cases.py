"""Converts cases to shards in parallel, and resumes after an interruption.

Each case leaves a shard and then a memo in ``.cases/``, both written atomically. A case whose memo
matches its input files and the arguments is not converted again. The manifest is written last.
"""

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from liver_tf import __version__, atomic_files
from liver_tf.bounded_files import read_json
from liver_tf.conversion.case_reader import read_neighbours, read_slices, unexpected_error
from liver_tf.conversion.cases import CaseNotes, CaseTask, LabelledSlice, NeighbourSlice
from liver_tf.conversion.output_folder import MEMOS, NEIGHBOURS, remove_leftovers, rewritten_folder
from liver_tf.conversion.process_engine import in_processes
from liver_tf.counted import counted
from liver_tf.ct.window import DEFAULT_WINDOW, apply_window
from liver_tf.disk_full import write_errors_as_refusals
from liver_tf.labels import HEALTHY, LabelSet
from liver_tf.progress import with_progress
from liver_tf.records import case_statistics
from liver_tf.records.bad_records import bad_records
from liver_tf.records.manifest import (
    MANIFEST_NAME,
    CaseEntry,
    Manifest,
    NeighbourShard,
    load_manifest,
)
from liver_tf.records.pixel_encoding import DEFAULT_ENCODING
from liver_tf.records.record_schema import SCHEMA_VERSION, SliceRecord
from liver_tf.records.shard_writer import write_shard
from liver_tf.records.slice_hash import hash_slice, slice_index
from liver_tf.refusals import Refusal


@dataclass(frozen=True)
class Target:
    """Folder of the record set, window in HU (low, high) and encoding of the pixels."""

    output: Path
    window: tuple[int, int] = DEFAULT_WINDOW
    encoding: str = DEFAULT_ENCODING


@dataclass(frozen=True)
class CaseOutcome:
    """Result of converting a case: its manifest entry, or None, and its refusals."""

    entry: CaseEntry | None
    refusals: tuple[Refusal, ...]

    def to_json(self, task: CaseTask) -> dict:
        """Without file names: the path of a refusal is stored as an index into ``task.places``."""
        indices = {path: index for index, path in enumerate(task.places)}
        return {
            "entry": None if self.entry is None else self.entry.to_json(),
            "refusals": [[r.to_json(), indices.get(r.path)] for r in self.refusals],
        }

    @classmethod
    def from_json(cls, value: dict, task: CaseTask) -> "CaseOutcome":
        """The inverse of ``to_json``."""
        return cls(
            None if value["entry"] is None else CaseEntry.from_json(value["entry"]),
            tuple(
                Refusal.from_json(refusal, None if index is None else task.places[index])
                for refusal, index in value["refusals"]
            ),
        )


#: A case and the target of its records.
CaseJob = tuple[CaseTask, Target]
#: Runs ``convert_case`` on jobs; outcomes come in the order of the jobs.
Engine = Callable[[list[CaseJob]], Iterator[CaseOutcome]]


def local_engine(workers: int) -> Engine:
    """An engine of ``workers`` processes on this machine."""
    return lambda jobs: in_processes(convert_case, jobs, workers)


def convert_cases(
    tasks: list[CaseTask],
    target: Target,
    *,
    label_set: LabelSet,
    made_by: dict,
    early_refusals: list[Refusal],
    engine: Engine,
) -> tuple[Manifest | None, list[Refusal]]:
    """Convert all cases, then write the manifest.

    Args:
      made_by: version and arguments, for the manifest.
      early_refusals: of files that did not form a case.

    Returns:
      The manifest and all refusals, including ``early_refusals``. If no case could be read: None,
      and the last refusal is ``nothing-converted``.

    Raises:
      Refusal: an error that ends the conversion: ``output-other-set``, ``disk-full``,
        ``output-unwritable``, ``output-busy``, ``worker-died``. Complete shards are kept, and the
        next call resumes.
    """
    refusals = list(early_refusals)
    output = target.output
    if not tasks:  # a wrong --input must not destroy the existing record set
        return None, [*refusals, _nothing_converted(output, 0, len(refusals))]
    _refuse_other_set(output, made_by)
    with rewritten_folder(output):
        jobs = [(task, target) for task in tasks]
        entries = []
        for outcome in with_progress(engine(jobs), "convert", "case", len(jobs)):
            refusals += outcome.refusals
            if outcome.entry is not None:
                entries.append(outcome.entry)
        if not entries:
            return None, [*refusals, _nothing_converted(output, len(tasks), len(refusals))]
        # Patients removed from the input must not remain in the output.
        remove_leftovers(output, {Path(name).stem for entry in entries for name in _shards(entry)})
        manifest = Manifest(
            label_set=label_set,
            window=target.window,
            encoding=target.encoding,
            cases=tuple(sorted(entries, key=lambda entry: entry.case)),
            refusals=tuple({"code": r.code, "text": r.text()} for r in refusals),
            made_by=made_by,
        )
        manifest.save(output)
    return manifest, refusals


def convert_case(job: CaseJob) -> CaseOutcome:
    """Convert one case, unless its memo shows that it is done.

    Raises:
      Refusal: the output cannot be written, which concerns all cases.
    """
    task, target = job
    memo = target.output / MEMOS / f"{task.case}.json"
    stamp = _stamp(task, target)
    with write_errors_as_refusals(target.output):
        return _finished(memo, stamp, task, target.output) or _convert(task, target, memo, stamp)


@dataclass
class _CaseTotals:
    """What a manifest entry states about all slices of a case; filled while they are written."""

    statistics: list[case_statistics.CaseStatistics] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    diagnoses: Counter[str] = field(default_factory=Counter)

    def record(
        self, task: CaseTask, labelled: LabelledSlice, window: tuple[int, int]
    ) -> SliceRecord:
        """Window a slice, add it to the totals and return its record."""
        image = apply_window(labelled.hu, *window)
        values = {label: apply_window(hu, *window) for label, hu in labelled.hu_by_label.items()}
        self.statistics.append(case_statistics.of_values(values, image.size, len(task.label_set)))
        self.hashes.append(hash_slice(image, labelled.index))
        self.diagnoses[labelled.diagnosis] += 1
        return SliceRecord(
            image=image,
            labels=labelled.labels,
            spacing_mm=labelled.spacing_mm,
            case=task.case,
            patient=task.patient,
            slice_index=labelled.index,
            diagnosis=labelled.diagnosis,
            tissues=labelled.tissues,
        )


def _convert(task: CaseTask, target: Target, memo: Path, stamp: dict) -> CaseOutcome:
    _keep_freed_memory()
    notes, totals = CaseNotes(), _CaseTotals()
    # Before the files are read: a file that is replaced meanwhile is read again by the next run.
    read = {"identity": _identity(task), "content": _content(task)}
    shard = target.output / f"{task.case}.tfrecord"
    records = (totals.record(task, one, target.window) for one in read_slices(task, notes))
    try:
        info = write_shard(shard, records, target.encoding)
    except Refusal as refusal:
        return CaseOutcome(None, (*notes.refusals, refusal))
    except OSError:  # error of writing: errors of reading are refusals already
        raise
    except Exception as error:
        return CaseOutcome(None, (*notes.refusals, unexpected_error(task.files[0], error)))
    if not info.records:
        return CaseOutcome(None, tuple(notes.refusals))
    neighbours = _convert_neighbours(task, target, notes, totals.hashes)
    total = case_statistics.total(totals.statistics)
    entry = CaseEntry(
        case=task.case,
        patient=task.patient,
        group=task.group,
        shard=shard.name,
        records=info.records,
        bytes=info.bytes,
        sha256=info.sha256,
        diagnosis=_diagnosis(totals.diagnoses, total),
        statistics=total,
        hashes=tuple(totals.hashes),
        cautions=tuple(sorted({(caution.code, caution.text) for caution in notes.cautions})),
        details=dict(sorted(notes.details.items())),
        neighbours=neighbours,
    )
    # A case with refused slices gets no memo: they may have been fixed by the next run.
    if not notes.refusals:
        atomic_files.write_json(memo, {"stamp": stamp, "read": read, "entry": entry.to_json()})
    return CaseOutcome(entry, tuple(notes.refusals))


def _convert_neighbours(
    task: CaseTask, target: Target, notes: CaseNotes, converted: list[str]
) -> NeighbourShard | None:
    """Write the unlabelled neighbours of the slices with the hashes ``converted``, if any."""
    hashes: list[str] = []

    def record(neighbour: NeighbourSlice) -> SliceRecord:
        image = apply_window(neighbour.hu, *target.window)
        hashes.append(hash_slice(image, neighbour.index))
        return SliceRecord(
            image=image,
            labels=np.zeros(image.shape, np.uint8),
            spacing_mm=neighbour.spacing_mm,
            case=task.case,
            patient=task.patient,
            slice_index=neighbour.index,
            neighbour_of=neighbour.neighbour_of,
            offset_mm=neighbour.offset_mm,
        )

    annotated = {slice_index(text) for text in converted}
    shard = target.output / f"{task.case}{NEIGHBOURS}.tfrecord"
    if not task.neighbours:
        return None
    records = map(record, read_neighbours(task, notes, annotated))
    info = write_shard(shard, records, target.encoding)
    if not info.records:
        return None
    return NeighbourShard(shard.name, info.records, info.bytes, info.sha256, tuple(hashes))


def _shards(entry: CaseEntry) -> tuple[str, ...]:
    return (entry.shard,) if entry.neighbours is None else (entry.shard, entry.neighbours.shard)


def _keep_freed_memory() -> None:
    """Make the C library reuse freed slices instead of returning their memory to the system.

    glibc returns memory beyond a threshold that grows with the largest block freed so far (malloc,
    M_TRIM_THRESHOLD). This block is never touched, so it costs nothing.
    """
    np.empty(24 << 20, np.uint8)


def _diagnosis(diagnoses: Counter[str], total: case_statistics.CaseStatistics) -> str:
    """The case's diagnosis, by which folds are stratified."""
    lesions = [(count, name) for name, count in diagnoses.items() if name not in ("", HEALTHY)]
    if lesions:
        return max(lesions)[1]
    return "lesion" if sum(total.class_pixels[2:]) else HEALTHY


def _stamp(task: CaseTask, target: Target) -> dict:
    """What a memo must match to be valid: sizes and times of the files, and the arguments."""
    statuses = [_status(path) for path in task.files]
    files = [[each.st_size, each.st_mtime_ns] if each else [-1, -1] for each in statuses]
    return {
        "version": __version__,
        "schema": SCHEMA_VERSION,
        "sources": task.sources,
        "files": files,
        "window": list(target.window),
        "encoding": target.encoding,
        "classes": list(task.label_set.classes),
        "group": task.group,
        "mask_values": [list(pair) for pair in task.mask_values],
        "diagnoses": [row.diagnosis for row in task.rows],
        **{name: True for name in ("strict", "palette_index") if getattr(task, name)},
        **({"cautions": [each.text for each in task.cautions]} if task.cautions else {}),
    }


def _identity(task: CaseTask) -> list[list[int]]:
    """Inode and time of the last change of each file, which no program can set back."""
    statuses = [_status(path) for path in task.files]
    return [[each.st_ino, each.st_ctime_ns] if each else [] for each in statuses]


def _content(task: CaseTask) -> str:
    """SHA-256 of the files of a case."""
    digest = hashlib.sha256()
    for path in task.files:
        with contextlib.suppress(OSError):  # refused when it is read
            digest.update(atomic_files.sha256_of(path).encode())
    return digest.hexdigest()


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _finished(memo: Path, stamp: dict, task: CaseTask, output: Path) -> CaseOutcome | None:
    """The outcome of an earlier conversion of the same files with an intact shard, or None.

    A file can change while its size and time stay the same (``cp -p``, a clock set back), so the
    content is compared unless it is certainly the same file. Memos of earlier versions state size
    and time only.
    """
    if not memo.is_file():
        return None
    try:
        stored = read_json(memo)
        stored_stamp, entry = stored["stamp"], CaseEntry.from_json(stored["entry"])
        read = stored.get("read")
        same = not read or read["identity"] == _identity(task) or read["content"] == _content(task)
    except (ValueError, KeyError, TypeError):
        return None
    shard = output / f"{memo.stem}.tfrecord"
    if stored_stamp != stamp or not same or entry.shard != shard.name:
        return None
    for each in (entry, entry.neighbours):
        if each is None:
            continue
        path = output / each.shard
        if not path.is_file() or atomic_files.sha256_of(path) != each.sha256:
            return None
    return CaseOutcome(entry, ())


def _refuse_other_set(output: Path, made_by: dict) -> None:
    """Refuse to overwrite a record set of another source or site key (a wrong --output)."""
    if not (output / MANIFEST_NAME).is_file():
        return
    try:
        stored = load_manifest(output).made_by
    except Refusal:  # damaged or of an earlier version: it is replaced
        return
    differing = [name for name in ("source", "site_key") if stored.get(name) != made_by.get(name)]
    if differing:
        expected = "a new folder, or a record set of the same source and site key"
        found = f"a record set made with another {' and '.join(differing)}"
        raise bad_records("output-other-set", output, expected, found)


def _nothing_converted(output: Path, cases: int, refused: int) -> Refusal:
    found = f"none among {counted(cases, 'case')}; {counted(refused, 'refused input')}"
    return bad_records("nothing-converted", output, "at least one readable case", found)

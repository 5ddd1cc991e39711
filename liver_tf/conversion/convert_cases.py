"""Cases to shards, in parallel processes, so that a conversion can be killed and goes on.

For every case a shard and, after it, a memo in ``.cases/`` appear whole. The manifest is put
together from the memos when all cases are done. A case whose memo fits the input files and the
arguments is not converted again.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from liver_tf import __version__, atomic_files
from liver_tf.conversion.case_reader import read_slices, unexpected_error
from liver_tf.conversion.cases import CaseNotes, CaseTask
from liver_tf.conversion.output_folder import MEMOS, begun_anew, sweep
from liver_tf.conversion.process_engine import in_processes
from liver_tf.ct.window import DEFAULT_WINDOW, apply_window
from liver_tf.disk_full import write_errors_as_refusals
from liver_tf.labels import HEALTHY, LabelSet
from liver_tf.records import case_statistics
from liver_tf.records.manifest import MANIFEST_NAME, CaseEntry, Manifest, load_manifest
from liver_tf.records.pixel_encoding import DEFAULT_ENCODING
from liver_tf.records.record_schema import SCHEMA_VERSION, SliceRecord
from liver_tf.records.shards import write_shard
from liver_tf.records.slice_hash import hash_slice
from liver_tf.refusals import Refusal


@dataclass(frozen=True)
class Target:
    """Where records go and how they are written.

    Attributes:
      output: folder of the record set.
      window: (low, high) HU to which images are clipped.
      encoding: of pixels, one of ``liver_tf.records.pixel_encoding.ENCODINGS``.
    """

    output: Path
    window: tuple[int, int] = DEFAULT_WINDOW
    encoding: str = DEFAULT_ENCODING


@dataclass(frozen=True)
class CaseOutcome:
    """What became of a case: an entry for the manifest, or none, and its refusals."""

    entry: CaseEntry | None
    refusals: tuple[Refusal, ...]

    def to_json(self, task: CaseTask) -> dict:
        """Without names of files: a refusal's path is told by its place among the task's own."""
        places = {path: place for place, path in enumerate(task.places)}
        return {
            "entry": None if self.entry is None else self.entry.to_json(),
            "refusals": [[r.to_json(), places.get(r.path)] for r in self.refusals],
        }

    @classmethod
    def from_json(cls, value: dict, task: CaseTask) -> CaseOutcome:
        return cls(
            None if value["entry"] is None else CaseEntry.from_json(value["entry"]),
            tuple(
                Refusal.from_json(refusal, None if place is None else task.places[place])
                for refusal, place in value["refusals"]
            ),
        )


#: A case and where its records go.
Job = tuple[CaseTask, Target]
#: Carries jobs out by ``convert_case``; outcomes come in the order of the jobs.
Engine = Callable[[list[Job]], Iterator[CaseOutcome]]


def local_engine(workers: int) -> Engine:
    """Processes of this machine."""
    return lambda jobs: in_processes(convert_case, jobs, workers)


def convert(
    tasks: list[CaseTask],
    target: Target,
    *,
    label_set: LabelSet,
    made_by: dict,
    early_refusals: list[Refusal],
    engine: Engine,
) -> tuple[Manifest | None, list[Refusal]]:
    """Convert all cases and write the manifest last.

    Returns:
      The manifest and every refusal, those of ``early_refusals`` included. Where not a single case
      could be read there is no data set: None, and a refusal ``nothing-converted`` ends the list.

    Raises:
      Refusal: what ends the whole conversion: ``output-other-set``, ``disk-full``,
        ``output-unwritable``, ``output-busy``, ``worker-died``. Complete shards are kept, and
        the next call goes on.
    """
    refusals = list(early_refusals)
    output = target.output
    if not tasks:  # a slip in --input shall not cost what the folder holds
        return None, [*refusals, _nothing(output, 0, len(refusals))]
    _refuse_other_set(output, made_by)
    with begun_anew(output):
        jobs = [(task, target) for task in tasks]
        entries = []
        for outcome in tqdm(engine(jobs), total=len(jobs), desc="convert", unit="case"):
            refusals += outcome.refusals
            if outcome.entry is not None:
                entries.append(outcome.entry)
        if not entries:
            return None, [*refusals, _nothing(output, len(tasks), len(refusals))]
        # Nobody shall find patients here that the input does not hold any more.
        sweep(output, {entry.case for entry in entries})
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


def _refuse_other_set(output: Path, made_by: dict) -> None:
    """A slip in --output shall not sweep away a record set of other patients."""
    if not (output / MANIFEST_NAME).is_file():
        return
    try:
        there = load_manifest(output).made_by
    except Refusal:  # of an earlier version of the program, or damaged: to be made anew
        return
    differing = [name for name in ("source", "site_key") if there.get(name) != made_by.get(name)]
    if differing:
        raise Refusal(
            "output-other-set",
            output,
            expected="a new folder, or one with records of the same source under the same site key",
            found=f"a record set made with another {' and '.join(differing)}",
            remedy="Choose another --output, or delete that set if it is not needed any more.",
        )


def _nothing(output: Path, found: int, refused: int) -> Refusal:
    return Refusal(
        "nothing-converted",
        output,
        expected="at least one case that can be read",
        found=f"{found} cases found and {refused} refusals",
        remedy="See the other refusals; check --source and --input.",
    )


def convert_case(job: Job) -> CaseOutcome:
    """Convert one case, unless a memo says that it is done.

    Raises ``Refusal`` only where the output cannot be written: that concerns all cases.
    """
    task, target = job
    memo = target.output / MEMOS / f"{task.case}.json"
    stamp = _stamp(task, target)
    with write_errors_as_refusals(target.output):
        done = _remembered(memo, stamp, target.output)
        return done if done is not None else _converted(task, target, memo, stamp)


def _keep_freed_memory() -> None:
    """Let freed slices be used again without asking the system for memory each time.

    The C library (glibc: malloc, M_TRIM_THRESHOLD) gives memory back at once beyond a limit, which
    grows with the largest block freed so far. This one is never touched, so it costs nothing.
    """
    np.empty(24 << 20, np.uint8)


def _converted(task: CaseTask, target: Target, memo: Path, stamp: dict) -> CaseOutcome:
    _keep_freed_memory()
    found = CaseNotes()
    parts: list[case_statistics.CaseStatistics] = []
    hashes: list[str] = []
    diagnoses: collections.Counter[str] = collections.Counter()
    shard = target.output / f"{task.case}.tfrecord"
    records = _records(task, target.window, found, parts, hashes, diagnoses)
    try:
        info = write_shard(shard, records, target.encoding)
    except Refusal as refusal:
        return CaseOutcome(None, (*found.refusals, refusal))
    except OSError:  # of the output: what reads turns them into refusals
        raise
    except Exception as error:
        return CaseOutcome(None, (*found.refusals, unexpected_error(task.files[0], error)))
    if not info.records:
        return CaseOutcome(None, tuple(found.refusals))
    total = case_statistics.total(parts)
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
        hashes=tuple(hashes),
        cautions=tuple(sorted({(caution.code, caution.text) for caution in found.cautions})),
        details=dict(sorted(found.details.items())),
    )
    # A case with refused slices is read again next time: what they lacked may be there then.
    if not found.refusals:
        atomic_files.write_json(memo, {"stamp": stamp, "entry": entry.to_json()})
    return CaseOutcome(entry, tuple(found.refusals))


def _records(task, window, found, parts, hashes, diagnoses) -> Iterator[SliceRecord]:
    for one in read_slices(task, found):
        image = apply_window(one.hu, *window)
        seen = {label: apply_window(hu, *window) for label, hu in one.hu_by_label.items()}
        parts.append(case_statistics.of_values(seen, image.size, len(task.label_set)))
        hashes.append(hash_slice(image, one.index))
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


def _diagnosis(diagnoses: collections.Counter, total: case_statistics.CaseStatistics) -> str:
    """The case's diagnosis, by which folds are stratified."""
    kinds = [(count, name) for name, count in diagnoses.items() if name not in ("", HEALTHY)]
    if kinds:
        return max(kinds)[1]
    return "lesion" if sum(total.class_pixels[2:]) else HEALTHY


def _stamp(task: CaseTask, target: Target) -> dict:
    """What a memo must agree with to stand for a case: files by size and time, and arguments."""
    files = []
    for path in task.files:
        try:
            status = path.stat()
            files.append([status.st_size, status.st_mtime_ns])
        except OSError:
            files.append([-1, -1])
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
    }


def _remembered(memo: Path, stamp: dict, output: Path) -> CaseOutcome | None:
    if not memo.is_file():
        return None
    try:
        stored = json.loads(memo.read_text(encoding="utf-8"))
        made_of, entry = stored["stamp"], CaseEntry.from_json(stored["entry"])
    except (ValueError, KeyError, TypeError):
        return None
    shard = output / f"{memo.stem}.tfrecord"
    if made_of != stamp or entry.shard != shard.name or not shard.is_file():
        return None
    if atomic_files.sha256_of(shard) != entry.sha256:
        return None
    return CaseOutcome(entry, ())

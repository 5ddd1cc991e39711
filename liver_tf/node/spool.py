"""The spool: series and their state as folders, so that a node can be killed at any moment.

    SPOOL/arriving/SERIES/          a series of which objects arrive
    SPOOL/queued/SERIES.CONTENT/    complete, to be predicted
    SPOOL/sending/SERIES.CONTENT/   predicted, results not yet stored by every destination
    SPOOL/done/..., SPOOL/failed/...

A state changes by renaming the folder. SERIES is a hash of the series' UID, CONTENT of its objects.
A folder holds ``objects/``, ``results/``, ``overview.dcm``, ``sent/`` (what a destination stored)
and ``status.json``. Only objects and DICOM results contain patient data.
"""

import contextlib
import hashlib
import os
import re
import shutil
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from liver_tf import atomic_files
from liver_tf.bounded_files import read_json

ARRIVING, QUEUED, SENDING, DONE, FAILED = STATES = (
    *("arriving", "queued", "sending", "done", "failed"),
)
_TEMPORARY = "temporary"
#: In the folder of a series: made by an association that stored into it and has not ended normally.
_OPEN = "open-"
_SERIES = re.compile("[0-9a-f]{32}")
_JOB = re.compile("[0-9a-f]{32}[.][0-9a-f]{16}")


class SeriesTooLarge(Exception):
    """A series has as many objects as are allowed."""


@dataclass(frozen=True)
class Job:
    """The folder of a complete series."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def series(self) -> str:
        return self.name.partition(".")[0]

    @property
    def label(self) -> str:
        """For logs: the beginning of the hash of the series' UID, and that of its contents."""
        return self.name[:8] + self.name[self.name.index(".") :][:5]

    @property
    def objects(self) -> Path:
        return self.folder / "objects"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def overview(self) -> Path:
        return self.folder / "overview.dcm"

    @property
    def sent(self) -> Path:
        return self.folder / "sent"

    @property
    def status(self) -> dict[str, Any]:
        """The contents of ``status.json``; empty if there is none, or a damaged one."""
        with contextlib.suppress(OSError, ValueError):
            stored = read_json(self.folder / "status.json")
            return stored if isinstance(stored, dict) else {}
        return {}

    @property
    def is_superseded(self) -> bool:
        """Whether its results were not sent because those of the whole series replace them."""
        return "superseded_by" in self.status

    def note(self, **facts: Any) -> None:
        """Add to ``status.json``; raises ``OSError``."""
        atomic_files.write_json(self.folder / "status.json", {**self.status, **facts})

    def annotate(self, **facts: Any) -> None:
        """As ``note``; the series does not count as changed, so that it expires as before."""
        stat = (self.folder / "status.json").stat()
        self.note(**facts)
        os.utime(self.folder / "status.json", ns=(stat.st_atime_ns, stat.st_mtime_ns))


@dataclass
class Arrival:
    """A series that arrives.

    Attributes:
      last: ``time.monotonic()`` of its last object.
      names: File names of its objects.
      hashes: SHA-256 of the objects that this process stored, by name.
    """

    last: float
    names: set[str] = field(default_factory=set)
    hashes: dict[str, str] = field(default_factory=dict)


class Spool:
    """The series of a node. Objects may be stored by many threads; one thread does the rest."""

    def __init__(self, folder: Path, max_slices: int = 3000) -> None:
        self.folder, self._max_slices = folder, max_slices
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        shutil.rmtree(folder / _TEMPORARY, ignore_errors=True)
        for name in (*STATES, _TEMPORARY):
            (folder / name).mkdir(exist_ok=True)
        self._arrivals = {
            path.name: Arrival(time.monotonic(), set(_names(path / "objects")))
            for path in (folder / ARRIVING).iterdir()
            if _SERIES.fullmatch(path.name)
        }
        #: Token of the associations that are storing, and the names that they stored by series.
        self._open: dict[threading.Thread, tuple[str, dict[str, set[str]]]] = {}

    def free_bytes(self) -> int:
        """Free space on the disk."""
        return shutil.disk_usage(self.folder).free

    def store(
        self, series_uid: str, instance_uid: str, data: bytes, association: threading.Thread
    ) -> None:
        """Write an object; it is on the disk, under its name, when this returns.

        Raises:
          SeriesTooLarge: The series has too many objects.
          OSError: It cannot be written.
        """
        series, name = _short_hash(series_uid), f"{_short_hash(instance_uid)}.dcm"
        temporary, content = self._temporary_path(), hashlib.sha256(data).hexdigest()
        try:
            _write_synced(temporary, data)
            with self._lock:
                objects = self._arriving_folder(series, association)
                arrival = self._arrivals[series]
                if name not in arrival.names and len(arrival.names) >= self._max_slices:
                    raise SeriesTooLarge
                os.replace(temporary, objects / name)
                arrival.names.add(name)
                arrival.hashes[name] = content
                self._open[association][1][series].add(name)
                arrival.last = time.monotonic()
                # The descriptor stays valid if the folder is renamed.
                descriptor = os.open(objects, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        finally:
            temporary.unlink(missing_ok=True)

    def _arriving_folder(self, series: str, association: threading.Thread) -> Path:
        """The folder for objects of a series, marked as in use by an association."""
        folder = self.folder / ARRIVING / series
        if series not in self._arrivals:
            self._reopen_incomplete(series, folder)
            (folder / "objects").mkdir(parents=True, exist_ok=True)
            atomic_files.sync_folder(folder)
            atomic_files.sync_folder(folder.parent)
            names = set(_names(folder / "objects"))
            self._arrivals[series] = Arrival(time.monotonic(), names)
        token, stored = self._open.setdefault(association, (uuid.uuid4().hex, {}))
        if series not in stored or not (folder / f"{_OPEN}{token}").exists():
            (folder / f"{_OPEN}{token}").touch()
            atomic_files.sync_folder(folder)
            stored[series] = set()
        return folder / "objects"

    def _reopen_incomplete(self, series: str, folder: Path) -> None:
        """Let a series that failed as incomplete arrive again, as one that was interrupted."""
        for job in self._jobs_of(series):
            if job.status.get("code") == "incomplete" and not folder.exists():
                (job.folder / f"{_OPEN}failed").touch()
                os.replace(job.folder, folder)
                atomic_files.sync_folder(job.folder.parent)

    def release(self, association: threading.Thread) -> None:
        """The association ended normally: everything that it had to store has arrived."""
        with self._lock:
            token, stored = self._open.pop(association, ("", {}))
            for series, names in stored.items():
                folder = self.folder / ARRIVING / series
                (folder / f"{_OPEN}{token}").unlink(missing_ok=True)
                if series in self._arrivals and names >= self._arrivals[series].names:
                    # It has repeated what interrupted ones did not finish.
                    for marker in self._interrupted_markers(folder):
                        marker.unlink()

    def _interrupted_markers(self, folder: Path) -> list[Path]:
        live = {token for thread, (token, _) in self._open.items() if thread.is_alive()}
        return [
            path for path in folder.glob(f"{_OPEN}*") if path.name.removeprefix(_OPEN) not in live
        ]

    def _is_interrupted(self, series: str, arrival: Arrival) -> bool:
        """Whether an association was interrupted and no later one has stored all objects."""
        repeated = (names.get(series, set()) >= arrival.names for _, names in self._open.values())
        markers = self._interrupted_markers(self.folder / ARRIVING / series)
        return bool(markers) and not any(repeated)

    def silent(self) -> list[tuple[str, float, bool]]:
        """Each arriving series: its name, seconds without a new object, whether interrupted.

        One of which no object could be stored is not complete, and not a series that failed.
        """
        with self._lock:
            for thread in [thread for thread in self._open if not thread.is_alive()]:
                del self._open[thread]
            now = time.monotonic()
            return [
                (
                    series,
                    now - arrival.last,
                    self._is_interrupted(series, arrival),
                )
                for series, arrival in self._arrivals.items()
                if arrival.names
            ]

    def arrived(self, series: str) -> tuple[Path, int]:
        """An object of a series that arrives, and the number of all, earlier ones included."""
        folder = self.folder / ARRIVING / series / "objects"
        names = set(_names(folder))
        earlier = (_names(job.objects) for job in self._jobs_of(series))
        return folder / min(names), len(names.union(*earlier))

    def complete(self, series: str, made_by: dict[str, str]) -> tuple[Job, bool]:
        """Queue a series that has arrived; returns it, and whether it is new.

        Objects of the same series that arrived earlier belong to it: an archive may send the rest
        later. A series is not new if it is in the spool with the same objects, and not failed, nor
        predicted by another algorithm than ``made_by``.
        """
        with self._lock:
            folder = self.folder / ARRIVING / series
            objects = folder / "objects"
            for job in self._jobs_of(series):
                for name in set(_names(job.objects)) - set(_names(objects)):
                    self._link(job.objects / name, objects / name)
            for marker in folder.glob(f"{_OPEN}*"):
                marker.unlink()
            (folder / "status.json").unlink(missing_ok=True)  # of one that failed before
            name = f"{series}.{_content_hash(objects, self._arrivals[series].hashes)}"
            del self._arrivals[series]
            for job in self._jobs_of(series):
                known = job.status.get("made_by", made_by) == made_by
                if job.name == name and job.folder.parent.name != FAILED and known:
                    shutil.rmtree(folder)
                    return job, False
                if job.name == name or job.folder.parent.name in (QUEUED, FAILED):
                    self._remove(job.folder)
            atomic_files.sync_folder(objects)
            return self._renamed(folder, QUEUED, name), True

    def incomplete(self, series: str, facts: dict[str, Any]) -> Job:
        """Move a series that arrives to the failed ones."""
        with self._lock:
            folder = self.folder / ARRIVING / series
            for marker in folder.glob(f"{_OPEN}*"):
                marker.unlink()
            name = f"{series}.{_content_hash(folder / 'objects', self._arrivals[series].hashes)}"
            del self._arrivals[series]
            self._remove(self.folder / FAILED / name)
            Job(folder).note(**facts)
            return self._renamed(folder, FAILED, name)

    def move(self, job: Job, state: str, **facts: Any) -> Job:
        """Change the state of a series; ``facts`` go to ``status.json``. Raises ``OSError``."""
        with self._lock:
            if not job.folder.exists():  # removed meanwhile, because the series arrived again
                raise FileNotFoundError(job.folder)
            job.note(state=state, **facts)
            return self._renamed(job.folder, state, job.name)

    def _renamed(self, folder: Path, state: str, name: str) -> Job:
        target = self.folder / state / name
        os.replace(folder, target)
        atomic_files.sync_folder(target.parent)
        atomic_files.sync_folder(folder.parent)
        return Job(target)

    def jobs(self, state: str) -> list[Job]:
        """The series in a state, the oldest first."""
        found = []
        for path in (self.folder / state).iterdir():
            if not _JOB.fullmatch(path.name):
                continue
            with contextlib.suppress(FileNotFoundError):  # renamed by another thread
                found.append((path.stat().st_mtime_ns, path.name, Job(path)))
        return [job for *_, job in sorted(found, key=lambda each: each[:2])]

    def counts(self) -> dict[str, int]:
        """Number of series by state."""
        return {state: len(os.listdir(self.folder / state)) for state in STATES}

    def expire(self, older_than_s: float) -> list[Job]:
        """Remove what is done or failed for longer; returns it."""
        limit = time.time() - older_than_s
        jobs = [*self.jobs(DONE), *self.jobs(FAILED)]
        expired = [job for job in jobs if _since(job) < limit]
        for job in expired:
            self._remove(job.folder)
        return expired

    def predicted_before(self, job: Job) -> list[Job]:
        """Parts of a series that were predicted before further objects of it arrived.

        Excludes parts whose results could have been sent, but were not.
        """
        return [
            each
            for each in self._jobs_of(job.series)
            if each.name != job.name
            and each.overview.exists()
            and (each.sent.exists() or (each.folder.parent.name == DONE and not each.is_superseded))
        ]

    def later(self, job: Job) -> list[Job]:
        """Jobs of the same series with more objects whose results exist or are expected."""
        return [
            each
            for each in self._jobs_of(job.series)
            if each.folder.parent.name == QUEUED
            or (
                each.folder.parent.name in (SENDING, DONE)
                and each.status.get("predicted_at", 0) > job.status.get("predicted_at", 0)
            )
        ]

    def _jobs_of(self, series: str) -> list[Job]:
        states = (QUEUED, SENDING, DONE, FAILED)
        return [job for state in states for job in self.jobs(state) if job.series == series]

    def _link(self, source: Path, target: Path) -> None:
        try:
            os.link(source, target)
        except OSError:  # some file systems have no hard links
            temporary = self._temporary_path()
            _write_synced(temporary, source.read_bytes())
            os.replace(temporary, target)

    def _temporary_path(self) -> Path:
        return self.folder / _TEMPORARY / uuid.uuid4().hex

    def _remove(self, folder: Path) -> None:
        """Remove a series; not half of it, if the node is killed."""
        if folder.exists():
            trash = self._temporary_path()
            os.replace(folder, trash)
            shutil.rmtree(trash, ignore_errors=True)


def _since(job: Job) -> float:
    """Time of the last change of the status, seconds since the epoch."""
    with contextlib.suppress(OSError):
        return (job.folder / "status.json").stat().st_mtime
    return time.time()


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _write_synced(path: Path, data: bytes) -> None:
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _content_hash(objects: Path, hashes: dict[str, str]) -> str:
    """Hash of the names and bytes of objects; reads only those that ``hashes`` lacks."""
    digest = hashlib.sha256()
    for name in sorted(_names(objects)):
        content = hashes.get(name) or atomic_files.sha256_of(objects / name)
        digest.update(f"{name} {content}\n".encode())
    return digest.hexdigest()[:16]

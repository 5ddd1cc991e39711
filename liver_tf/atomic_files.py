"""Atomic writes: to a temporary name, synced, then renamed; and checksums of files."""

import contextlib
import errno
import fcntl
import hashlib
import itertools
import json
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TEMPORARY_MARK = ".partial-"
_TOGETHER = "files"


@contextlib.contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on exit, sync that file and rename it to ``path``.

    The temporary file is new and belongs to this call alone: another writer of the same name uses
    another one, and a link planted in its place is not followed. If the body raises, it is removed
    and an existing ``path`` is kept. A killed process may leave a ``.partial-`` file, which readers
    ignore and the next write replaces. No file is writable for group or others.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _exclusive(path, _new_file) as temporary:
        try:
            yield temporary
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    sync_folder(path.parent)


@contextlib.contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a new empty folder beside ``folder``; on exit, rename it to ``folder``.

    As ``atomic_write``: the new folder belongs to this call alone. The body must sync the files
    that it writes; if it raises, the new folder is removed. ``folder`` must not exist or be empty.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _exclusive(folder, _new_folder) as temporary:
        try:
            yield temporary
            temporary.rename(folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    sync_folder(folder.parent)


@contextlib.contextmanager
def replaced_together(folder: Path) -> Iterator[Path]:
    """Yield a new folder inside ``folder``; on exit its files take their places in ``folder``.

    They do so one right after the other, when all of them are complete; if the body raises, all
    existing files are kept. The body must sync the files that it writes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _exclusive(folder / _TOGETHER, _new_folder) as temporary:
        try:
            yield temporary
            paths = [path for path in sorted(temporary.rglob("*")) if path.is_file()]
            places = [folder / path.relative_to(temporary) for path in paths]
            for parent in {place.parent for place in places}:
                parent.mkdir(parents=True, exist_ok=True)
            for path, place in zip(paths, places, strict=True):
                os.replace(path, place)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    for parent in {place.parent for place in places}:
        sync_folder(parent)


def is_being_replaced(folder: Path) -> bool:
    """Whether a writer of :func:`replaced_together` is at work in ``folder``, or was killed."""
    return any(folder.glob(f"{TEMPORARY_MARK}*{_TOGETHER}"))


@contextlib.contextmanager
def _exclusive(path: Path, create: Callable[[Path], int]) -> Iterator[Path]:
    """A new locked file or folder beside ``path``, created by ``create``.

    The usual name shows what a killed process left, which is removed; a random one is taken if
    another writer holds it, and on file systems without locks.
    """
    usual = path.with_name(f"{TEMPORARY_MARK}{path.name}")
    for temporary in itertools.chain([usual, usual], _random_names(path)):
        try:
            descriptor = create(temporary)
        except FileExistsError:
            _remove_leftover(temporary)
            continue
        try:
            # Between creation and lock another process may have taken it for a leftover.
            if _locked(descriptor) is not False and _is_at(descriptor, temporary):
                yield temporary
                return
        finally:
            os.close(descriptor)


def _random_names(path: Path) -> Iterator[Path]:
    while True:
        yield path.with_name(f"{TEMPORARY_MARK}{secrets.token_hex(4)}-{path.name}")


def _new_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)


def _new_folder(path: Path) -> int:
    path.mkdir(mode=0o755)
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _remove_leftover(path: Path) -> None:
    """Remove what a killed process left, or a planted link; keep what another writer holds."""
    with contextlib.suppress(OSError):
        kind = os.lstat(path).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            return path.unlink()
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if _locked(descriptor) and _is_at(descriptor, path):
                shutil.rmtree(path) if stat.S_ISDIR(kind) else path.unlink()
        finally:
            os.close(descriptor)


def _locked(descriptor: int) -> bool | None:
    """Lock a file or folder: False if another holds it, None if the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def write_text(path: Path | str, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write a JSON file atomically; raises ``ValueError`` for NaN, which JSON cannot represent."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def sha256_of(path: Path | str) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Sync a folder's directory entries to the disk.

    Some file systems (CIFS, exFAT, VirtualBox) cannot: a power failure right after a write may then
    lose the new name, which is reported once.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NOT_SUPPORTED:
            raise
        say_once(
            "This file system cannot sync folders: a power failure may lose the last files written."
        )
    finally:
        os.close(descriptor)


#: Errors of file systems that lack a function.
NOT_SUPPORTED = frozenset(
    (errno.EINVAL, errno.ENOTSUP, errno.EPERM, errno.ENOSYS, errno.ENOLCK, errno.EBADF)
)


#: Environment variable with the notes printed so far, which child processes inherit.
SAID = "LIVER_TF_SAID"


def say_once(text: str) -> None:
    """Print a lost guarantee on standard error, once in a process and those that it starts."""
    printed = os.environ.get(SAID, "")
    if text not in printed:
        os.environ[SAID] = printed + text
        print(f"note: {text}", file=sys.stderr)

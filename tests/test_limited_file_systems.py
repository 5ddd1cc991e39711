"""File systems without synced folders, hard links or locks, such as CIFS and exFAT shares."""

from __future__ import annotations

import errno
import fcntl
import os
import stat

import pytest

from liver_tf import atomic_files
from liver_tf.ct.pseudonyms import load_site_key
from liver_tf.folder_lock import locked_folder

ERRORS = [errno.EINVAL, errno.ENOTSUP, errno.EPERM]


@pytest.fixture(autouse=True)
def nothing_reported_before(monkeypatch):
    monkeypatch.setenv(atomic_files.SAID, "")


@pytest.fixture(params=ERRORS, ids=lambda number: errno.errorcode[number])
def no_folder_sync(request, monkeypatch):
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(request.param, "not supported")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


def test_files_are_written_without_synced_folders(tmp_path, no_folder_sync, capsys):
    atomic_files.write_text(tmp_path / "a.txt", "a")
    with atomic_files.atomic_folder(tmp_path / "folder") as folder:
        (folder / "b.txt").write_text("b")
    atomic_files.write_text(tmp_path / "a.txt", "c")
    assert (tmp_path / "a.txt").read_text() == "c"
    assert (tmp_path / "folder/b.txt").read_text() == "b"
    assert capsys.readouterr().err.count("cannot sync folders") == 1


def test_a_real_error_is_not_hidden(tmp_path, monkeypatch):
    def fsync(descriptor):
        raise OSError(errno.EIO, "disk error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="disk error"):
        atomic_files.write_text(tmp_path / "a.txt", "a")
    with pytest.raises(OSError, match="disk error"):
        atomic_files.sync_folder(tmp_path)


def test_a_site_key_is_written_without_links(tmp_path, monkeypatch):
    def link(source, target):
        raise PermissionError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "link", link)
    monkeypatch.delenv("LIVER_TF_SITE_KEY", raising=False)
    key = load_site_key(default_file=tmp_path / "site.key")
    assert len(key) == 64
    assert load_site_key(default_file=tmp_path / "site.key") == key
    assert [path.name for path in tmp_path.iterdir()] == ["site.key"]
    assert stat.S_IMODE((tmp_path / "site.key").stat().st_mode) == 0o600


def test_a_folder_without_locks_is_used_and_reported_once(tmp_path, monkeypatch, capsys):
    def flock(descriptor, operation):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    for _ in range(2):
        with locked_folder(tmp_path):
            pass
    assert capsys.readouterr().err.count("has no locks") == 1

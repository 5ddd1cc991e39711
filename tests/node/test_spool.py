"""The folders of a spool: what is in them by accident, and file systems without hard links."""

from __future__ import annotations

import errno
import os
import shutil
import threading

import pytest

from liver_tf import atomic_files
from liver_tf.node.spool import DONE, FAILED, QUEUED, SENDING, Spool

MADE_BY = {"model": "ab12"}


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path)


def store(spool, *instances, uid="1.2.3"):
    for instance in instances:
        spool.store(uid, instance, instance.encode(), threading.current_thread())
    spool.release(threading.current_thread())
    ((series, _, interrupted),) = spool.silent()
    assert not interrupted
    return spool.complete(series, MADE_BY)


def test_names_that_are_not_of_the_node_are_ignored(spool, tmp_path):
    for name in ("arriving/.DS_Store", "queued/copy", "done/lost+found", "sending/a.b"):
        (tmp_path / name).mkdir()
    (tmp_path / "failed" / ".nfs01").touch()
    again = Spool(tmp_path)
    assert again.silent() == []
    assert [again.jobs(state) for state in ("queued", "sending", "done", "failed")] == [[]] * 4


def interrupted(spool):
    ((_, _, found),) = spool.silent()
    return found


def store_from(spool, *instances):
    """Store objects from an association of its own, and return it."""
    association = threading.Thread(target=threading.Event().wait, daemon=True)
    association.start()
    for instance in instances:
        spool.store("1.2.3", instance, instance.encode(), association)
    return association


@pytest.mark.parametrize("killed", [False, True])
def test_only_a_whole_repetition_ends_an_interruption(spool, tmp_path, killed):
    aborted = store_from(spool, "1", "2", "3")
    if killed:
        spool = Spool(tmp_path)
    else:
        del spool._open[aborted]  # as if its thread had ended
    assert interrupted(spool)
    # One more object, from another association that ends normally, does not make it complete.
    spool.release(store_from(spool, "4"))
    assert interrupted(spool)
    spool.release(store_from(spool, "2", "3", "4"))
    assert interrupted(spool)
    again = store_from(spool, "1", "2", "3")
    assert interrupted(spool)
    for instance in ("4", "5"):
        spool.store("1.2.3", instance, b"", again)
    assert not interrupted(spool)  # also while it stays open
    spool.release(again)
    assert not interrupted(spool)
    spool.release(store_from(spool, "6"))
    assert not interrupted(spool)


@pytest.mark.parametrize("killed", [False, True])
def test_a_part_of_a_series_that_failed_as_incomplete_does_not_complete_it(spool, tmp_path, killed):
    aborted = store_from(spool, "1", "2", "3")
    del spool._open[aborted]
    ((series, *_),) = spool.silent()
    spool.incomplete(series, {"code": "incomplete"})
    spool.release(store_from(spool, "4"))
    if killed:
        spool = Spool(tmp_path)
    assert interrupted(spool)
    assert spool.counts()[FAILED] == 0
    assert spool.arrived(series)[1] == 4
    spool.release(store_from(spool, "1", "2", "3"))
    assert interrupted(spool)
    spool.release(store_from(spool, "1", "2", "3", "4"))
    assert not interrupted(spool)
    job, is_new = spool.complete(series, MADE_BY)
    assert is_new
    assert len(list(job.objects.iterdir())) == 4
    assert job.status == {}


def test_a_folder_without_objects_is_not_a_series(tmp_path):
    folder = tmp_path / "arriving" / ("ab" * 16)
    (folder / "objects").mkdir(parents=True)
    spool = Spool(tmp_path)
    assert spool.silent() == []
    spool._arrivals.clear()
    assert store(spool, "1")[1]


@pytest.mark.parametrize("links", [True, False])
def test_objects_that_arrived_earlier_are_added(spool, monkeypatch, links):
    if not links:

        def link(source, target):
            raise PermissionError(errno.EPERM, "not permitted")

        monkeypatch.setattr(os, "link", link)
    first, _ = store(spool, "1", "2")
    done = spool.move(spool.move(first, SENDING), DONE)
    second, is_new = store(spool, "3")
    assert is_new
    assert sorted(path.read_text() for path in second.objects.iterdir()) == ["1", "2", "3"]
    assert sorted(path.read_text() for path in done.objects.iterdir()) == ["1", "2"]
    assert not list((spool.folder / "temporary").iterdir())


def test_a_series_is_queued_without_reading_what_this_process_stored(spool, tmp_path, monkeypatch):
    read = []
    sha256_of = atomic_files.sha256_of

    def recorded(path):
        read.append(path.read_text())
        return sha256_of(path)

    monkeypatch.setattr(atomic_files, "sha256_of", recorded)
    job, _ = store(spool, "1", "2")
    assert read == []
    # A node that was killed reads them, with the same outcome.
    shutil.copytree(job.objects, tmp_path / "arriving" / job.series / "objects")
    again, is_new = store(Spool(tmp_path), "2")
    assert read == ["1"]
    assert (again.name, is_new) == (job.name, False)


def test_only_what_is_done_or_failed_expires(spool):
    states = (QUEUED, SENDING, DONE, FAILED)
    for number, state in enumerate(states):
        job, _ = store(spool, "1", uid=f"1.2.{number}")
        job = spool.move(job, state) if state != QUEUED else job
        job.note(state=state)
        os.utime(job.folder / "status.json", (0, 0))  # also long before the clock was set
    spool.store("1.2.9", "1", b"1", threading.current_thread())
    assert {job.folder.parent.name for job in spool.expire(3600)} == {DONE, FAILED}
    assert spool.counts() == {"arriving": 1, QUEUED: 1, SENDING: 1, DONE: 0, FAILED: 0}


def test_a_series_that_was_removed_does_not_come_back_by_a_late_change(spool):
    job, _ = store(spool, "1")
    sending = spool.move(job, SENDING)
    # Other networks: the same series is queued again while its results are sent.
    store_again = Spool.complete
    spool.store("1.2.3", "1", b"1", threading.current_thread())
    spool.release(threading.current_thread())
    ((series, *_),) = spool.silent()
    sending.note(made_by=MADE_BY)
    again, is_new = store_again(spool, series, {"model": "cd34"})
    assert is_new
    with pytest.raises(FileNotFoundError):
        spool.move(sending, DONE)
    assert spool.counts() == {"arriving": 0, QUEUED: 1, SENDING: 0, DONE: 0, FAILED: 0}
    spool.move(spool.move(again, SENDING), DONE)

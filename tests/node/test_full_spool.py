"""A node whose spool is on a real file system that is full, of blocks or of files."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import time

import pytest

pytest.importorskip("pynetdicom", reason="pynetdicom is missing (pip install 'liver_tf[pacs]')")
pytest.importorskip("prometheus_client", reason="prometheus_client is missing (extra pacs)")
pytest.importorskip("highdicom", reason="highdicom is missing (extra dicom-seg)")

from liver_tf.node import service
from liver_tf.node.spool import DONE, FAILED, QUEUED
from tests.builders.dicom_node import Archive, echo, running_node, send, wait_for, write_series
from tests.builders.threshold_node import ThresholdCascade

FULL = 0xA700


@pytest.fixture
def disk(tmp_path):
    """A file system in memory of 16 MiB and 200 files."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m,nr_inodes=200", "tmpfs", folder]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def archive():
    with Archive().running() as archive:
        yield archive


@contextlib.contextmanager
def all_blocks_taken(disk):
    with (
        open(disk / "ballast", "wb", buffering=0) as file,
        pytest.raises(OSError, match="No space left"),
    ):
        file.writelines(itertools.repeat(bytes(4096)))
    yield
    (disk / "ballast").unlink()


@contextlib.contextmanager
def all_files_taken(disk, but):
    """No more than ``but`` files can be made."""
    paths = []
    with contextlib.suppress(OSError):
        for number in range(1000):
            paths.append(disk / f"ballast{number}")
            paths[-1].touch()
    for path in paths[-1 - but :]:
        path.unlink(missing_ok=True)
    yield
    for path in paths:
        path.unlink(missing_ok=True)


def test_objects_are_refused_while_the_disk_is_full_and_stored_later(disk, archive, tmp_path):
    paths = write_series(tmp_path / "series")
    options = {"send_to": [archive.name], "incomplete_after": 600, "complete_after": 1.5}
    with running_node(disk / "spool", ThresholdCascade(), **options) as node:
        port = node.receiver.port
        with all_blocks_taken(disk):
            assert send(port, paths) == [FULL] * len(paths)
            assert echo(port)
        assert send(port, paths[:2]) == [0, 0]
        with all_blocks_taken(disk):
            assert send(port, paths[2:]) == [FULL] * 3
            assert list((disk / "spool" / "temporary").iterdir()) == []
        assert send(port, paths[2:]) == [0] * 3
        wait_for(lambda: node.spool.counts()[DONE] == 1)
        (job,) = node.spool.jobs(DONE)
        assert len(list(job.objects.iterdir())) == len(paths)
        assert node.spool.counts()[FAILED] == 0
    assert archive.modalities == ["OT", "SEG", "SR"]


@pytest.mark.parametrize("find", [False, True], ids=["silence", "c-find"])
def test_a_series_of_which_nothing_could_be_stored_is_none(disk, archive, tmp_path, find):
    """Storing the first object makes a file, two folders and a mark; any of them may fail."""
    paths = write_series(tmp_path / "series")
    archive.listed = len(paths)
    options = {"send_to": [archive.name], "find": archive.name if find else ""}
    with running_node(disk / "spool", ThresholdCascade(), **options) as node:
        for but in (0, 1, 2, 2):  # what was made before is kept
            with all_files_taken(disk, but):
                assert send(node.receiver.port, paths[:1]) == [FULL]
        time.sleep(1)  # longer than complete_after
        node.step()
        assert (node.spool.counts()[FAILED], node.spool.counts()[QUEUED]) == (0, 0)
        assert send(node.receiver.port, paths) == [0] * len(paths)
        wait_for(lambda: node.spool.counts()[DONE] == 1)
        assert node.spool.counts() == {"arriving": 0, QUEUED: 0, "sending": 0, DONE: 1, FAILED: 0}


def test_a_series_is_predicted_and_sent_when_the_disk_has_space_again(
    disk, archive, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(service, "DISK_PAUSE", 0.2)
    monkeypatch.setattr("liver_tf.node.delivery.LONGEST_PAUSE", 0.2)
    paths = write_series(tmp_path / "series")
    with running_node(disk / "spool", ThresholdCascade(), send_to=[archive.name]) as node:
        assert send(node.receiver.port, paths) == [0] * len(paths)
        with all_blocks_taken(disk):
            wait_for(lambda: caplog.text.count("[disk-full]") > service.MOST_ATTEMPTS + 1)
            assert node.spool.counts()[QUEUED] == 1
        wait_for(lambda: node.spool.counts()[DONE] == 1)
    assert {one.Modality for one in archive.received} == {"OT", "SEG", "SR"}

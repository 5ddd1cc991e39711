"""A node that is killed while series arrive answers each of them, once."""

from __future__ import annotations

import struct
import time

import pytest

pytest.importorskip("pynetdicom", reason="pynetdicom is missing (pip install 'liver_tf[pacs]')")
pytest.importorskip("prometheus_client", reason="prometheus_client is missing (extra pacs)")
pytest.importorskip("highdicom", reason="highdicom is missing (extra dicom-seg)")

from tests.builders import mutated_associations
from tests.builders.dicom_node import Archive, echo, send, wait_for, write_series
from tests.builders.killed_node import ListenProcess, kill_while_sending
from tests.builders.orthanc import free_port


@pytest.mark.long
@pytest.mark.parametrize(("count", "kills"), [(2, 1), (4, 2)])
def test_all_series_come_back_once_after_kills(tmp_path, count, kills):
    series = [write_series(tmp_path / f"series{number}", number) for number in range(count)]
    with Archive().running() as archive:
        listening = ListenProcess(tmp_path, archive.name)
        kill_while_sending(listening, series, kills, seed=1)
        done = tmp_path / "spool" / "done"
        wait_for(lambda: len(list(done.iterdir())) == count, 300)
        damage(listening.port, series[0][:1])
        second = ListenProcess(tmp_path, archive.name)
        second.start()
        assert second.process.wait(60) == 1
        assert "[output-busy]" in second.log()
        assert listening.stop() == 0
    objects = {one.SOPInstanceUID: one for one in archive.received}
    # One that is killed between the archive's answer and its note sends an object again.
    assert len(archive.received) - len(objects) <= kills
    modalities = {}
    for one in objects.values():
        modalities.setdefault(one.StudyInstanceUID, []).append(one.Modality)
    assert [sorted(each) for each in modalities.values()] == [["OT", "SEG", "SR"]] * count
    log = listening.log()
    assert "SECRET" not in log.upper()
    assert "1.2.826" not in log
    # Nor does anything else write there, such as a thread of a damaged association.
    assert "a thread ended by an error" in log
    assert "Traceback" not in log


@pytest.mark.long
def test_an_idle_node_with_real_networks_stops_within_two_seconds(tmp_path):
    options = {"module": "trainers.listen", "liver_run": "bundled", "http_port": free_port()}
    listening = ListenProcess(tmp_path, "ARCHIVE@127.0.0.1:104", **options)
    listening.start()
    listening.wait_until_it_listens()
    started = time.monotonic()
    assert listening.stop() == 0
    assert time.monotonic() - started < 2


def damage(port, paths):
    """Send an object with a request that is none, which ends a thread of pynetdicom."""
    pieces = mutated_associations.record(port, lambda through: send(through, paths))
    command = struct.pack("<HHI", 0, 0x100, 2)
    assert command in pieces[1]
    pieces[1] = pieces[1].replace(command, struct.pack("<HHI", 0, 0x101, 2))
    mutated_associations.replay(port, pieces)
    wait_for(lambda: echo(port))

"""A real archive forwards series to the node by the script of docs/pacs.md, and gets results."""

from __future__ import annotations

import shutil
import subprocess

import pydicom
import pytest

pytest.importorskip("pynetdicom", reason="pynetdicom is missing (pip install 'liver_tf[pacs]')")
pytest.importorskip("prometheus_client", reason="prometheus_client is missing (extra pacs)")
pytest.importorskip("highdicom", reason="highdicom is missing (extra dicom-seg)")

from liver_tf.node.delivery import result_files
from liver_tf.node.spool import DONE
from tests.builders.archive_client import Us, same
from tests.builders.dcmqi import TID1500READER, read_report
from tests.builders.dicom_node import NODE, running_node, wait_for, write_series
from tests.builders.killed_node import (
    ListenProcess,
    kill_while_forwarding,
    kill_while_sending,
)
from tests.builders.orthanc import ARCHIVE, ORTHANC, free_port, running_archive

if ORTHANC is None:
    pytest.skip("Orthanc is missing (apt-get install orthanc)", allow_module_level=True)


@pytest.mark.long
@pytest.mark.parametrize(
    "find",
    # tests/node completes series by silence, too, without an archive.
    [pytest.param(False, id="silence"), pytest.param(True, id="c-find")],
)
def test_the_archive_forwards_series_and_gets_seg_sr_and_overview(
    intensity_cascade, tmp_path, find
):
    us, node_port = Us(free_port()), free_port()
    paths = [path for number in range(6) for path in write_series(tmp_path / str(number), number)]
    with running_archive(tmp_path / "orthanc", us.port, (NODE, node_port)) as port:
        archive = f"{ARCHIVE}@127.0.0.1:{port}"
        options = {"find": archive} if find else {}
        # The node is not there yet: the archive tries again, each series after 3 seconds, not in
        # its turn, which would take 36 seconds.
        us.send(port, paths)
        log = tmp_path / "orthanc" / "log"
        wait_for(lambda: log.read_text(encoding="utf-8").count("Connection refused") >= 18, 33)
        with running_node(
            *(tmp_path / "spool", intensity_cascade()),
            port=node_port,
            send_to=[archive],
            segments="lesion",
            **options,
        ) as node:
            wait_for(lambda: node.spool.counts()[DONE] == 6, 90)
        for job in node.spool.jobs(DONE):
            objects = [pydicom.dcmread(path) for path in sorted(job.objects.iterdir())]
            study = objects[0].StudyInstanceUID
            got = us.get(port, "STUDY", StudyInstanceUID=study)
            sent = result_files(job)
            assert [path.name for path in sent] == [
                "segmentation.dcm",
                "report.dcm",
                "overview.dcm",
            ]
            # SEG, SR and overview are beside the series, bit by bit as they were sent.
            same(got, [*job.objects.iterdir(), *sent])
            (found,) = us.find(
                port, "STUDY", StudyInstanceUID=study, ModalitiesInStudy="", PatientID=""
            )
            assert set(found.ModalitiesInStudy) == {"CT", "OT", "SEG", "SR"}
            assert found.PatientID == objects[0].PatientID
            # The report refers to the segmentation and to slices of the series.
            by_modality = {one.Modality: one for one in got}
            referred = {
                item.ReferencedSOPInstanceUID
                for part in by_modality["SR"].CurrentRequestedProcedureEvidenceSequence
                for series in part.ReferencedSeriesSequence
                for item in series.ReferencedSOPSequence
            }
            assert by_modality["SEG"].SOPInstanceUID in referred
            assert {one.SOPInstanceUID for one in objects} <= referred
        by_modality["SR"].save_as(tmp_path / "fetched.dcm", enforce_file_format=True)
        if TID1500READER:
            report = read_report(tmp_path / "fetched.dcm", tmp_path / "report.json")
            assert report["Measurements"][0]["TrackingIdentifier"] == "lesion 1"
        if shutil.which("dsrdump"):
            done = subprocess.run(
                ["dsrdump", tmp_path / "fetched.dcm"], capture_output=True, text=True, check=True
            )
            assert "Imaging Measurement Report" in done.stdout


@pytest.mark.long
def test_series_come_back_once_each_although_the_node_is_killed_ten_times(tmp_path):
    us, node_port, count, kills = Us(free_port()), free_port(), 20, 10
    series = [write_series(tmp_path / f"series{number}", number) for number in range(count - 4)]
    # One long series during whose transfer the node is killed, and three more.
    lengths = dict.fromkeys(range(count - 4, count), 5) | {count - 4: 150}
    forwarded = [
        write_series(tmp_path / f"series{number}", number, slices)
        for number, slices in lengths.items()
    ]
    with running_archive(tmp_path / "orthanc", us.port, (NODE, node_port)) as port:
        listening = ListenProcess(tmp_path, f"{ARCHIVE}@127.0.0.1:{port}", port=node_port)
        long = forwarded[0]
        arrived = kill_while_forwarding(listening, lambda: us.send(port, long), len(long))
        us.send(port, [path for paths in forwarded[1:] for path in paths])
        sender = kill_while_sending(listening, series, kills - 1, seed=22)
        done = tmp_path / "spool" / "done"
        wait_for(lambda: len(list(done.iterdir())) == count, 600)
        assert listening.stop() == 0
        for paths in (*series, *forwarded):
            study = pydicom.dcmread(paths[0]).StudyInstanceUID
            found = us.find(
                *(port, "SERIES"), StudyInstanceUID=study, SeriesInstanceUID="", Modality=""
            )
            results = [one for one in found if one.Modality != "CT"]
            assert sorted(one.Modality for one in results) == ["OT", "SEG", "SR"]
            for one in results:
                keys = {"StudyInstanceUID": study, "SeriesInstanceUID": one.SeriesInstanceUID}
                assert len(us.find(port, "IMAGE", SOPInstanceUID="", **keys)) == 1
    # The archive repeated the long series as a whole.
    objects = [len(list(job.iterdir())) for job in done.glob("*/objects")]
    assert sorted(objects) == [*[5] * (count - 1), len(long)]
    print(
        f"{count} series, {kills} kills, the first after {arrived} of {len(long)} forwarded "
        f"objects, {sender.repeated} repeated transfers by the others"
    )
    assert not list((tmp_path / "spool" / "failed").iterdir())

"""From a series that arrives to results that are sent: once, whatever happens in between."""

from __future__ import annotations

import logging
import socket
import threading
import time

import pydicom
import pytest

from liver_tf.node import service
from liver_tf.node.node_settings import ListenSettings
from liver_tf.node.spool import DONE, FAILED, QUEUED, SENDING
from liver_tf.options import OptionError
from liver_tf.refusals import Refusal

pytest.importorskip("pynetdicom", reason="pynetdicom is missing (pip install 'liver_tf[pacs]')")
pytest.importorskip("prometheus_client", reason="prometheus_client is missing (extra pacs)")
pytest.importorskip("highdicom", reason="highdicom is missing (extra dicom-seg)")

from prometheus_client import CollectorRegistry
from pynetdicom.acse import ACSE

from liver_tf.node import monitor
from tests.builders import dicom_node
from tests.builders.dicom_node import Archive, running_node, send, wait_for, write_series
from tests.builders.threshold_node import ThresholdCascade


@pytest.fixture(scope="module")
def cascade():
    return ThresholdCascade()


@pytest.fixture
def archive():
    with Archive().running() as archive:
        yield archive


def states(node):
    return {state: count for state, count in node.spool.counts().items() if count}


def test_a_series_comes_back_as_seg_sr_and_overview(cascade, archive, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    paths = write_series(tmp_path / "series")
    options = {"send_to": [archive.name], "overlays": True}
    with running_node(tmp_path / "spool", cascade, **options) as node:
        assert dicom_node.echo(node.receiver.port)
        assert send(node.receiver.port, paths) == [0] * len(paths)
        wait_for(lambda: states(node) == {DONE: 1})
    assert archive.modalities == ["OT", "SEG", "SR"]
    source = pydicom.dcmread(paths[0])
    for one in archive.received:
        for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "AccessionNumber"):
            assert one[keyword].value == source[keyword].value
    by_modality = {one.Modality: one for one in archive.received}
    referred = str(by_modality["SR"])
    assert by_modality["SEG"].SOPInstanceUID in referred
    overview = by_modality["OT"]
    assert (overview.SamplesPerPixel, overview.BurnedInAnnotation) == (3, "NO")
    assert overview.pixel_array.std() > 10
    (job,) = node.spool.jobs(DONE)
    # Neither the log nor the state names the patient.
    for text in (caplog.text, (job.folder / "status.json").read_text()):
        assert "SECRET" not in text.upper()
        assert "1.2.826" not in text
    assert job.status["made_by"]["model"] == "ab12"
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700


def test_a_series_sent_twice_is_predicted_and_answered_once(cascade, archive, tmp_path):
    paths = write_series(tmp_path / "series")
    with running_node(tmp_path / "spool", cascade, send_to=[archive.name]) as node:
        send(node.receiver.port, paths)
        wait_for(lambda: states(node) == {DONE: 1})
        send(node.receiver.port, paths)
        wait_for(lambda: node.outcomes["repeated"] == 1)
        assert node.outcomes["predicted"] == 1
    # Also after a restart; other weights predict it again.
    for weights, outcome in (("ab12", "repeated"), ("cd34", "predicted")):
        options = {"send_to": [archive.name], "weights": weights}
        with running_node(tmp_path / "spool", cascade, **options) as node:
            send(node.receiver.port, paths)
            wait_for(lambda: node.outcomes[outcome] == 1)  # noqa: B023
            wait_for(lambda: states(node) == {DONE: 1})
    assert archive.modalities == sorted(["OT", "SEG", "SR"] * 2)
    assert len({one.SOPInstanceUID for one in archive.received}) == 6


def test_two_series_at_once_stay_apart(cascade, archive, tmp_path):
    first = write_series(tmp_path / "one", 1)
    second = write_series(tmp_path / "two", 2)
    mixed = [path for pair in zip(first, second, strict=True) for path in pair]
    with running_node(tmp_path / "spool", cascade, send_to=[archive.name]) as node:
        send(node.receiver.port, mixed)
        wait_for(lambda: states(node) == {DONE: 2})
    assert archive.modalities == sorted(["OT", "SEG", "SR"] * 2)
    studies = sorted(one.StudyInstanceUID for one in archive.received)
    assert studies == sorted(pydicom.dcmread(path).StudyInstanceUID for path in mixed[:2] * 3)


def test_an_interrupted_series_is_not_reported_until_all_of_it_is_sent_again(
    cascade, archive, tmp_path
):
    paths = write_series(tmp_path / "series")
    options = {"send_to": [archive.name], "incomplete_after": 1}
    with running_node(tmp_path / "spool", cascade, **options) as node:
        with dicom_node.associated(node.receiver.port) as association:
            assert association.send_c_store(paths[0]).Status == 0
            association.abort()
        wait_for(lambda: states(node) == {FAILED: 1} and node.outcomes == {"incomplete": 1})
        # One more object, or the rest alone: nobody knows if it is all of the rest.
        for number, (part, count) in enumerate([(paths[1:2], 2), (paths[1:], 5)], 2):
            send(node.receiver.port, part)
            wait_for(lambda: node.outcomes == {"incomplete": number})  # noqa: B023
            assert states(node) == {FAILED: 1}
            (job,) = node.spool.jobs(FAILED)
            assert job.status["code"] == "incomplete"
            # Nothing that was acknowledged is lost.
            assert len(list(job.objects.iterdir())) == count
    assert archive.received == []
    with running_node(tmp_path / "spool", cascade, **options) as node:
        send(node.receiver.port, paths)
        wait_for(lambda: states(node) == {DONE: 1})
        (job,) = node.spool.jobs(DONE)
        assert len(list(job.objects.iterdir())) == len(paths)
        assert "code" not in job.status
    assert archive.modalities == ["OT", "SEG", "SR"]


def test_the_end_of_an_association_is_noted_before_it_is_confirmed(cascade, tmp_path, monkeypatch):
    spool, interrupted = tmp_path / "spool", []
    send_release = ACSE.send_release

    def record(acse, is_response=False):
        if is_response:
            interrupted.append(list(spool.rglob("open-*")))
        send_release(acse, is_response)

    monkeypatch.setattr(ACSE, "send_release", record)
    with running_node(spool, cascade, complete_after=30) as node:
        send(node.receiver.port, write_series(tmp_path / "series"))
        assert interrupted == [[]]
        assert states(node) == {"arriving": 1}


def test_results_of_all_slices_state_that_they_replace_those_of_a_part(cascade, archive, tmp_path):
    paths = write_series(tmp_path / "series")
    with running_node(tmp_path / "spool", cascade, send_to=[archive.name]) as node:
        send(node.receiver.port, paths[:4])
        wait_for(lambda: states(node) == {DONE: 1})
        (first,) = node.spool.jobs(DONE)
        send(node.receiver.port, paths[4:])
        wait_for(lambda: states(node) == {DONE: 2})
    (second,) = (job for job in node.spool.jobs(DONE) if job.name != first.name)
    assert (first.status["replaces"], second.status["replaces"]) == ([], [first.label])
    of_part, of_all = (one for one in archive.received if one.Modality == "SR")
    assert "PredecessorDocumentsSequence" not in of_part
    (study,) = of_all.PredecessorDocumentsSequence
    (document,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert document.ReferencedSOPInstanceUID == of_part.SOPInstanceUID
    assert "replaces an earlier one" in of_all.to_json()
    descriptions = {one.SeriesDescription for one in archive.received[-3:]}
    assert {text.partition("; ")[2] for text in descriptions} == {"updated"}
    # The overview has one more line of text.
    heights = [one.Rows for one in archive.received if one.Modality == "OT"]
    assert heights[1] > heights[0]


@pytest.mark.parametrize("fails", [False, True], ids=["predicted", "failed"])
def test_results_of_a_part_that_wait_are_replaced_before_they_are_sent(
    cascade, tmp_path, monkeypatch, fails
):
    monkeypatch.setattr("liver_tf.node.delivery.FIRST_PAUSE", 0.2)
    paths, later = write_series(tmp_path / "series"), Archive()
    options = {"send_to": [later.name], "complete_after": 1}
    predict, may_go_on = service.predict_scan, threading.Event()

    def predict_scan(*arguments, **settings):
        if len(list(arguments[1].iterdir())) == len(paths):
            assert may_go_on.wait(30)
            if fails:
                raise ValueError
        return predict(*arguments, **settings)

    monkeypatch.setattr(service, "predict_scan", predict_scan)
    with running_node(tmp_path / "spool", cascade, **options) as node:
        send(node.receiver.port, paths[:4])
        wait_for(lambda: node.delivery.failures)
        (first,) = node.spool.jobs(SENDING)
        send(node.receiver.port, paths[4:])
        wait_for(lambda: states(node) == {SENDING: 1, QUEUED: 1})
        with later.running():
            time.sleep(1)
            assert later.received == []
            may_go_on.set()
            wait_for(lambda: states(node) == ({DONE: 1, FAILED: 1} if fails else {DONE: 2}))
    assert later.modalities == ["OT", "SEG", "SR"]
    (report,) = (one for one in later.received if one.Modality == "SR")
    assert "PredecessorDocumentsSequence" not in report
    if fails:
        return
    (second,) = (job for job in node.spool.jobs(DONE) if job.name != first.name)
    (first,) = (job for job in node.spool.jobs(DONE) if job.name == first.name)
    assert second.status["replaces"] == []
    assert first.status["superseded_by"] == second.label


def test_results_that_reached_nobody_are_not_stated_as_replaced(cascade, tmp_path):
    paths, options = write_series(tmp_path / "series"), {"complete_after": 0.2, "timeout": 8}
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, but does not answer
        options["send_to"] = [f"SILENT@127.0.0.1:{silent.getsockname()[1]}"]
        with running_node(tmp_path / "spool", cascade, **options) as node:
            send(node.receiver.port, paths[:4])
            wait_for(lambda: [job for job in node.spool.jobs(SENDING) if job.sent.exists()])
            send(node.receiver.port, paths[4:])
            wait_for(lambda: states(node) == {SENDING: 1, QUEUED: 1})
            assert node.delivery.failures == 0  # the first try has not ended
            wait_for(lambda: states(node) == {SENDING: 2} or DONE in states(node))
            later = max(node.spool.jobs(SENDING), key=lambda job: job.status["predicted_at"])
    assert later.status["replaces"] == []


def test_an_archive_confirms_the_number_of_objects(cascade, archive, tmp_path):
    paths = write_series(tmp_path / "series")
    archive.listed = len(paths)
    options = {"send_to": [archive.name], "find": archive.name}
    with running_node(tmp_path / "spool", cascade, **options) as node:
        send(node.receiver.port, paths[:3])
        wait_for(lambda: node._next_check)
        assert states(node) == {"arriving": 1}
        with dicom_node.associated(node.receiver.port) as association:
            for path in paths[3:]:
                association.send_c_store(path)
            association.abort()  # complete nevertheless
        wait_for(lambda: states(node) == {DONE: 1})


def test_a_bad_series_gets_a_status_and_the_next_one_an_answer(cascade, archive, tmp_path, caplog):
    bad, good = write_series(tmp_path / "bad", 1), write_series(tmp_path / "good", 2)
    with running_node(tmp_path / "spool", cascade, send_to=[archive.name]) as node:
        send(node.receiver.port, [*bad[:1], *bad[3:]])  # a slice is missing
        send(node.receiver.port, good)
        wait_for(lambda: states(node) == {DONE: 1, FAILED: 1})
        (job,) = node.spool.jobs(FAILED)
        assert job.status["code"] == "series-spacing"
        assert job.status["remedy"]
        assert "[series-spacing]" in caplog.text


def test_a_series_without_a_seg_is_reported(cascade, archive, tmp_path, caplog):
    paths = write_series(tmp_path / "series")
    for path in paths:
        dataset = pydicom.dcmread(path)
        del dataset.FrameOfReferenceUID
        dataset.save_as(path)
    with running_node(tmp_path / "spool", cascade, send_to=[archive.name]) as node:
        send(node.receiver.port, paths)
        wait_for(lambda: states(node) == {DONE: 1})
        (job,) = node.spool.jobs(DONE)
        registry = CollectorRegistry()
        registry.register(monitor._NodeCollector(node))
        value = registry.get_sample_value
        assert value("liver_tf_node_not_written_total", {"code": "seg-source"}) == 2
    assert archive.modalities == ["OT"]
    reasons = job.status["not_written"]
    assert set(reasons) == {"segmentation.dcm", "report.dcm"}
    for reason in reasons.values():
        assert reason["code"] == "seg-source"
        assert reason["remedy"]
    warnings = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert [text.partition(": ")[2] for text in warnings] == [
        "no segmentation.dcm: [seg-source]",
        "no report.dcm: [seg-source]",
    ]
    for text in (caplog.text, (job.folder / "status.json").read_text()):
        assert "SECRET" not in text.upper()
        assert "1.2.826" not in text


def test_results_wait_for_a_destination_and_are_sent_once(cascade, archive, tmp_path, monkeypatch):
    monkeypatch.setattr("liver_tf.node.delivery.FIRST_PAUSE", 0.2)
    paths = write_series(tmp_path / "series")
    later = Archive("LATER")
    options = {"send_to": [archive.name, later.name]}
    archive.status = 0xA700
    with running_node(tmp_path / "spool", cascade, **options) as node:
        send(node.receiver.port, paths)
        wait_for(lambda: node.delivery.failures > 4)
        assert states(node) == {SENDING: 1}
        archive.status = 0
        wait_for(lambda: len(archive.received) == 3)
    with later.running(), running_node(tmp_path / "spool", cascade, **options) as node:
        wait_for(lambda: states(node) == {DONE: 1})
    assert len(archive.received) == len(later.received) == 3


def test_a_full_disk_is_waited_for(cascade, archive, tmp_path, monkeypatch):
    paths = write_series(tmp_path / "series")
    monkeypatch.setattr(service, "DISK_PAUSE", 0.2)
    full, tries = [True], []
    predict = service.predict_scan

    def predict_scan(*arguments, **options):
        tries.append(1)
        if full[0]:
            raise OSError(28, "No space left on device")
        return predict(*arguments, **options)

    monkeypatch.setattr(service, "predict_scan", predict_scan)
    with running_node(tmp_path / "spool", cascade, send_to=[archive.name]) as node:
        send(node.receiver.port, paths)
        wait_for(lambda: len(tries) > service.MOST_ATTEMPTS + 1)
        assert states(node) == {QUEUED: 1}
        full[0] = False
        wait_for(lambda: states(node) == {DONE: 1})


def test_results_that_waited_while_the_node_was_off_are_sent(cascade, archive, tmp_path):
    """After a power failure the node may start before the archive."""
    later = Archive("LATER")
    options = {"send_to": [later.name]}
    with running_node(tmp_path / "spool", cascade, **options) as node:
        send(node.receiver.port, write_series(tmp_path / "series"))
        wait_for(lambda: node.delivery.failures)
    (job,) = node.spool.jobs(SENDING)
    job.note(predicted_at=time.time() - 3 * 24 * 3600)
    with running_node(tmp_path / "spool", cascade, **options) as node:
        wait_for(lambda: node.delivery.failures)
        time.sleep(0.3)
        assert states(node) == {SENDING: 1}
        with later.running():
            wait_for(lambda: states(node) == {DONE: 1})
    assert len(later.received) == 3


def test_results_that_no_destination_takes_fail_with_a_reason(cascade, archive, tmp_path):
    archive.status = 0xA700
    options = {"send_to": [archive.name], "keep": "3s"}
    with running_node(tmp_path / "spool", cascade, **options) as node:
        send(node.receiver.port, write_series(tmp_path / "series"))
        wait_for(lambda: states(node) == {FAILED: 1})
        (job,) = node.spool.jobs(FAILED)
        assert job.status["code"] == "not-sent"
        assert job.status["remedy"]


def test_the_rest_of_a_series_that_failed_is_confirmed_with_its_first_part(
    cascade, archive, tmp_path
):
    paths = write_series(tmp_path / "series")
    archive.listed = len(paths)
    options = {"send_to": [archive.name], "find": archive.name, "incomplete_after": 1}
    with running_node(tmp_path / "spool", cascade, **options) as node:
        send(node.receiver.port, paths[:3])
        wait_for(lambda: states(node) == {FAILED: 1})
        (job,) = node.spool.jobs(FAILED)
        assert (job.status["code"], bool(job.status["remedy"])) == ("incomplete", True)
        send(node.receiver.port, paths[3:])
        wait_for(lambda: states(node) == {DONE: 1})
        (job,) = node.spool.jobs(DONE)
        assert len(list(job.objects.iterdir())) == len(paths)


@pytest.mark.parametrize("find", [False, True], ids=["silence", "c-find"])
def test_a_series_that_cannot_be_checked_does_not_stop_others(cascade, archive, tmp_path, find):
    """One of which a killed node made only the folder, and one whose disk cannot be read."""
    first = write_series(tmp_path / "one", 1)
    second = write_series(tmp_path / "two", 2)
    archive.listed = len(first)
    options = {"send_to": [archive.name], "find": archive.name if find else ""}
    with running_node(tmp_path / "spool", cascade, complete_after=600) as node:
        send(node.receiver.port, first)
    arriving = tmp_path / "spool" / "arriving"
    (bad,) = arriving.iterdir()
    (arriving / ("0" * 32) / "objects").mkdir(parents=True)
    with running_node(tmp_path / "spool", cascade, **options) as node:
        complete = node.spool.complete

        def fail(series, made_by):
            if series == bad.name:
                raise OSError(5, "Input/output error")
            return complete(series, made_by)

        node.spool.complete = fail
        send(node.receiver.port, second)
        wait_for(lambda: node.spool.counts()[DONE] == 1, 30)
        assert node.spool.counts() == {"arriving": 2, QUEUED: 0, SENDING: 0, DONE: 1, FAILED: 0}


def test_a_series_in_the_queue_is_predicted_by_the_networks_of_the_next_start(
    cascade, archive, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:

        def killed(*_, **__):
            raise OSError(28, "No space left on device")

        patch.setattr(service, "write_overview", killed)  # results of the first ones remain
        with running_node(tmp_path / "spool", cascade, send_to=[archive.name]) as node:
            send(node.receiver.port, write_series(tmp_path / "series"))
            wait_for(lambda: node._paused_until)
            (job,) = node.spool.jobs(QUEUED)
            assert (job.results / "lesions.json").exists()
    options = {"send_to": [archive.name], "weights": "cd34"}
    with running_node(tmp_path / "spool", cascade, **options) as node:
        wait_for(lambda: states(node) == {DONE: 1})
        (job,) = node.spool.jobs(DONE)
    assert job.status["made_by"]["model"] == "cd34"
    assert [one.DeviceSerialNumber for one in archive.received] == ["cd34"] * 3


def test_options_that_do_not_apply_to_predicted_series_are_reported(
    cascade, archive, tmp_path, caplog
):
    options = {"send_to": [archive.name]}
    with running_node(tmp_path / "spool", cascade, **options) as node:
        send(node.receiver.port, write_series(tmp_path / "series"))
        wait_for(lambda: states(node) == {DONE: 1})
    (job,) = node.spool.jobs(DONE)
    before = (job.folder / "status.json").stat().st_mtime_ns
    assert "changed options" not in caplog.text
    changed = options | {"segments": "lesion", "type_threshold": 0.7, "complete_after": 0.6}
    with running_node(tmp_path / "spool", cascade, **changed) as node:
        wait_for(lambda: "changed options" in caplog.text)
        assert job.status["changed_options"] == ["--type_threshold", "--segments"]
        assert "delete its folder" in job.status["changed_options_remedy"]
        send(node.receiver.port, write_series(tmp_path / "again"))
        wait_for(lambda: node.outcomes["repeated"] == 1)
    (warning, repeated) = (one for one in caplog.records if one.levelname == "WARNING")
    assert warning.getMessage() == (
        "changed options do not apply to 1 predicted series: --type_threshold, --segments. "
        "To apply them, delete its folder in the spool and send the series again."
    )
    assert "other options" in repeated.getMessage()
    assert len(archive.received) == 3
    # It is kept no longer than before.
    assert (job.folder / "status.json").stat().st_mtime_ns == before
    caplog.clear()
    # With the former options again, and with another destination and other networks.
    with running_node(tmp_path / "spool", cascade, **options):
        wait_for(lambda: job.status["changed_options"] == [])
    with running_node(tmp_path / "spool", cascade, weights="cd34"):
        wait_for(lambda: job.status["changed_options"] == ["--send_to", "networks"])


def test_what_is_old_is_removed(cascade, tmp_path):
    paths = write_series(tmp_path / "series")
    with running_node(tmp_path / "spool", cascade, keep="1s") as node:
        send(node.receiver.port, paths)
        wait_for(lambda: node.outcomes["predicted"] == 1)
        wait_for(lambda: states(node) == {})


def test_old_series_are_looked_for_once_a_minute(cascade, tmp_path, monkeypatch):
    with running_node(tmp_path / "spool", cascade) as node:
        looks, expire = [], node.spool.expire
        monkeypatch.setattr(node.spool, "expire", lambda age: looks.append(age) or expire(age))
        began = node.last_step
        wait_for(lambda: node.last_step > began + 1)
    assert len(looks) <= 1


def test_a_series_that_kills_the_node_is_given_up(cascade, tmp_path):
    paths = write_series(tmp_path / "series")
    options = {"complete_after": 600}
    with running_node(tmp_path / "spool", cascade, **options) as node:
        send(node.receiver.port, paths)
    (series,) = node.spool._arrivals
    job, is_new = node.spool.complete(series, {})
    assert is_new
    job.note(attempts=service.MOST_ATTEMPTS)
    node.step()
    (job,) = node.spool.jobs(FAILED)
    assert job.status["code"] == "node-killed"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "name who may connect"),
        ({"send_to": ["ARCHIVE"]}, "send_to: expected AE_TITLE@HOST:PORT"),
        ({"send_to": ["A@h:99999"]}, "send_to: expected AE_TITLE@HOST:PORT"),
        ({"allow": ["x" * 17]}, "allow: expected 1 to 16 characters"),
        ({"allow": ["A"], "keep": "soon"}, "keep: expected a number with s, m, h or d"),
        ({"allow": ["A"], "tls_key": "k"}, "go together"),
    ],
)
def test_settings_that_mean_nothing_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        ListenSettings.of(**options)


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "prometheus_client", None)
    with pytest.raises(Refusal, match="node-packages"):
        service.require_packages()

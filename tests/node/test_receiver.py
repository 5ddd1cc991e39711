"""What a node accepts, what it refuses, and that it answers the next one every time."""

from __future__ import annotations

import io
import json
import re
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pydicom
import pytest

pytest.importorskip("pynetdicom", reason="pynetdicom is missing (pip install 'liver_tf[pacs]')")
pytest.importorskip("prometheus_client", reason="prometheus_client is missing (extra pacs)")

import pynetdicom
from pydicom._uid_dict import UID_dictionary
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import create_file_meta, encode, encode_file_meta

from liver_tf.node import receiver
from liver_tf.node.monitor import Monitor
from liver_tf.node.receiver import transfer_syntaxes
from tests.builders import mutated_associations
from tests.builders.dicom_node import (
    CT,
    Archive,
    associated,
    echo,
    running_node,
    send,
    wait_for,
    write_series,
)
from tests.builders.threshold_node import ThresholdCascade

ROOT = Path(__file__).parents[2]


@pytest.fixture
def node(tmp_path):
    with running_node(tmp_path / "spool", None, complete_after=600) as node:
        yield node


@pytest.fixture
def paths(tmp_path):
    return write_series(tmp_path / "series")


def stored(node):
    return sorted((node.spool.folder / "arriving").rglob("*.dcm"))


def test_what_is_acknowledged_is_on_the_disk_as_it_was_sent(node, paths, monkeypatch):
    synced = []
    real = __import__("os").fsync
    monkeypatch.setattr("os.fsync", lambda number: (synced.append(number), real(number)))
    assert send(node.receiver.port, paths) == [0] * len(paths)
    assert len(synced) >= 2 * len(paths)  # each file and its folder
    sent = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, paths)}
    for path in stored(node):
        one = pydicom.dcmread(path)
        assert one == sent.pop(one.SOPInstanceUID)
        assert one.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert not sent
    assert all("1.2.826" not in str(path) for path in stored(node))


@pytest.mark.parametrize("instance", ["1.2.3", "1.2.34"], ids=["odd", "even"])
@pytest.mark.parametrize("syntax", transfer_syntaxes(), ids=str)
def test_file_meta_information_is_that_of_pynetdicom(instance, syntax):
    meta = create_file_meta(
        sop_class_uid=CT, sop_instance_uid=instance, transfer_syntax=str(syntax)
    )
    expected = bytes(128) + b"DICM" + encode_file_meta(meta)
    assert receiver.file_meta(CT, instance, str(syntax)) == expected


def test_only_titles_of_the_list_may_connect(node):
    assert echo(node.receiver.port)
    assert not echo(node.receiver.port, title="STRANGER")
    assert not echo(node.receiver.port, called="OTHER")
    assert node.receiver.rejected == {"unknown title": 1, "unknown called title": 1}
    assert echo(node.receiver.port)


def test_too_many_associations_are_rejected(tmp_path):
    with running_node(tmp_path / "spool", None, max_associations=2) as node:
        port = node.receiver.port
        with associated(port) as one, associated(port) as two:
            assert one.is_established
            assert two.is_established
            assert not echo(port)
            assert node.receiver.rejected == {"busy": 1}
        wait_for(lambda: echo(port))  # their places are free a moment later


@pytest.mark.parametrize("reason", ["free", "write", "slices"])
def test_without_resources_an_object_is_refused_with_a700(tmp_path, paths, monkeypatch, reason):
    options = {"free": {"min_free_gb": 1e9}, "slices": {"max_slices": 2}}.get(reason, {})
    with running_node(tmp_path / "spool", None, complete_after=600, **options) as node:
        if reason == "write":
            error = OSError(28, "No space left on device")
            monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(error))
        statuses = send(node.receiver.port, paths[:3])
        monkeypatch.undo()
        assert statuses == ([0, 0, 0xA700] if reason == "slices" else [0xA700] * 3)
        assert len(stored(node)) == statuses.count(0)
        assert list((node.spool.folder / "temporary").iterdir()) == []
        assert echo(node.receiver.port)


def test_objects_that_contradict_their_request_are_refused(node, tmp_path, paths):
    other = pydicom.dcmread(paths[0])
    del other.SeriesInstanceUID
    with associated(node.receiver.port) as association:
        assert association.send_c_store(other).Status == 0xC000
        other.SeriesInstanceUID = "not a UID"
        assert association.send_c_store(other).Status == 0xC000
    assert send(node.receiver.port, paths[:1]) == [0]
    assert node.receiver.answers == {0xC000: 2, 0: 1}


@pytest.mark.parametrize("wrong", ["class of request", "class of object", "instance", None])
def test_an_object_must_be_what_its_request_states(node, paths, wrong):
    mr = "1.2.840.10008.5.1.4.1.1.4"
    dataset = pydicom.dcmread(paths[0])
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID = mr if wrong == "class of request" else dataset.SOPClassUID
    request.AffectedSOPInstanceUID = "1.2.3" if wrong == "instance" else dataset.SOPInstanceUID
    if wrong == "class of object":
        dataset.SOPClassUID = mr
    request.DataSet = io.BytesIO(encode(dataset, is_implicit_vr=False, is_little_endian=True))
    with associated(node.receiver.port) as association:
        (context,) = (one for one in association.accepted_contexts if one.abstract_syntax == CT)
        association._reactor_checkpoint.clear()  # otherwise its thread takes the answer
        wait_for(lambda: association._is_paused)
        association.dimse.send_msg(request, context.context_id)
        _, answer = association.dimse.get_msg(block=True)
        association._reactor_checkpoint.set()
    assert answer.Status == (0xA900 if wrong else 0)
    assert len(stored(node)) == (not wrong)


def test_an_object_that_is_too_long_ends_its_association(tmp_path, paths):
    large = pydicom.dcmread(paths[0])
    large.add_new("PixelData", "OW", bytes(12 << 20))
    with running_node(tmp_path / "spool", None, max_object_mb=1) as node:
        with associated(node.receiver.port) as association:
            association.send_c_store(large)
            wait_for(lambda: not association.is_established)
        assert stored(node) == []
        assert send(node.receiver.port, paths) == [0] * 5


def test_silent_clients_are_disconnected(tmp_path):
    """Nothing sent; the start of a PDU; a length of 4 GiB."""
    with running_node(tmp_path / "spool", None, timeout=1) as node:
        port = node.receiver.port
        links = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        links[1].sendall(b"\x01\x00\x00\x00\x01\x00part")
        links[2].sendall(b"\x01\x00\xff\xff\xff\xffpart")
        assert echo(port)
        for link in links:
            link.settimeout(10)
            assert link.recv(100) in (b"", link.recv(100))
            link.close()
        wait_for(lambda: node.receiver.connections == 0)


@pytest.mark.parametrize("count", [12, 100])
def test_connections_without_an_association_do_not_count_as_one(tmp_path, monkeypatch, count):
    monkeypatch.setattr(receiver, "REQUEST_TIMEOUT", 3)
    options = {"max_associations": 2, "timeout": 60}
    with running_node(tmp_path / "spool", None, **options) as node:
        port = node.receiver.port
        started = time.monotonic()
        links = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
        links[0].sendall(b"\x01\x00\x00\x00\x01\x00part")
        assert echo(port)
        assert time.monotonic() - started < 3
        wait_for(lambda: node.receiver.associations == 0)  # that of the echo ends a moment later
        # They are bounded, too: the oldest ones have made room.
        wait_for(lambda: node.receiver.connections <= receiver.MOST_WAITING, 2)
        for link in links:  # and none is held for the 60 seconds
            link.settimeout(10)
            assert link.recv(100) in (b"", link.recv(100))
            link.close()
        wait_for(lambda: node.receiver.connections == 0, 20)
        assert node.receiver.rejected == {}
        with associated(port) as one, associated(port) as two:  # the bound is as before
            assert one.is_established
            assert two.is_established
            assert not echo(port)


def test_the_time_for_a_request_does_not_bound_an_association(tmp_path, monkeypatch, paths):
    monkeypatch.setattr(receiver, "REQUEST_TIMEOUT", 0.5)
    with (
        running_node(tmp_path / "spool", None, complete_after=60, timeout=60) as node,
        associated(node.receiver.port) as association,
    ):
        for path in paths[:2]:
            time.sleep(1)
            assert association.send_c_store(path).Status == 0


def test_clients_that_send_a_byte_now_and_then_are_disconnected(tmp_path):
    with running_node(tmp_path / "spool", None, timeout=1) as node:
        link = socket.create_connection(("127.0.0.1", node.receiver.port))
        link.sendall(b"\x01\x00\x00\x00\x10\x00")
        with pytest.raises(ConnectionError):
            drip(link, 20)
        link.close()
        wait_for(lambda: node.receiver.connections == 0, 20)


def drip(link, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.2)
        link.sendall(b"\x00")


def test_compressed_transfer_syntaxes_are_accepted_if_they_can_be_decoded(node):
    names = [syntax.name for syntax in transfer_syntaxes()]
    assert names[:2] == ["Explicit VR Little Endian", "Implicit VR Little Endian"]
    with associated(node.receiver.port, syntax=str(pydicom.uid.RLELossless)) as association:
        accepted = {context.abstract_syntax for context in association.accepted_contexts}
    assert pydicom.uid.CTImageStorage in accepted


@pytest.mark.skipif(
    len(transfer_syntaxes()) < 10, reason="decoders are missing (pip install 'liver_tf[codecs]')"
)
def test_the_node_accepts_what_its_conformance_statement_lists(node):
    statement = (ROOT / "docs/pacs.md").read_text().partition("## Conformance statement")[2]
    rows = [line.split(" | ") for line in statement.splitlines() if " | SCP | " in line]
    names = {
        "Implicit VR Little Endian": "1.2.840.10008.1.2",
        "Explicit VR Little Endian": "1.2.840.10008.1.2.1",
        "RLE Lossless": "1.2.840.10008.1.2.5",
    }
    stated = {
        (uid, syntax)
        for _, uid, _, text in rows
        for syntax in (
            *(number for name, number in names.items() if name in text),
            *(f"1.2.840.10008.1.2.4{number}" for number in re.findall(r"\(?(\.\d\d)\b", text)),
        )
    }
    others = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.4")  # Enhanced CT, MR
    uids = [number for number, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"]
    entity = pynetdicom.AE(ae_title="ARCHIVE")
    accepted = set()
    for uid in (*{row[1] for row in rows}, *others):
        association = entity.associate(
            *("127.0.0.1", node.receiver.port),
            [pynetdicom.build_context(uid, each) for each in uids],  # 128 at most
            ae_title="LIVER",
        )
        found = association.accepted_contexts
        accepted |= {(each.abstract_syntax, each.transfer_syntax[0]) for each in found}
        if association.is_established:
            association.release()
    assert accepted == stated


def damaged_associations(node, paths, count, seed, clients):
    port = node.receiver.port
    pieces = mutated_associations.record(port, lambda through: send(through, paths[:2]))
    assert len(pieces) >= 3  # request, two objects, release
    good_one = mutated_associations.record(port, echo)
    answers = mutated_associations.replay(port, good_one, 20)
    assert [answer[0] for answer in answers] == [0x02, 0x04, 0x06]  # accepted, answered, released
    assert answers[1].endswith(struct.pack("<HHIH", 0, 0x900, 2, 0))  # with success

    def client(number):
        random = np.random.default_rng([seed, number])
        for _ in range(count // clients):
            mutated_associations.play(port, pieces, random)
            assert mutated_associations.replay(port, good_one, 20) == answers

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(client, range(clients)))
    wait_for(lambda: node.receiver.connections == 0, 60)


@pytest.mark.parametrize(
    ("count", "clients"), [(25, 1), pytest.param(1000, 4, marks=pytest.mark.long)]
)
def test_the_next_good_association_is_answered_after_a_damaged_one(tmp_path, paths, count, clients):
    before = threading.active_count()
    options = {"complete_after": 0.5, "incomplete_after": 2, "timeout": 3}
    with running_node(tmp_path / "spool", None, **options) as node:
        damaged_associations(node, paths, count, count, clients)
    wait_for(lambda: threading.active_count() <= before + 1)


def test_health_and_metrics_are_answered_on_the_loopback_interface(node, paths):
    monitor = Monitor(node, 0)
    address = f"http://127.0.0.1:{monitor.port}"
    try:
        send(node.receiver.port, paths)
        with urllib.request.urlopen(f"{address}/health", timeout=5) as answer:
            facts = json.load(answer)
        assert facts["problems"] == []
        assert facts["series"]["arriving"] == 1
        with urllib.request.urlopen(f"{address}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        assert 'liver_tf_node_objects_total{status="0000"} 5.0' in text
        assert 'liver_tf_node_series{state="arriving"} 1.0' in text
        assert "process_resident_memory_bytes" in text
        assert "SECRET" not in text
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}/other", timeout=5)
        node.receiver.has_space = lambda: False
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"{address}/health", timeout=5)
        (node.spool.folder / "sending").rmdir()  # as if its disk were not mounted
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"{address}/health", timeout=5)
        (node.spool.folder / "sending").mkdir()
    finally:
        monitor.stop()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Folder with an authority and certificates of a node, a client, and a stranger's."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing (apt-get install openssl)")
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for authority, names in (("authority", ("node", "client")), ("other", ("stranger",))):
        make = ("req", "-newkey", "rsa:2048", "-nodes", "-days", "2")
        subject = ("-subj", f"/CN={authority}")
        files = ("-keyout", f"{authority}.key", "-out", f"{authority}.pem")
        openssl(*make, "-x509", *subject, *files)
        for name in names:
            files = ("-keyout", f"{name}.key", "-out", f"{name}.csr")
            openssl(*make, "-subj", f"/CN={name}", *files)
            by = ("-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial")
            files = ("-in", f"{name}.csr", "-out", f"{name}.pem", "-extfile", "names")
            openssl("x509", "-req", "-days", "2", *by, *files)
    return folder


def context(folder, name, protocol=ssl.PROTOCOL_TLS_CLIENT):
    made = ssl.SSLContext(protocol)
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    made.load_verify_locations(folder / "authority.pem")
    return made


def test_with_tls_only_nodes_with_a_certificate_are_answered(certificates, paths, tmp_path, caplog):
    server = context(certificates, "node", ssl.PROTOCOL_TLS_SERVER)
    options = {
        "tls_certificate": certificates / "node.pem",
        "tls_key": certificates / "node.key",
        "tls_authority": certificates / "authority.pem",
        "timeout": 2,
    }
    client = context(certificates, "client")
    with (
        Archive(tls=server).running() as archive,
        running_node(
            tmp_path / "spool", ThresholdCascade(), send_to=[archive.name], **options
        ) as node,
    ):
        port = node.receiver.port
        assert not echo(port)
        assert not echo(port, tls=context(certificates, "stranger"))
        wait_for(lambda: caplog.text.count("from 127.0.0.1 failed in the TLS handshake") == 2)
        silent = socket.create_connection(("127.0.0.1", port))
        started = time.monotonic()
        assert echo(port, tls=client)
        assert time.monotonic() - started < 2  # not blocked by the silent one
        silent.close()
        assert send(port, paths, tls=client) == [0] * 5
        wait_for(lambda: len(archive.received) == 3)

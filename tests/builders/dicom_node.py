"""A node in this process, an archive that records what it gets, and series to send."""

from __future__ import annotations

import contextlib
import socketserver
import threading
import time
from unittest import mock

import pydicom
import pynetdicom
from pynetdicom import evt

from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.node import delivery, service
from liver_tf.node.node_settings import ListenSettings
from tests.builders import ct_files
from tests.builders.orthanc import free_port
from tests.builders.threshold_node import plain_overlays

# Servers stop when they next look: after 50 ms instead of half a second.
socketserver.BaseServer.serve_forever.__defaults__ = (0.05,)

NODE, ARCHIVE = "LIVER", "ARCHIVE"
CT = "1.2.840.10008.5.1.4.1.1.2"
SYNTAX = pydicom.uid.ExplicitVRLittleEndian


def write_series(
    folder, number=1, slices=5, shape=(24, 32), hu=None, spacing_mm=ct_files.SPACING_MM
):
    """A series whose UIDs depend on its number; returns its files."""
    hu = ct_files.phantom_hu(slices, *shape) if hu is None else hu
    uid = f"1.2.826.0.1.3680043.8.498.7.{number}"

    def change(dataset, index):
        dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = f"{uid}.1", f"{uid}.2"
        dataset.SeriesInstanceUID = f"{uid}.3"
        dataset.SOPInstanceUID = f"{uid}.4.{index + 1}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.PatientName, dataset.PatientID = "Secret^Person", f"SECRET{number}"
        dataset.PatientBirthDate, dataset.PatientSex = "19500102", "F"
        dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20240102", "101500", "1"
        dataset.AccessionNumber = f"A{number}"
        dataset.SliceThickness, dataset.PixelSpacing = spacing_mm[0], list(spacing_mm[1:])
        dataset.ImagePositionPatient[2] = -300.0 + spacing_mm[0] * index

    return ct_files.write_series(folder, hu, change)


class Archive:
    """A DICOM node that keeps what it gets; ``status`` is its answer."""

    def __init__(self, title=ARCHIVE, tls=None):
        self.received, self.status, self.listed = [], 0x0000, 0
        self.entity = pynetdicom.AE(ae_title=title)
        self.entity.supported_contexts = pynetdicom.AllStoragePresentationContexts
        self.entity.add_supported_context("1.2.840.10008.5.1.4.1.2.2.1")
        self.title, self.port, self.tls = title, free_port(), tls
        self.server = None

    def _keep(self, event):
        if self.status == 0:
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            self.received.append(dataset)
        return self.status

    def _list(self, event):
        for number in range(self.listed):
            match = pydicom.Dataset()
            match.SOPInstanceUID = f"1.2.{number}"
            yield 0xFF00, match

    @contextlib.contextmanager
    def running(self):
        handlers = [(evt.EVT_C_STORE, self._keep), (evt.EVT_C_FIND, self._list)]
        self.server = self.entity.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=handlers, ssl_context=self.tls
        )
        try:
            yield self
        finally:
            self.server.shutdown()

    @property
    def modalities(self):
        return sorted(one.Modality for one in self.received)

    @property
    def name(self):
        return f"{self.title}@127.0.0.1:{self.port}"


@contextlib.contextmanager
def running_node(folder, cascade, *, overlays=False, **options):
    """A node with networks of its own; yields the ``Node``. Its intervals are short.

    With ``overlays``, it draws them as usual, which takes most of the time of a small series.
    """
    with contextlib.ExitStack() as patches:
        for module in (service, delivery):
            patches.enter_context(mock.patch.object(module, "STEP", 0.05))
        if not overlays:
            patches.enter_context(plain_overlays())
        with _running_node(folder, cascade, **options) as node:
            yield node


@contextlib.contextmanager
def _running_node(folder, cascade, **options):
    values = {
        "port": 0,
        "spool": folder,
        "complete_after": 0.5,
        "allow": [ARCHIVE],
        "min_free_gb": 0,
        "timeout": 5,
        **options,
    }
    made_by = AlgorithmIdentity(values.pop("weights", "ab12"))
    service.require_packages()
    node = service.Node(ListenSettings.of(**values), cascade, made_by)
    stop = threading.Event()
    thread = threading.Thread(target=node.run, args=(stop,), daemon=True)
    thread.start()
    try:
        yield node
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


@contextlib.contextmanager
def associated(port, title=ARCHIVE, called=NODE, tls=None, syntax=SYNTAX):
    entity = pynetdicom.AE(ae_title=title)
    entity.add_requested_context(CT, syntax)
    entity.add_requested_context("1.2.840.10008.1.1")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 10
    more = {"tls_args": (tls, "127.0.0.1")} if tls else {}
    association = entity.associate("127.0.0.1", port, ae_title=called, **more)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def send(port, paths, **options):
    """Send files in an association of their own; returns their statuses."""
    with associated(port, **options) as association:
        assert association.is_established
        return [association.send_c_store(path).get("Status") for path in paths]


def echo(port, **options):
    """Whether the node answers C-ECHO."""
    with associated(port, **options) as association:
        return association.is_established and association.send_c_echo().get("Status") == 0


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)

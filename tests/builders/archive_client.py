"""A sender and asker beside an archive, and a place to which the archive can move objects."""

from __future__ import annotations

import contextlib

import pydicom
import pynetdicom
from pynetdicom.sop_class import (
    ComprehensiveSRStorage,
    CTImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from tests.builders.orthanc import ARCHIVE, CLIENT

SYNTAX = pydicom.uid.ExplicitVRLittleEndian
STORED, PENDING, DONE = 0x0000, (0xFF00, 0xFF01), 0x0000
STORED_CLASSES = (
    *(CTImageStorage, SegmentationStorage, ComprehensiveSRStorage),
    SecondaryCaptureImageStorage,
)


class Us:
    """Our side of an archive."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.received: list[pydicom.Dataset] = []
        self.entity = pynetdicom.AE(ae_title=CLIENT)

    def _keep(self, event) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        self.received.append(dataset)
        return STORED

    @contextlib.contextmanager
    def associated(self, archive: int, *classes, receive=()):
        """An association with the archive for the services named."""
        self.entity.requested_contexts = []
        for one in classes:
            self.entity.add_requested_context(one, SYNTAX)
        roles = []
        for one in receive:
            self.entity.add_requested_context(one, SYNTAX)
            roles.append(pynetdicom.build_role(one, scp_role=True))
        association = self.entity.associate(
            "127.0.0.1",
            archive,
            ae_title=ARCHIVE,
            ext_neg=roles,
            evt_handlers=[(pynetdicom.evt.EVT_C_STORE, self._keep)],
        )
        assert association.is_established
        try:
            yield association
        finally:
            association.release()

    def send(self, archive: int, paths) -> None:
        with self.associated(archive, *STORED_CLASSES) as association:
            for path in paths:
                assert association.send_c_store(path).Status == STORED

    def find(self, archive: int, level: str, **keys) -> list[pydicom.Dataset]:
        with self.associated(archive, StudyRootQueryRetrieveInformationModelFind) as association:
            answers = association.send_c_find(
                query(level, **keys), StudyRootQueryRetrieveInformationModelFind
            )
            return [found for status, found in answers if status.Status in PENDING]

    def get(self, archive: int, level: str, **keys) -> list[pydicom.Dataset]:
        self.received = []
        with self.associated(
            archive,
            StudyRootQueryRetrieveInformationModelGet,
            receive=STORED_CLASSES,
        ) as association:
            *_, (status, _) = association.send_c_get(
                query(level, **keys), StudyRootQueryRetrieveInformationModelGet
            )
        assert status.Status == DONE
        return self.received

    def move(self, archive: int, level: str, **keys) -> list[pydicom.Dataset]:
        self.received = []
        self.entity.supported_contexts = []
        for one in STORED_CLASSES:
            self.entity.add_supported_context(one, SYNTAX)
        server = self.entity.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=[(pynetdicom.evt.EVT_C_STORE, self._keep)],
        )
        try:
            with self.associated(
                archive, StudyRootQueryRetrieveInformationModelMove
            ) as association:
                *_, (status, _) = association.send_c_move(
                    query(level, **keys), CLIENT, StudyRootQueryRetrieveInformationModelMove
                )
        finally:
            server.shutdown()
        assert status.Status == DONE
        return self.received


def query(level: str, **keys) -> pydicom.Dataset:
    found = pydicom.Dataset()
    found.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(found, keyword, value)
    return found


def same(got: list[pydicom.Dataset], paths) -> None:
    """What came back is what was sent, element by element, pixels bit by bit."""
    sent = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, paths)}
    assert {one.SOPInstanceUID for one in got} == set(sent)
    assert len(got) == len(sent)
    for one in got:
        original = sent[one.SOPInstanceUID]
        assert one == original
        assert one.get("PixelData") == original.get("PixelData")
        assert one.file_meta.TransferSyntaxUID == original.file_meta.TransferSyntaxUID

"""The service that others send to: C-ECHO and C-STORE of CT images (PS3.4 A and B).

pynetdicom implements the protocol. Here are the bounds that it lacks: on the length of a message,
on the time for which a peer may be silent within one, and on the number of threads.
"""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from pydicom.filereader import read_dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    JPEG2000,
    UID,
    CTImageStorage,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import (
    AE,
    PYNETDICOM_IMPLEMENTATION_UID,
    PYNETDICOM_IMPLEMENTATION_VERSION,
    evt,
)
from pynetdicom.pdu_primitives import A_RELEASE
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from liver_tf.export.valid_dicom_elements import is_valid_uid
from liver_tf.node.dicom_peers import UNCOMPRESSED, server_context
from liver_tf.node.node_settings import LimitSettings, ListenSettings
from liver_tf.node.spool import SeriesTooLarge, Spool

if TYPE_CHECKING:
    from pynetdicom.association import Association, ServiceUser
    from pynetdicom.events import Event

LOG = logging.getLogger("liver_tf.node")

#: Statuses of C-STORE (PS3.4 B.2.3).
STORED, OUT_OF_RESOURCES, WRONG_OBJECT, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xA900, 0xC000
VERIFICATION = "1.2.840.10008.1.1"
_COMPRESSED = (
    *(JPEGLosslessSV1, JPEGLossless, JPEGLSLossless, JPEG2000Lossless, RLELossless),
    *(JPEGLSNearLossless, JPEG2000, JPEGExtended12Bit),
)
#: Seconds from a connection to its complete A-ASSOCIATE-RQ; connections for which it is awaited.
REQUEST_TIMEOUT, MOST_WAITING = 5.0, 32
_MAX_PDU = 1 << 17
#: Limit for PDUs of senders that ignore the negotiated length.
_LONGEST_PDU = 1 << 22


def transfer_syntaxes() -> list[UID]:
    """Those of images that can be decoded here; the first one that a sender offers too is used."""
    return [*UNCOMPRESSED, *(each for each in _COMPRESSED if get_decoder(each).is_available)]


class Receiver:
    """Stores what other nodes send into a spool.

    Attributes:
      answers: Number of C-STORE requests by status.
      rejected: Number of associations that were rejected, by reason.
    """

    def __init__(self, settings: ListenSettings, spool: Spool) -> None:
        self._settings, self._limits, self._spool = settings, settings.limits, spool
        self.answers: Counter[int] = Counter()
        self.rejected: Counter[str] = Counter()
        self._entity = entity = _Entity(ae_title=settings.ae_title)
        entity.require_called_aet = True
        entity.require_calling_aet = settings.allowed_titles
        entity.maximum_associations = self._limits.max_associations
        entity.maximum_pdu_size = _MAX_PDU
        entity.acse_timeout = _request_timeout(self._limits)
        entity.dimse_timeout = entity.network_timeout = self._limits.timeout
        entity.add_supported_context(VERIFICATION, list(UNCOMPRESSED))
        entity.add_supported_context(CTImageStorage, transfer_syntaxes())
        self._server = entity.make_server(
            (settings.host, settings.port),
            ssl_context=server_context(settings.tls),
            evt_handlers=[
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_ACSE_RECV, self._release),
                (evt.EVT_REJECTED, self._count_rejection),
                (evt.EVT_REQUESTED, self._requested),
                (evt.EVT_CONN_CLOSE, _end_without_request),
            ],
            server_class=_Server,
            request_handler=_bounded_handler(self._limits),
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="receiver", daemon=True
        )

    def start(self) -> None:
        """Answer in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port and abort all associations."""
        for association in self._server.active_associations:
            association.abort()
        self._server.shutdown()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def associations(self) -> int:
        """Number of associations now."""
        return len(self._entity.active_associations)

    @property
    def connections(self) -> int:
        """Number of connections now, those without an association included."""
        return len(self._server.active_associations)

    def has_space(self) -> bool:
        """Whether the disk has the free space that is kept."""
        return self._spool.free_bytes() >= self._limits.min_free_gb * 2**30

    def _store(self, event: Event) -> int:
        status = self._status_of(event)
        self.answers[status] += 1
        if status != STORED:
            LOG.warning("an object was refused with status %04XH", status)
        return status

    def _status_of(self, event: Event) -> int:
        connection, request = cast(Any, event.assoc.dul.socket), cast(Any, event.request)
        connection.forget()
        try:
            data, syntax = (
                event.encoded_dataset(include_meta=False),
                UID(event.context.transfer_syntax),
            )
            sop_class, instance_uid, series_uid = _uids(data, syntax)
            stated = (request.AffectedSOPClassUID, request.AffectedSOPInstanceUID)
            matches = (sop_class, instance_uid) == stated and sop_class == CTImageStorage
        except Exception:  # of any kind, with values in the text
            return NOT_UNDERSTOOD
        if not (is_valid_uid(instance_uid) and is_valid_uid(series_uid)):
            return NOT_UNDERSTOOD
        if not matches:
            return WRONG_OBJECT
        try:
            if not self.has_space():
                return OUT_OF_RESOURCES
            meta = file_meta(sop_class, instance_uid, syntax)
            self._spool.store(series_uid, instance_uid, meta + data, event.assoc)
        except (OSError, SeriesTooLarge):
            return OUT_OF_RESOURCES
        return STORED

    def _release(self, event: Event) -> None:
        """Record the end of an association before it is confirmed."""
        if isinstance(cast(Any, event).primitive, A_RELEASE):
            self._spool.release(event.assoc)

    def _requested(self, event: Event) -> None:
        cast(_Server, self._server).waiting.pop(cast(Any, event.assoc.dul.socket).socket, None)

    def _count_rejection(self, event: Event) -> None:
        requestor = event.assoc.requestor.primitive
        calling = str(getattr(requestor, "calling_ae_title", "")).strip()
        called = str(getattr(requestor, "called_ae_title", "")).strip()
        reason = "busy"
        if called != self._settings.ae_title.strip():
            reason = "unknown called title"
        if calling not in self._settings.allowed_titles:
            reason = "unknown title"
        self.rejected[reason] += 1
        address = event.assoc.remote["address"]
        LOG.warning("an association from %s was rejected: %s", address, reason)


def _uids(data: bytes, syntax: UID) -> list[str]:
    """The UIDs of class, instance and series of a data set; reads nothing beyond them."""
    tags = (0x00080016, 0x00080018, 0x0020000E)
    header = read_dataset(
        io.BytesIO(data),
        syntax.is_implicit_VR,
        is_little_endian=True,
        stop_when=lambda tag, *_: tag > tags[-1],
        specific_tags=[*tags],
    )
    return [cast(Any, header.get_item(tag)).value.decode("ascii").rstrip("\0 ") for tag in tags]


def file_meta(sop_class: str, instance_uid: str, syntax: str) -> bytes:
    """Preamble and File Meta Information of a file (PS3.10 7.1).

    ``pynetdicom.dsutils.encode_file_meta`` does the same, but takes longer than writing the file.
    """
    texts = (
        *((2, b"UI", sop_class), (3, b"UI", instance_uid), (0x10, b"UI", syntax)),
        (0x12, b"UI", PYNETDICOM_IMPLEMENTATION_UID),
        (0x13, b"SH", PYNETDICOM_IMPLEMENTATION_VERSION),
    )
    elements = struct.pack("<HH2sHI2s", 2, 1, b"OB", 0, 2, b"\0\1")
    for number, representation, text in texts:
        value = text.encode("ascii")
        value += (b"\0" if representation == b"UI" else b" ") * (len(value) % 2)
        elements += struct.pack("<HH2sH", 2, number, representation, len(value)) + value
    length = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(elements))
    return bytes(128) + b"DICM" + length + elements


def _end_without_request(event: Event) -> None:
    """End an association whose connection closed before a request.

    pynetdicom would wait for the request until its timeout, and count the association.
    """
    if event.assoc.requestor.primitive is None:
        event.assoc.dul.to_user_queue.put(cast(Any, None))


def _request_timeout(limits: LimitSettings) -> float:
    return min(REQUEST_TIMEOUT, limits.timeout)


class _Entity(AE):
    """Connections that have not requested an association do not count as one."""

    @property
    def active_associations(self) -> list[Association]:
        every = super().active_associations
        return [each for each in every if each.requestor.primitive is not None]


class _Server(ThreadedAssociationServer):
    """A server that no silent client can block.

    Attributes:
      waiting: Connections without a request, the oldest first. It makes room for a new one.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.waiting: dict[socket.socket, None] = {}
        super().__init__(*arguments, **options)

    def shutdown(self) -> None:
        # That of pynetdicom is for servers that ``AE.start_server`` made.
        socketserver.BaseServer.shutdown(self)
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = self.socket.accept()
        connection.settimeout(self.ae.acse_timeout)
        if self.ssl_context:  # the handshake follows in the thread of the association
            connection = self.ssl_context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        self.waiting[connection] = None
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        for connection in list(self.waiting):
            if connection.fileno() < 0:  # closed
                self.waiting.pop(connection, None)
        while len(connections := list(self.waiting)) > MOST_WAITING:
            self.waiting.pop(connections[0], None)
            with contextlib.suppress(OSError):
                connections[0].shutdown(socket.SHUT_RDWR)
        # An association has two threads, and a third until it is accepted.
        most = self.ae.maximum_associations + MOST_WAITING
        return threading.active_count() < 20 + 4 * most

    def handle_error(self, request: Any, client_address: Any) -> None:
        handshake = " in the TLS handshake" if isinstance(sys.exception(), ssl.SSLError) else ""
        LOG.warning(
            "a connection from %s failed%s before an association was requested",
            *(client_address[0], handshake),
        )


def _bounded_handler(limits: LimitSettings) -> type[RequestHandler]:
    """A handler whose connections end when a message is too long."""

    class Handler(RequestHandler):
        def handle(self) -> None:
            if isinstance(self.request, ssl.SSLSocket):
                self.request.do_handshake()
            super().handle()

        def _create_association(self) -> Association:
            association = super()._create_association()
            connection: Any = association.dul.socket
            bound = _BoundedMessages(self.request, limits, association.requestor)
            connection.recv, connection.forget = bound.recv, bound.forget
            return association

    return Handler


class _BoundedMessages:
    """Reads from a connection; as if it were closed once a message is too long, or a part too slow.

    pynetdicom holds a message in memory, and a sender may begin others before it is answered. Its
    own function reads 4 KB at a time.
    """

    def __init__(
        self, connection: socket.socket, limits: LimitSettings, requestor: ServiceUser
    ) -> None:
        self._connection, self._timeout, self._bytes = connection, limits.timeout, 0
        self._requestor, self._request_by = requestor, time.monotonic() + _request_timeout(limits)
        self._longest = int(limits.max_object_mb * 2**20) + _LONGEST_PDU

    def forget(self) -> None:
        """A message is complete."""
        self._bytes = 0

    def recv(self, count: int) -> bytearray:
        """Read ``count`` bytes, or fewer if the connection ends; raises ``OSError``."""
        self._bytes += count
        if count > _LONGEST_PDU or self._bytes > self._longest:
            LOG.warning("an association was aborted: a message is too long")
            raise ConnectionAbortedError
        read, end, latest = bytearray(count), 0, time.monotonic() + self._timeout
        if self._requestor.primitive is None:
            latest = self._request_by
        while end < count:
            left = latest - time.monotonic()
            if left <= 0:  # a byte now and then would hold a place for ever
                raise TimeoutError
            self._connection.settimeout(left)
            size = self._connection.recv_into(memoryview(read)[end:])
            if not size:
                break
            end += size
        self._connection.settimeout(self._timeout)
        return read[:end]

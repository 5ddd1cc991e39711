"""Speaking to other nodes: C-STORE of results, C-FIND of the number of objects; and TLS."""

from __future__ import annotations

import logging
import ssl
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from liver_tf.ct.dicom_elements import read_dataset
from liver_tf.extras import install_extra
from liver_tf.node.node_settings import Peer, TlsSettings
from liver_tf.refusals import Refusal

if TYPE_CHECKING:
    from pynetdicom.association import Association

#: Study Root Query/Retrieve Information Model - FIND.
_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
_PENDING = (0xFF00, 0xFF01)
#: Statuses of C-STORE with which an object is stored (PS3.4 B.2.3, PS3.7 C): success and warnings.
_STORED = frozenset({0x0000, 0x0107, 0x0116, 0xB000, 0xB006, 0xB007})


class PeerUnavailable(Exception):
    """No association was established, or it ended early."""


class NoAssociation(PeerUnavailable):
    """The peer is unreachable or rejects the association: nothing was sent."""


def require_packages() -> None:
    """Raise ``Refusal`` (``node-packages``) without the packages; silence pynetdicom."""
    try:
        import highdicom  # noqa: F401
        import prometheus_client  # noqa: F401
        from pynetdicom import _config
    except ImportError as error:
        raise Refusal(
            "node-packages",
            None,
            expected="the packages of the DICOM node",
            found=f"an installation without {error.name}",
            remedy=install_extra("pacs"),
        ) from None
    # Both quote elements.
    _config.LOG_HANDLER_LEVEL = "none"
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
    warnings.simplefilter("ignore")


class Caller:
    """Opens associations as ``title``."""

    def __init__(self, title: str, tls: TlsSettings, timeout: float) -> None:
        self._title, self._timeout = title, timeout
        self._tls = client_context(tls) if tls.tls_send else None

    @contextmanager
    def _associated(
        self, peer: Peer, contexts: Sequence[tuple[str, str | list[str]]]
    ) -> Iterator[Association]:
        from pynetdicom import AE

        entity = AE(ae_title=self._title)
        entity.acse_timeout = entity.dimse_timeout = self._timeout
        entity.network_timeout = entity.connection_timeout = self._timeout
        for sop_class, syntax in contexts:
            entity.add_requested_context(sop_class, syntax)
        tls: dict[str, Any] = {"tls_args": (self._tls, peer.host)} if self._tls else {}
        try:
            association = entity.associate(peer.host, peer.port, ae_title=peer.title, **tls)
        except (OSError, RuntimeError):
            raise NoAssociation from None
        if not association.is_established:
            raise NoAssociation
        try:
            yield association
        finally:
            association.release()

    def store(self, peer: Peer, files: Sequence[Path], stored: Callable[[Path], None]) -> list[str]:
        """Send files; call ``stored`` for each that the node stored.

        Returns:
          Why others were not stored; the texts hold no patient data.

        Raises:
          PeerUnavailable: No association, or it ended before everything was sent.
        """
        headers = [read_dataset(path, pixels=False, only=["SOPClassUID"]) for path in files]
        syntaxes = [str(each.file_meta.TransferSyntaxUID) for each in headers]
        classes = [str(each.SOPClassUID) for each in headers]
        problems = []
        contexts = sorted(set(zip(classes, syntaxes, strict=True)))
        with self._associated(peer, contexts) as association:
            accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
            for path, sop_class in zip(files, classes, strict=True):
                if sop_class not in accepted:
                    problems.append(f"{path.name}: SOP class {sop_class} not accepted")
                    continue
                if not association.is_established:
                    raise PeerUnavailable
                status = association.send_c_store(path).get("Status")
                if status is None:
                    raise PeerUnavailable
                if int(status) in _STORED:
                    stored(path)
                else:
                    problems.append(f"{path.name}: status {int(status):04X}H")
        return problems

    def count(self, peer: Peer, study_uid: str, series_uid: str) -> int:
        """The number of objects of a series in an archive, at image level (PS3.4 C.6.2).

        Raises:
          PeerUnavailable: No association, or no complete answer.
        """
        from pydicom import Dataset

        query = Dataset()
        query.QueryRetrieveLevel = "IMAGE"
        query.StudyInstanceUID, query.SeriesInstanceUID = study_uid, series_uid
        query.SOPInstanceUID = ""
        count = 0
        with self._associated(peer, [(_FIND, [*UNCOMPRESSED])]) as association:
            for status, _ in association.send_c_find(query, _FIND):
                code = status.get("Status")
                if code in _PENDING:
                    count += 1
                elif code != 0x0000:
                    raise PeerUnavailable
        return count


def client_context(tls: TlsSettings) -> ssl.SSLContext | None:
    """For connections to other nodes; None without TLS. Raises ``OSError``."""
    return _context(tls, ssl.PROTOCOL_TLS_CLIENT)


def server_context(tls: TlsSettings) -> ssl.SSLContext | None:
    """For connections from other nodes, which must have a certificate; None without TLS."""
    return _context(tls, ssl.PROTOCOL_TLS_SERVER)


def _context(tls: TlsSettings, protocol: int) -> ssl.SSLContext | None:
    if not tls.tls_certificate:
        return None
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(tls.tls_certificate, tls.tls_key)
        context.load_verify_locations(tls.tls_authority)
    except (OSError, ssl.SSLError):
        raise Refusal(
            "node-tls",
            tls.tls_certificate,
            expected="PEM files with a certificate, its key and the certificates of authorities",
            found="files that cannot be read, or do not belong together",
            remedy="Check --tls_certificate, --tls_key and --tls_authority.",
        ) from None
    return context

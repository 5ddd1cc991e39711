"""Options of ``listen``. Needs neither TensorFlow nor pynetdicom."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from liver_tf.inference.cascade_settings import ModelSettings
from liver_tf.options import OptionError, Options, option, part
from liver_tf.prediction.prediction_settings import FindingSettings

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PEER = re.compile(r"(?P<title>[^@\\]+)@(?P<host>[^@\s]+):(?P<port>\d{1,5})")


@dataclass(frozen=True)
class Peer:
    """Another DICOM node."""

    title: str
    host: str
    port: int

    @classmethod
    def of(cls, name: str, text: str) -> Self:
        """Parse ``AE_TITLE@HOST:PORT``, the value of the option ``name``."""
        match = _PEER.fullmatch(text.strip())
        if not match or not 0 < int(match["port"]) < 65536 or not is_title(match["title"]):
            raise OptionError(name, f"expected AE_TITLE@HOST:PORT, found {text!r}")
        return cls(match["title"].strip(), match["host"].strip("[]"), int(match["port"]))


@dataclass(frozen=True, kw_only=True)
class TlsSettings(Options):
    """Encryption of associations (PS3.15 B.12): all three files, or none."""

    tls_certificate: Path | None = option(
        None, "PEM file with the certificate of this node; turns TLS on.", empty_is_none=True
    )
    tls_key: Path | None = option(None, "PEM file with its private key.", empty_is_none=True)
    tls_authority: Path | None = option(
        None,
        "PEM file with the certificates that certificates of other nodes must be signed by. A node "
        "without such a certificate is not answered.",
        empty_is_none=True,
    )
    tls_send: bool = option(True, "With TLS: also use it to connect to --send_to and --find.")

    def __post_init__(self) -> None:
        super().__post_init__()
        files = (self.tls_certificate, self.tls_key, self.tls_authority)
        if any(files) and not all(files):
            raise OptionError(None, "--tls_certificate, --tls_key and --tls_authority go together")


@dataclass(frozen=True, kw_only=True)
class LimitSettings(Options):
    """Bounds on what others can make this node use."""

    max_associations: int = option(
        10, "Associations at the same time; more are rejected.", low=1, high=200
    )
    max_object_mb: float = option(
        32, "Largest object in MiB; the association of a larger one is aborted.", low=0.1
    )
    max_slices: int = option(
        3000, "Largest number of objects of a series; more are refused (A700).", low=1
    )
    min_free_gb: float = option(
        2.0, "Objects are refused (A700) while the disk of the spool has less free GiB.", low=0
    )
    timeout: float = option(
        60,
        "Seconds of silence, or for one PDU, after which an association is aborted. Longer than "
        "--complete_after, for senders that keep an association open.",
        above=0,
    )


@dataclass(frozen=True, kw_only=True)
class ListenSettings(ModelSettings):
    """Options of the DICOM node."""

    ae_title: str = option("LIVER", "AE title of this node.")
    host: str = option(
        "127.0.0.1", "Address to listen on; 0.0.0.0 accepts connections from other machines."
    )
    port: int = option(11112, "Port to listen on; 0 takes a free one.", low=0, high=65535)
    allow: tuple[str, ...] = option(
        (),
        "AE titles that may connect. Those of --send_to and --find may, any other is rejected.",
    )
    send_to: tuple[str, ...] = option(
        (),
        "Node that results are sent to, as AE_TITLE@HOST:PORT. Without one they stay in --spool.",
        repeated=True,
    )
    find: str | None = option(
        None,
        "Archive, as AE_TITLE@HOST:PORT, that is asked by C-FIND how many objects a series has. A "
        "series is then complete when all of them have arrived.",
        empty_is_none=True,
    )
    spool: Path = option(Path("spool"), "Folder of received series, their state and results.")
    complete_after: float = option(
        30, "A series is complete when nothing of it arrived for this many seconds.", above=0
    )
    incomplete_after: float = option(
        600,
        "A series fails as incomplete after this many seconds without a new object, if its "
        "association was interrupted or --find did not confirm it.",
        above=0,
    )
    keep: str = option(
        "24h",
        "How long series and results stay in the spool after they are done or failed, and for how "
        "long sending is tried: a number with s, m, h or d.",
    )
    http_port: int = option(
        0,
        "Port on 127.0.0.1 for /health and for /metrics (Prometheus); 0 turns both off.",
        low=0,
        high=65535,
    )
    findings: FindingSettings = part(FindingSettings)
    limits: LimitSettings = part(LimitSettings)
    tls: TlsSettings = part(TlsSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, titles in (("ae_title", [self.ae_title]), ("allow", self.allow)):
            if not all(map(is_title, titles)):
                raise OptionError(name, "expected 1 to 16 characters without a backslash")
        if not self.allowed_titles:
            raise OptionError(None, "name who may connect with --allow or --send_to")
        self.keep_seconds  # noqa: B018  # checks it

    @property
    def destinations(self) -> list[Peer]:
        """The nodes of ``send_to``."""
        return [Peer.of("send_to", text) for text in self.send_to]

    @property
    def archive(self) -> Peer | None:
        """The node of ``find``."""
        return Peer.of("find", self.find) if self.find else None

    @property
    def allowed_titles(self) -> list[str]:
        """AE titles that may connect."""
        peers = [*self.destinations, *([self.archive] if self.archive else [])]
        return sorted({*self.allow, *(peer.title for peer in peers)})

    @property
    def keep_seconds(self) -> float:
        """The seconds of ``keep``."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", self.keep)
        if not match:
            raise OptionError("keep", f"expected a number with s, m, h or d; found {self.keep!r}")
        return float(match[1]) * _SECONDS[match[2]]


def is_title(text: str) -> bool:
    """Whether a text can be an AE title (PS3.5 6.2): 1 to 16 ASCII characters, no backslash."""
    title = text.strip(" ")
    return 0 < len(title) <= 16 and title.isascii() and title.isprintable() and "\\" not in title

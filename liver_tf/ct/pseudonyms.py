"""Pseudonyms of patients, cases and slices: HMAC-SHA256 with a key that stays at the site.

Without the key it cannot be tested whether an identifier is in the data. With it, an identifier
has the same pseudonym in every conversion.
"""

import contextlib
import hashlib
import hmac
import logging
import os
import secrets
import stat
import uuid
from pathlib import Path

from liver_tf.atomic_files import NOT_SUPPORTED
from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.input_file import require_file, unreadable
from liver_tf.refusals import printable

KEY_VARIABLE = "LIVER_TF_SITE_KEY"
DEFAULT_KEY_FILE = Path("site.key")
SHORTEST_KEY_BYTES = 16
_DIGITS = 16

_log = logging.getLogger(__name__)


def load_site_key(
    key_file: Path | str | None = None, default_file: Path = DEFAULT_KEY_FILE
) -> bytes:
    """The site key from ``key_file``, else from the environment, else from ``default_file``.

    If none exists, a random key is written to ``default_file`` (readable by its owner only) and a
    warning is logged. White space around a key is ignored.

    Raises:
      Refusal: ``site-key-weak`` for a key shorter than 16 bytes, ``file-missing`` or
        ``file-unreadable`` for a key file that cannot be read.
    """
    if key_file is not None:
        return _key_from_file(Path(key_file))
    if KEY_VARIABLE in os.environ:
        return _strong_enough(os.environ[KEY_VARIABLE].encode(), None)
    default_file = Path(default_file)
    if not default_file.exists() and _write_fresh_key(default_file):
        _log.warning(
            "A new site key was written to %s. Keep it, and keep it secret: later conversions give "
            "the same pseudonyms only with the same key.",
            default_file.name,
        )
    return _key_from_file(default_file)


def pseudonym(key: bytes, kind: str, identifier: str) -> str:
    """``<first letter of kind>-`` and 16 hex digits, e.g. ``p-0f1e2d3c4b5a6978``.

    Args:
      key: From :func:`load_site_key`.
      kind: ``patient``, ``case`` or ``slice``. The pseudonyms of different kinds are unrelated.
      identifier: As in the source; white space around it is ignored.

    Raises:
      ValueError: The kind or the identifier is empty, or the key is too short.
    """
    identifier = identifier.strip()
    if not kind or not identifier:
        raise ValueError("pseudonym: expected a kind and an identifier that are not empty")
    if len(key) < SHORTEST_KEY_BYTES:
        raise ValueError(f"pseudonym: expected a key of {SHORTEST_KEY_BYTES} bytes or more")
    message = f"{kind}\0{identifier}".encode()
    return f"{kind[0]}-{hmac.new(key, message, hashlib.sha256).hexdigest()[:_DIGITS]}"


def key_fingerprint(key: bytes) -> str:
    """16 hex digits that are equal for two data sets if their pseudonyms have the same key."""
    return hmac.new(key, b"fingerprint of the site key", hashlib.sha256).hexdigest()[:_DIGITS]


def _key_from_file(path: Path) -> bytes:
    try:
        if require_file(path).stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            _log.warning(
                "Every user of this machine can read or write the site key in %s, and so find out "
                "whether a person is in the data. Run: chmod go= %s",
                *(printable(path.name),) * 2,
            )
        return _strong_enough(path.read_bytes(), path)
    except OSError:
        raise unreadable(path) from None


def _strong_enough(key: bytes, path: Path | None) -> bytes:
    key = key.strip()
    if len(key) < SHORTEST_KEY_BYTES:
        expected = f"a site key of {SHORTEST_KEY_BYTES} bytes or more"
        found = "an empty key" if not key else f"{len(key)} bytes"
        raise bad_input("site-key-weak", path, expected, found)
    return key


def _copy_key(source: Path, path: Path) -> bool:
    """Write a key where there are no links; False if another process was first.

    It could read a key that is only partly written, which is too short and refused.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(handle, "wb") as stream:
        stream.write(source.read_bytes())
        stream.flush()
        os.fsync(stream.fileno())
    return True


def _write_fresh_key(path: Path) -> bool:
    """Write a random key atomically; False if another process was first."""
    temporary = path.with_name(f".writing-{uuid.uuid4().hex}.key")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(32) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        try:
            # A link, unlike a rename, does not overwrite the key of a faster process.
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in NOT_SUPPORTED:
                raise
            return _copy_key(temporary, path)
        return True
    except OSError:
        raise unreadable(path) from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)

"""The site key and pseudonyms; the HU window."""

from __future__ import annotations

import hashlib
import logging
import stat

import numpy as np
import pytest

from liver_tf.ct.pseudonyms import KEY_VARIABLE, key_fingerprint, load_site_key, pseudonym
from liver_tf.ct.window import DEFAULT_WINDOW, apply_window
from liver_tf.refusals import Refusal

KEY = b"0123456789abcdef"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    return tmp_path


def test_pseudonym_is_hmac_sha256_of_kind_and_identifier():
    # HMAC by its definition (RFC 2104), independent of the hmac module.
    padded = KEY.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in padded) + b"patient\x00MRN 1").digest()
    outer = hashlib.sha256(bytes(b ^ 0x5C for b in padded) + inner).hexdigest()
    assert pseudonym(KEY, "patient", " MRN 1 ") == "p-" + outer[:16]


def test_pseudonyms_depend_on_kind_key_and_identifier():
    names = {
        pseudonym(key, kind, identifier)[2:]
        for key in (KEY, KEY + b"x")
        for kind in ("patient", "case")
        for identifier in ("1", "2")
    }
    assert len(names) == 8


@pytest.mark.parametrize(("kind", "identifier"), [("", "1"), ("patient", ""), ("patient", "  ")])
def test_empty_kinds_and_identifiers_are_rejected(kind, identifier):
    with pytest.raises(ValueError, match="not empty"):
        pseudonym(KEY, kind, identifier)


def test_the_key_is_read_from_file_then_environment_then_default(empty_folder, monkeypatch):
    key_file = empty_folder / "given"
    key_file.write_bytes(b"g" * 20 + b"\n")
    (empty_folder / "site.key").write_bytes(b"d" * 20)
    assert load_site_key() == b"d" * 20
    monkeypatch.setenv(KEY_VARIABLE, "e" * 20)
    assert load_site_key() == b"e" * 20
    assert load_site_key(key_file) == b"g" * 20


def test_a_new_key_is_private_and_reported(empty_folder, caplog):
    with caplog.at_level(logging.WARNING):
        key = load_site_key()
    path = empty_folder / "site.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(key) == 64
    assert load_site_key() == key
    assert [p.name for p in empty_folder.iterdir()] == ["site.key"]
    assert len(caplog.records) == 1
    assert "keep it secret" in caplog.text
    assert key.decode() not in caplog.text


def test_a_key_that_all_users_can_read_is_reported(empty_folder, caplog):
    path = empty_folder / "shared.key"
    path.write_bytes(b"g" * 20)
    for mode, cautions in ((0o600, 0), (0o640, 0), (0o644, 1)):
        path.chmod(mode)
        caplog.clear()
        assert load_site_key(path) == b"g" * 20
        assert len(caplog.records) == cautions
    assert "chmod go= shared.key" in caplog.text


@pytest.mark.parametrize("weak", ["", "   ", "short", "x" * 15])
def test_weak_keys_from_any_source_are_refused(empty_folder, monkeypatch, weak):
    (empty_folder / "weak").write_text(weak)
    (empty_folder / "site.key").write_text(weak)
    with pytest.raises(Refusal, match=r"site-key-weak.*16 bytes"):
        load_site_key(empty_folder / "weak")
    with pytest.raises(Refusal, match="site-key-weak"):
        load_site_key()
    monkeypatch.setenv(KEY_VARIABLE, weak)
    with pytest.raises(Refusal, match="site-key-weak") as caught:
        load_site_key()
    assert not weak.strip() or weak not in caught.value.text()


def test_a_missing_key_file_is_refused(empty_folder):
    with pytest.raises(Refusal, match="file-missing"):
        load_site_key(empty_folder / "none")
    assert not (empty_folder / "site.key").exists()


def test_window_clips_and_keeps_the_dtype():
    assert DEFAULT_WINDOW == (-160, 240)
    for dtype in (np.int16, np.float32):
        windowed = apply_window(np.array([-1000, -160, 7, 240, 3000], dtype))
        assert windowed.dtype == dtype
        np.testing.assert_array_equal(windowed, [-160, -160, 7, 240, 240])


@pytest.mark.parametrize(("low", "high"), [(240, -160), (0, 0), (0.5, 100), (0, 1e6)])
def test_invalid_windows_are_rejected(low, high):
    with pytest.raises(ValueError, match="window"):
        apply_window(np.zeros(3, np.int16), low, high)


def test_the_fingerprint_of_a_key_is_an_hmac_of_a_constant():
    # HMAC by its definition (RFC 2104) for a key shorter than the 64-byte block of SHA-256.
    key = b"0123456789abcdef"
    padded = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in padded) + b"fingerprint of the site key")
    outer = hashlib.sha256(bytes(b ^ 0x5C for b in padded) + inner.digest())
    assert key_fingerprint(key) == outer.hexdigest()[:16]
    assert key_fingerprint(key + b"0") != key_fingerprint(key)

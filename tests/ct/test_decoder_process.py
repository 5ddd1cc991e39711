"""If a decoder crashes, hangs or is killed, only one file is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from pydicom.uid import JPEGLosslessSV1, JPEGLSLossless

from liver_tf.ct import decoder_process
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.refusals import Refusal
from tests.builders.ct_files import compress, phantom_hu, write_dicom

HU = phantom_hu(2, 64, 96)[1]


@pytest.fixture
def compressed(tmp_path):
    pytest.importorskip("jpeg_ls", reason="a decoder is missing (pip install 'liver_tf[codecs]')")
    path = write_dicom(tmp_path / "slice.dcm", HU)
    compress(path, JPEGLSLossless)
    np.testing.assert_array_equal(read_dicom_slice(path).hu[0], HU)
    return path


def decoder_pid():
    return decoder_process._DECODER._process.pid


def test_one_process_decodes_all_files_of_its_parent(compressed):
    first = decoder_pid()
    read_dicom_slice(compressed)
    assert decoder_pid() == first != os.getpid()


def test_a_killed_process_is_restarted(compressed):
    first = decoder_pid()
    os.kill(first, signal.SIGKILL)
    decoder_process._DECODER._process.wait()
    np.testing.assert_array_equal(read_dicom_slice(compressed).hu[0], HU)
    assert decoder_pid() != first


def test_if_a_process_does_not_answer_one_file_is_refused(compressed, monkeypatch):
    monkeypatch.setattr(decoder_process, "LONGEST_SECONDS", 0.3)
    os.kill(decoder_pid(), signal.SIGSTOP)
    with pytest.raises(Refusal, match=r"\[dicom-pixels\]"):
        read_dicom_slice(compressed)
    monkeypatch.undo()
    np.testing.assert_array_equal(read_dicom_slice(compressed).hu[0], HU)


def test_data_that_abort_a_decoder_are_refused(tmp_path):
    """GDCM throws an exception across a noexcept boundary, which ends the process."""
    pytest.importorskip("gdcm", reason="a decoder is missing (pip install 'liver_tf[codecs]')")
    path = write_dicom(tmp_path / "slice.dcm", HU)
    compress(path, JPEGLosslessSV1)
    data = bytearray(path.read_bytes())
    start = data.rindex(b"\xff\xda")  # the scan header assigns decoding tables to components
    data[start + 4 : start + 8] = b"\x02\xff\xff\xff"
    path.write_bytes(data)
    with pytest.raises(Refusal, match=r"\[dicom-pixels\]"):
        read_dicom_slice(path)


def test_the_process_ends_with_its_parent(compressed):
    program = (
        "import os, sys; from liver_tf.ct.dicom_slice import read_dicom_slice; "
        "from liver_tf.ct import decoder_process; read_dicom_slice(sys.argv[1]); "
        "print(decoder_process._DECODER._process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, compressed], capture_output=True, text=True, check=False
    )
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(int(done.stdout), 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("the process is still running")

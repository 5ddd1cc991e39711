"""Decoding of compressed pixels in a separate process.

Damaged data make the C and C++ libraries that decode JPEG abort, crash or loop forever (found by
the fuzz campaign). In a separate process this affects one file only, which is refused. The
process starts with the first compressed image and ends with its parent.

Run as a module, this file is that process: it reads a line of JSON with a path and a frame number,
and answers with a line of JSON and the bytes of the array.
"""

import contextlib
import json
import math
import os
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

#: Limit per frame. An intact slice takes milliseconds.
LONGEST_SECONDS = 20.0

#: Options of pydicom's decoders: keep the bits above BitsStored, so that they can be checked.
AS_DECODED: dict[str, Any] = {"correct_unused_bits": False}


class DecoderFailed(Exception):
    """The decoder rejected the data, crashed, or exceeded the time limit."""


class _Decoder:
    """Client of the decoder process, in its parent."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def decode(self, path: Path, frame: int) -> np.ndarray:
        with self._lock:
            process = self._running()
            try:
                request = json.dumps({"path": os.path.abspath(path), "frame": frame})
                assert process.stdin
                assert process.stdout
                process.stdin.write(f"{request}\n".encode())
                process.stdin.flush()
                return _read_answer(process.stdout.fileno())
            except (OSError, EOFError, TimeoutError, ValueError):
                process.kill()
                process.wait()
                self._process = None
                raise DecoderFailed from None

    def _running(self) -> subprocess.Popen[bytes]:
        # After a fork the process still belongs to the parent.
        dead = self._process is not None and self._process.poll() is not None
        if self._process is None or dead or self._owner != os.getpid():
            self._owner = os.getpid()
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=Path(__file__).parents[2],
            )
        return self._process


_DECODER = _Decoder()


def decode_apart(path: Path, frame: int) -> np.ndarray:
    """Stored values of one frame of a DICOM file, in the shape and dtype of its decoder.

    Raises:
      DecoderFailed: for any failure.
    """
    return _DECODER.decode(path, frame)


def _read_answer(pipe: int) -> np.ndarray:
    deadline = time.monotonic() + LONGEST_SECONDS
    data = bytearray()
    while b"\n" not in data:
        data += _read_some(pipe, deadline)
    line, _, pixels = bytes(data).partition(b"\n")
    answer = json.loads(line)
    if not answer:
        raise DecoderFailed
    dtype = np.dtype(answer["dtype"])
    values = bytearray(pixels)
    while len(values) < dtype.itemsize * math.prod(answer["shape"]):
        values += _read_some(pipe, deadline)
    return np.frombuffer(values, dtype).reshape(answer["shape"])


def _read_some(pipe: int, deadline: float) -> bytes:
    ready, _, _ = select.select([pipe], [], [], max(deadline - time.monotonic(), 0))
    if not ready:
        raise TimeoutError
    data = os.read(pipe, 1 << 20)
    if not data:
        raise EOFError
    return data


def _serve() -> None:
    import pydicom
    from pydicom.pixels.decoders.base import get_decoder

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # keep the output of libraries out of the answers
    for line in sys.stdin:
        request = json.loads(line)
        answer, array = None, np.empty(0, np.uint8)
        with contextlib.suppress(Exception):  # decoders may raise anything
            dataset = pydicom.dcmread(request["path"])
            decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
            array, _ = decoder.as_array(dataset, index=request["frame"], raw=True, **AS_DECODED)
            answer = {"shape": array.shape, "dtype": array.dtype.str}
        answers.write(json.dumps(answer).encode() + b"\n")
        if answer:
            answers.write(np.ascontiguousarray(array).tobytes())
        answers.flush()


if __name__ == "__main__":
    _serve()

"""Compressed pixels are decoded in a process of their own.

The libraries that decode JPEG are written in C and C++, and damaged data make them abort, crash or
never end (found by the fuzz campaign). Then that process ends, and one file is refused; the
conversion goes on. It is started with the first compressed image, and lives as long as its parent.

Run as a module it is that process: it reads a line of JSON with a path and the number of a frame,
and answers with a line of JSON and the bytes of the array.
"""

from __future__ import annotations

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

import numpy as np

#: A slice takes milliseconds; some damaged data keep a decoder busy for seconds.
LONGEST_SECONDS = 20.0


class DecoderFailed(Exception):
    """The decoder refused the data, crashed, or did not end in time."""


class _Decoder:
    """The process, as its parent sees it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def decode(self, path: Path, frame: int) -> np.ndarray:
        with self._lock:
            process = self._running()
            try:
                request = json.dumps({"path": os.path.abspath(path), "frame": frame})
                process.stdin.write(f"{request}\n".encode())
                process.stdin.flush()
                return _answer(process.stdout.fileno())
            except (OSError, EOFError, TimeoutError, ValueError):
                process.kill()
                process.wait()
                self._process = None
                raise DecoderFailed from None

    def _running(self) -> subprocess.Popen:
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
    """Stored values of one frame of a DICOM file, as its decoder gives them, [rows, columns].

    Raises:
      DecoderFailed: where that did not go well, in whatever way.
    """
    return _DECODER.decode(path, frame)


def _answer(pipe: int) -> np.ndarray:
    ends = time.monotonic() + LONGEST_SECONDS
    data = bytearray()
    while b"\n" not in data:
        data += _some(pipe, ends)
    line, _, pixels = bytes(data).partition(b"\n")
    told = json.loads(line)
    if not told:
        raise DecoderFailed
    dtype = np.dtype(told["dtype"])
    values = bytearray(pixels)
    while len(values) < dtype.itemsize * math.prod(told["shape"]):
        values += _some(pipe, ends)
    return np.frombuffer(values, dtype).reshape(told["shape"])


def _some(pipe: int, ends: float) -> bytes:
    ready, _, _ = select.select([pipe], [], [], max(ends - time.monotonic(), 0))
    if not ready:
        raise TimeoutError
    data = os.read(pipe, 1 << 20)
    if not data:
        raise EOFError
    return data


def _serve() -> None:
    import pydicom
    from pydicom.pixels import get_decoder

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between
    for line in sys.stdin:
        asked = json.loads(line)
        answer, array = None, np.empty(0, np.uint8)
        with contextlib.suppress(Exception):  # decoders raise what they like
            dataset = pydicom.dcmread(asked["path"])
            decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
            array, _ = decoder.as_array(dataset, index=asked["frame"], raw=True)
            answer = {"shape": array.shape, "dtype": array.dtype.str}
        answers.write(json.dumps(answer).encode() + b"\n")
        if answer:
            answers.write(np.ascontiguousarray(array).tobytes())
        answers.flush()


if __name__ == "__main__":
    _serve()

"""Standard output and error of a command.

Text is shown with its control characters escaped: a file name or a DICOM attribute cannot move the
cursor or imitate other lines. Output that cannot be written (``| head``, a full disk) is discarded:
whether it can be shown decides neither what a command does nor what it records.
"""

import io
import os
import re
import signal
import sys

from liver_tf.refusals import CONTROLS

#: Line ends are the program's own. Progress bars start with a carriage return and move up.
_MOVES = re.compile(r"[\n\r]*(\x1b\[A)*\r?")


def guard_standard_streams() -> None:
    """Replace ``sys.stdout`` and ``sys.stderr``, unless they are replaced or closed already."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if type(stream) is io.TextIOWrapper:
            stream.flush()
            setattr(sys, name, TerminalOutput(stream.fileno(), stream.encoding))


class TerminalOutput(io.TextIOWrapper):
    """Text written to a file descriptor, which stays open."""

    def __init__(self, descriptor: int, encoding: str) -> None:
        self.file = _Descriptor(descriptor, "w", closefd=False)
        # Names of files may not be UTF-8.
        super().__init__(
            io.BufferedWriter(self.file),
            encoding=encoding,
            errors="backslashreplace",
            line_buffering=descriptor != 1 or self.file.isatty(),
        )

    def write(self, text: str) -> int:
        moves = _MOVES.match(text).end() if self.file.fileno() != 1 else 0
        return super().write(text[:moves] + text[moves:].translate(_SHOWN))


class _Descriptor(io.FileIO):
    """Bytes to a file descriptor; after an error they are discarded. ``error`` is the first."""

    error: OSError | None = None

    def write(self, data) -> int | None:
        if self.error is None:
            try:
                return super().write(data)
            except OSError as error:
                self.error = error
        return memoryview(data).nbytes


def output_error() -> str:
    """Why standard output could not be written; empty if it could, or if its reader has ended."""
    if not isinstance(sys.stdout, TerminalOutput):
        return ""
    sys.stdout.flush()
    error = sys.stdout.file.error
    return "" if error is None or isinstance(error, BrokenPipeError) else os.strerror(error.errno)


def end_silently_on_interrupt() -> None:
    """For workers: Ctrl-C, which reaches them too, ends them at once, without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not ignored, as by nohup
        signal.signal(signal.SIGINT, signal.SIG_DFL)


_SHOWN = {code: text for code, text in CONTROLS.items() if chr(code) not in "\n\t"}

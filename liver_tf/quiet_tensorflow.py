"""Import TensorFlow for a command, without TensorFlow's own log lines on the terminal.

TensorFlow's C++ libraries write to file descriptor 2, and ``TF_CPP_MIN_LOG_LEVEL`` does not stop
all of their messages. A filter process drops known lines and forwards everything else at once. It
outlives the command, so that the last lines before a crash are shown. Python's ``sys.stderr``
(tracebacks, progress bars) bypasses it.
"""

import contextlib
import io
import logging
import os
import re
import select
import sys
from collections.abc import Iterator

from liver_tf.terminal_output import TerminalOutput

#: Harmless lines that TensorFlow, XLA and oneDNN write.
_NOISE = re.compile(
    rb"""
    ^I\d{4}\ [\d:.]+\ +\d+\ \S+:\d+\]                      # C++ log lines of level "info",
    | ^[\d-]{10}\ [\d:.]+:\ I\ \S+:\d+\]                    # in both formats
    | ^WARNING:\ All\ log\ messages\ before\ absl::InitializeLog
    | ^To\ enable\ the\ following\ instructions:.*rebuild\ TensorFlow
    | \ node_def_util\.cc:\d+\]\ NodeDef\ mentions\ attribute\ use_unbounded_threadpool
    | \ util\.cc:\d+\]\ oneDNN\ supports\ DT_\w+\ only\ on\ platforms
    | \ cuda_\w+\.cc:\d+\]\ (failed\ call\ to\ cuInit|Unable\ to\ register\ cu\w+\ factory)
    | \ computation_placer\.cc:\d+\]\ computation\ placer\ already\ registered
    | \ local_rendezvous\.cc:\d+\].*OUT_OF_RANGE:\ End\ of\ sequence
    """,
    re.VERBOSE,
)

#: Keras imports these if it can, for wrappers and galleries that no command uses. They take a third
#: of the time of importing TensorFlow and Keras.
_NOT_FOR_KERAS = ("matplotlib", "pandas", "sklearn")

#: How an unfinished line begins that may turn out to be noise; any other is forwarded at once.
_MAY_BE_NOISE = re.compile(rb"[IWE]\d{0,4}( [\d:. ]|$)|[\d-]{10} |WARNING: All|To enable the")

#: How long to wait for the rest of such a line.
_WAIT_SECONDS = 0.2

_READ_BYTES = 1 << 16


def import_tensorflow() -> None:
    """Import TensorFlow and initialise its devices; show only warnings and errors.

    Only for commands: it redirects file descriptor 2 of the process, and hides from Keras the
    optional libraries in ``_NOT_FOR_KERAS``.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if _writes_to_descriptor_2(sys.stderr):
        _filter_descriptor_2()
    # A filter instead of a level, because absl resets the level whenever a flag is copied.
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).addFilter(_is_warning)
    with _hidden(_NOT_FOR_KERAS):
        import keras  # noqa: F401
        import tensorflow as tf

    tf.config.list_physical_devices()


@contextlib.contextmanager
def _hidden(names: tuple[str, ...]) -> Iterator[None]:
    """Make libraries that are not imported yet seem not to be installed."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # importing it is an ImportError
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _is_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def _writes_to_descriptor_2(stream: object) -> bool:
    """False if the stream was replaced, as by pytest or a notebook, or already redirected."""
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == 2
    except (OSError, ValueError):
        return False


def _filter_descriptor_2() -> None:
    """Move ``sys.stderr`` to a copy of descriptor 2, and put the filter behind descriptor 2."""
    sys.stderr.flush()
    terminal = os.dup(2)
    incoming, outgoing = os.pipe()
    child = os.fork()
    if child == 0:
        # The command neither waits for a grandchild nor counts its processor time.
        if os.fork() == 0:
            _run_filter(incoming, terminal)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(incoming)
    os.dup2(outgoing, 2)
    os.close(outgoing)
    sys.stderr = TerminalOutput(terminal, sys.stderr.encoding)


def _run_filter(incoming: int, terminal: int) -> None:
    """The filter process; it ends when all writers of the pipe have ended."""
    try:
        os.setsid()  # so that Ctrl-C ends the command but not the filter
        # Close all other descriptors: a copy of a pipe or lock would keep it in use.
        first, second = sorted((incoming, terminal))
        os.closerange(0, first)
        os.closerange(first + 1, second)
        os.closerange(second + 1, os.sysconf("SC_OPEN_MAX"))
        copy_without_noise(incoming, terminal)
    finally:
        os._exit(0)


def copy_without_noise(incoming: int, outgoing: int) -> None:
    """Copy one file descriptor to another until its end, without the lines in ``_NOISE``.

    An unfinished line is copied at once, or after ``_WAIT_SECONDS`` if it may be noise.
    """
    pending = b""
    line_begun = False  # whether the start of the current line has been copied already
    while True:
        if pending and not select.select([incoming], [], [], _WAIT_SECONDS)[0]:
            _write_all(outgoing, pending)
            pending, line_begun = b"", True
        read = os.read(incoming, _READ_BYTES)
        *lines, pending = (pending + read).split(b"\n")
        for line in lines:
            if line_begun or not _NOISE.search(line):
                _write_all(outgoing, line + b"\n")
            line_begun = False
        if pending and (not read or line_begun or not _MAY_BE_NOISE.match(pending)):
            _write_all(outgoing, pending)
            pending, line_begun = b"", True
        if not read:
            return


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]

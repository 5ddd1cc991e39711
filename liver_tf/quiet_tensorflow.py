"""Import TensorFlow for a command, without TensorFlow's own log lines on the terminal.

TensorFlow's C++ libraries write their notes straight to file descriptor 2, and
``TF_CPP_MIN_LOG_LEVEL`` does not stop all of them. They pass through a small process that drops
known lines and passes everything else on at once. It outlives the command, so that the last lines
before a crash arrive too. Python's own ``sys.stderr`` (tracebacks, progress bars) bypasses it.
"""

from __future__ import annotations

import io
import logging
import os
import re
import select
import sys

#: Lines that TensorFlow, XLA and oneDNN write although nothing is wrong.
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

#: An unfinished line that begins like this may yet become noise; any other is handed on at once.
_MAY_BE_NOISE = re.compile(rb"[IWE]\d{0,4}( [\d:. ]|$)|[\d-]{10} |WARNING: All|To enable the")

#: Seconds that the rest of such a line is waited for.
_PATIENCE = 0.2

_READ_BYTES = 1 << 16


def import_tensorflow() -> None:
    """Import TensorFlow and initialise its devices; only warnings and errors reach the terminal.

    For commands: it redirects file descriptor 2 of the process.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if _writes_to_descriptor_2(sys.stderr):
        _filter_descriptor_2()
    # A filter rather than a level: absl resets the level whenever a flag is copied.
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).addFilter(_is_warning)
    import tensorflow as tf

    tf.config.list_physical_devices()


def _is_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def _writes_to_descriptor_2(stream: object) -> bool:
    """False if the stream was replaced, as by pytest or a notebook, or is already moved."""
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
        # The grandchild is nobody's child: the command neither waits for it nor counts its time.
        if os.fork() == 0:
            _run_filter(incoming, terminal)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(incoming)
    os.dup2(outgoing, 2)
    os.close(outgoing)
    sys.stderr = open(  # noqa: SIM115 - lives as long as the process
        terminal, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace"
    )


def _run_filter(incoming: int, terminal: int) -> None:
    """The filter process: ends when every writer of the pipe is gone."""
    try:
        # A session of its own: Ctrl-C ends the command, and its last lines still arrive.
        os.setsid()
        _keep_open_only(incoming, terminal)
        copy_without_noise(incoming, terminal)
    finally:
        os._exit(0)


def _keep_open_only(*kept: int) -> None:
    """Close all other descriptors: a copy of a pipe or lock would keep it in use."""
    first = 0
    for descriptor in sorted(kept):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def copy_without_noise(incoming: int, outgoing: int) -> None:
    """Copy one file descriptor to another until its end, without the lines in ``_NOISE``.

    Complete lines are copied whole. An unfinished line is copied at once, unless it may still turn
    out to be noise; then the rest is waited for briefly.
    """
    pending = b""
    line_begun = False  # whether the start of the current line has been copied already
    while True:
        if pending and not select.select([incoming], [], [], _PATIENCE)[0]:
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

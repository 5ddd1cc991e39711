"""A process that executes several runs of a study, one after the other.

Runs with the same ``StudyJob.process`` share TensorFlow, the network, the slices in memory and the
compiled steps; the results are those of separate processes, bit for bit. Each run has its own log
and its own lock, as in a separate process. After a failure the process ends.
"""

import faulthandler
import json
import os
import socket
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

from liver_tf.command_line.run_command import execute
from liver_tf.options import OptionError
from liver_tf.studies.finetune_and_evaluate import (
    LesionRunSettings,
    finetune_and_evaluate_lesions,
)
from liver_tf.terminal_output import TerminalOutput

_MESSAGE_BYTES = 1 << 20


class SharedProcess:
    """The process, as seen by the study. It ends when the study does, after the run in progress."""

    def __init__(self) -> None:
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(other.fileno())],
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(other.fileno(),),
            )

    def run(self, arguments: tuple[str, ...], folder: Path, log: int, lock: int) -> int:
        """Execute a run and return its status as ``subprocess`` does.

        Args:
          arguments: of ``trainers.cell``.
          folder: the working folder.
          log: file descriptor for its output.
          lock: descriptor of its lock, which the process holds until the run ends.
        """
        message = json.dumps({"arguments": arguments, "folder": str(folder)}).encode()
        try:
            socket.send_fds(self._socket, [message], [log, lock])
            answer = self._socket.recv(_MESSAGE_BYTES)
        except ConnectionError:
            answer = b""
        if answer == b"0":
            return 0
        self.close()
        return self._process.returncode or 1

    def close(self) -> None:
        """End the process."""
        self._socket.close()
        self._process.wait()


def main(descriptor: int) -> int:
    """Execute runs until the study ends or one of them fails; returns the status of the last."""
    shared: dict[str, Any] = {}
    # These write to the log of the run in progress. Errors bypass descriptor 2, which no filter may
    # tie to the first log.
    outputs = 1, 2, os.dup(2)
    sys.stdout, sys.stderr = (TerminalOutput(number, "utf-8") for number in (1, outputs[2]))
    faulthandler.enable()
    with socket.socket(fileno=descriptor) as study:
        while True:
            message, descriptors, _, _ = socket.recv_fds(study, _MESSAGE_BYTES, 2)
            if not message:
                return 0
            log, lock = descriptors
            for number in outputs:
                os.dup2(log, number)
            os.close(log)
            status = _execute(json.loads(message), shared)
            sys.stdout.flush()
            os.close(lock)
            if status:
                return status
            try:
                study.send(b"0")
            except ConnectionError:  # the study was killed
                return 0


def _execute(message: dict[str, Any], shared: dict[str, Any]) -> int:
    def cell(settings: LesionRunSettings) -> int:
        finetune_and_evaluate_lesions(settings, shared=shared)
        return 0

    try:
        os.chdir(message["folder"])
        return execute(cell, message["arguments"])
    except OptionError as error:
        print(error.as_flag(), file=sys.stderr)
    except KeyboardInterrupt:
        print("\ninterrupted; finished results are kept", file=sys.stderr)
        return 130
    except Exception:
        traceback.print_exc()
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main(int(sys.argv[1])))
    except KeyboardInterrupt:  # while it waits
        sys.exit(130)

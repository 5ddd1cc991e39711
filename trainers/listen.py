"""Run a DICOM node: predict the CT series that an archive sends, and send SEG, SR and an overview.

Runs until it is stopped (SIGTERM, Ctrl-C), which waits for the series that is being predicted.
Killed at any moment and started again, it resumes with the series in its spool. Requires the extra
pacs.
"""

import signal
import threading

from liver_tf.command_line.run_command import run
from liver_tf.node.node_settings import ListenSettings


def main(settings: ListenSettings) -> int:
    from liver_tf.node.service import listen, log_to_standard_error

    log_to_standard_error()
    stop = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    listen(settings, stop)
    return 0


if __name__ == "__main__":
    run(main, at_once=True)

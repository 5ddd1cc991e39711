"""Import TensorFlow without its notes on its own build.

They are written by its libraries while they load, straight to the standard error's descriptor,
and no environment variable stops them. Whatever is not one of them is passed on.
"""

from __future__ import annotations

import os
import sys
import tempfile

_NOTES = (
    "before absl::InitializeLog() is called",
    "oneDNN custom operations are on",
    "Could not find cuda drivers",
    "failed call to cuInit",
    "optimized to use available CPU instructions",
    "To enable the following instructions",
)


def import_tensorflow() -> None:
    """Import TensorFlow and make its device known, keeping other messages on standard error."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        finally:
            os.dup2(original, 2)
            os.close(original)
            caught.seek(0)
            for line in caught.read().decode(errors="replace").splitlines():
                if not any(note in line for note in _NOTES):
                    print(line, file=sys.stderr)

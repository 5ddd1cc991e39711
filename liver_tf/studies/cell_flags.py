"""The flag files of a study are read with a cell's real flags before any cell starts.

In a process of its own: a study's flags bear the names of a cell's, and reading cycles loads
TensorFlow, which a study that waits for its cells has no need to hold.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

from absl import app, flags

from trainers import flag_groups

FLAGS = flags.FLAGS

#: Status of the process where a file is at fault; any other but 0 is an error of the program.
_FAULT = 3

#: A file's name, and all the flags that hold together with it.
Lines = tuple[str, Sequence[str]]


def refuse_unreadable(settings: Sequence[Lines], protocols: Sequence[Lines]) -> None:
    """Refuse files that the cells of a study could not read; the first at fault is named.

    Args:
      settings: by themselves. protocols: with the settings, as a cell is given them.

    Raises ``UsageError``.
    """
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {__name__} as own; sys.exit(own.look())"],
        input=json.dumps({"settings": settings, "protocols": protocols}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == _FAULT:
        raise app.UsageError(done.stdout.strip())
    if done.returncode:
        raise RuntimeError(f"the flag files could not be looked at:\n{done.stderr}")


def look() -> int:
    """The process: files on its standard input, what is wrong on its output; its status."""
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    told = _fault(**json.load(sys.stdin))
    if told is not None:
        print(told)
    return 0 if told is None else _FAULT


def _fault(settings: Sequence[Lines], protocols: Sequence[Lines]) -> str | None:
    from trainers import finetune

    # What a cell's commands have beside these stands in no file of a study.
    finetune._define_flags()
    for file, lines in settings:
        if told := _told(lines, whole=False):
            return f"{file}: {told}"
    for file, lines in protocols:
        if told := _told(lines, whole=True):
            return f"{file}: {told}"
    return None


def _told(lines: Sequence[str], *, whole: bool) -> str | None:
    """What is wrong with some flags."""
    from data_prep import augmentation_flags
    from liver_tf.labels import LESION_TYPES
    from trainers import finetune

    for name in FLAGS:
        FLAGS[name].unparse()
    try:
        flag_groups.no_positional(FLAGS(["cell", *lines]))
        flag_groups.check_finite()
        flag_groups.cycle_defaults()
        if whole:
            finetune.protocol_of_flags()
            # Asks for no devices, as a plan alone does.
            FLAGS.dry_run = True
            flag_groups.computation()
            augmentation_flags.ranges(LESION_TYPES)
    except (flags.Error, app.UsageError) as error:
        return str(error)
    return None

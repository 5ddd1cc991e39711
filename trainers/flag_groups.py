"""Flags that several commands share, in groups; and plain objects made from them.

Only mains read flags. What is made here holds no flag any more.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

from absl import app, flags

FLAGS = flags.FLAGS


def check_finite() -> None:
    """Refuse NaN and infinity in any flag: absl's own bounds let them through."""
    for name in FLAGS:
        value = FLAGS[name].value
        if isinstance(value, float) and not math.isfinite(value):
            raise app.UsageError(f"--{name}: expected a finite number, got {value}")


def no_positional(argv: list[str]) -> None:
    """All arguments are flags; a stray word is a mistyped one."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument {argv[1]!r}: all arguments are flags, --name=value")


def whole_numbers(flag: str) -> list[int]:
    """The numbers of a list flag, each once; raises ``UsageError`` for anything else."""
    try:
        found = [int(value) for value in FLAGS[flag].value]
    except ValueError:
        found = []
    if not found or min(found) < 0:
        raise app.UsageError(f"--{flag}: expected whole numbers like 0,1,2")
    return list(dict.fromkeys(found))


def run(
    main: Callable[[list[str]], int], define: Callable[[], None], *, tensorflow: bool = True
) -> None:
    """Define flags, parse them, run ``main``; a refusal becomes one line and exit status 1.

    ``tensorflow``: whether the command computes with it.
    """

    def guarded(argv: list[str]) -> int:
        no_positional(argv)
        check_finite()
        from liver_tf.disk_full import disk_full_as_refusal
        from liver_tf.options import OptionError
        from liver_tf.quiet_tensorflow import import_tensorflow
        from liver_tf.refusals import Refusal, TrainingStopped

        if tensorflow:
            import_tensorflow()
        try:
            with disk_full_as_refusal():
                return main(argv)
        except Refusal as refusal:
            print(refusal.text_with_path(), file=sys.stderr)
        except TrainingStopped as stopped:
            print(f"training stopped: {stopped}", file=sys.stderr)
        except OptionError as error:
            raise app.UsageError(error.as_flag()) from None
        return 1

    define()
    # So that --help shows the flags of these groups as the command's own; absl names the main
    # module after the program.
    for flag in FLAGS.get_key_flags_for_module(__name__):
        FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    app.run(guarded)

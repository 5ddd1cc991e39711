"""Command lines that a command suggests, in the form in which the user started it."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from liver_tf.command_line.commands import module_of

#: Set for the commands of a chain, whose next step is the chain's.
IN_CHAIN = "LIVER_TF_IN_CHAIN"


def command_line(name: str, **flags: Any) -> str:
    """``liver-tf NAME --flag=value`` or ``python -m MODULE --flag=value``, quoted for a shell.

    A list repeats its flag, True is a switch; None and False leave the flag out.
    """
    by_script = Path(sys.orig_argv[1]).name == "liver-tf" if len(sys.orig_argv) > 1 else False
    words = ["liver-tf", name] if by_script else ["python", "-m", module_of(name)]
    for flag, value in flags.items():
        for each in value if isinstance(value, tuple | list) else (value,):
            if each is True:
                words.append(f"--{flag}")
            elif each not in (None, False):
                words.append(f"--{flag}={each}")
    return shlex.join(words)


def suggest(name: str, note: str = "", /, **flags: Any) -> None:
    """Print the next command on standard error, so that output in a pipe or a file lacks it."""
    show_next(command_line(name, **flags) + (f" ({note})" if note else ""))


def suggest_real_run(missing: Sequence[str], also: Sequence[str] = ()) -> None:
    """Print what follows a dry run: its inputs, if some do not exist yet, and the run itself.

    Args:
      missing: Flags of inputs that do not exist.
      also: Further flags that are for a dry run only.
    """
    first = f"make the missing inputs ({', '.join(missing)}), then " if missing else ""
    flags = " and ".join(f"--{name}" for name in ("dry_run", *also))
    show_next(f"{first}the same command without {flags}")


def show_next(step: str) -> None:
    """Print what to do next, unless another program runs this command as one of its steps."""
    if IN_CHAIN not in os.environ:
        sys.stdout.flush()
        print(f"Next: {step}", file=sys.stderr)

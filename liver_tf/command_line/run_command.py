"""Run a command: parse its flags, call its ``main``, turn errors into messages and a status."""

import faulthandler
import io
import os
import select
import sys
import typing
from collections.abc import Callable, Sequence
from pathlib import Path

from liver_tf.command_line.flags_of_options import help_text, parse, wants_help
from liver_tf.options import OptionError, Options

#: A command's ``main``: takes the configuration, returns the exit status.
Main = Callable[..., int]


def run(main: Main, *, tensorflow: bool = True) -> typing.NoReturn:
    """Run a command with the arguments of this process, then exit.

    The type hint of the parameter of ``main`` is the class of the configuration. ``tensorflow``:
    whether the command uses TensorFlow.
    """
    faulthandler.enable()
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files may not be UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    arguments = sys.argv[1:]
    file = Path(main.__code__.co_filename)
    name, module = file.stem, f"{file.parent.name}.{file.stem}"
    if wants_help(arguments):
        print(f"liver-tf {name} [flags], or python -m {module} [flags]\n")
        print(main.__globals__["__doc__"].strip())
        print(help_text(settings_class(main), name))
        sys.exit(1)  # as absl does
    try:
        status = execute(main, arguments, tensorflow=tensorflow)
        sys.stdout.flush()
    except OptionError as error:
        print(f"{error.as_flag()}\nSee liver-tf {name} --help.", file=sys.stderr)
        status = 1
    except BrokenPipeError:
        if not _output_is_closed():
            raise
        status = 1
    sys.exit(status)


def _output_is_closed() -> bool:
    """Whether the reader of standard output has ended (``| head``); discards the rest if so."""
    output = sys.stdout.fileno()
    poll = select.poll()
    poll.register(output, 0)
    closed = any(event & select.POLLERR for _, event in poll.poll(0))
    if closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return closed


def execute(main: Main, arguments: Sequence[str], *, tensorflow: bool = True) -> int:
    """Call ``main`` with the configuration given by the arguments; returns the exit status.

    A refusal becomes one line on standard error and status 1; raises ``OptionError`` as ``parse``.
    """
    settings = parse(settings_class(main), arguments)
    from liver_tf.disk_full import disk_full_as_refusal
    from liver_tf.refusals import Refusal, TrainingStopped

    if tensorflow:
        from liver_tf.quiet_tensorflow import import_tensorflow

        import_tensorflow()
    try:
        with disk_full_as_refusal():
            return main(settings)
    except Refusal as refusal:
        print(refusal.text_with_path(), file=sys.stderr)
    except TrainingStopped as stopped:
        print(f"training stopped: {stopped}", file=sys.stderr)
    return 1


def settings_class(main: Main) -> type[Options]:
    """The configuration dataclass that a command's ``main`` takes."""
    (hint,) = (hint for name, hint in typing.get_type_hints(main).items() if name != "return")
    return hint

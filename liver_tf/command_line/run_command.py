"""Run a command: parse its flags, call its ``main``, turn errors into messages and a status."""

import faulthandler
import os
import sys
import typing
from collections.abc import Callable, Sequence
from pathlib import Path

from liver_tf.command_line.flags_of_options import help_text, parse, wants_help
from liver_tf.command_line.invocation import command_line
from liver_tf.options import OptionError, Options
from liver_tf.terminal_output import guard_standard_streams, output_error

#: A command's ``main``: takes the configuration, returns the exit status.
Main = Callable[..., int]


def run(main: Main, *, tensorflow: bool = True, at_once: bool = False) -> typing.NoReturn:
    """Run a command with the arguments of this process, then exit.

    The type hint of the parameter of ``main`` is the class of the configuration. ``tensorflow``:
    whether the command uses TensorFlow. ``at_once``: whether the process ends without the
    destructors of libraries; those of TensorFlow take seconds, and functions of ``atexit`` do not
    run.
    """
    faulthandler.enable()
    os.umask(os.umask(0o022) | 0o022)  # no file is writable for group or others
    guard_standard_streams()
    arguments = sys.argv[1:]
    file = Path(main.__code__.co_filename)
    name, module = file.stem, f"{file.parent.name}.{file.stem}"
    if wants_help(arguments):
        print(f"liver-tf {name} [flags], or python -m {module} [flags]\n")
        print(main.__globals__["__doc__"].strip())
        print(help_text(settings_class(main), name))
        sys.exit(0)
    try:
        status = execute(main, arguments, tensorflow=tensorflow)
    except OptionError as error:
        print(f"{error.as_flag()}\nSee {command_line(name)} --help.", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        print("\ninterrupted; finished results are kept", file=sys.stderr)
        status = 130
    problem = output_error()
    if problem:
        print(f"standard output: {problem}", file=sys.stderr)
        status = status or 1
    if at_once:
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def execute(main: Main, arguments: Sequence[str], *, tensorflow: bool = True) -> int:
    """Call ``main`` with the configuration given by the arguments; returns the exit status.

    A refusal becomes one line on standard error, with the flag whose value was refused, and status
    1; raises ``OptionError`` as ``parse``.
    """
    settings = parse(settings_class(main), arguments)
    settings.check_complete()
    from liver_tf.disk_full import file_errors_as_refusals
    from liver_tf.refusals import Refusal, TrainingStopped

    if tensorflow:
        from liver_tf.quiet_tensorflow import import_tensorflow

        import_tensorflow()
    try:
        with file_errors_as_refusals():
            return main(settings)
    except Refusal as refusal:
        flag = settings.flag_of(refusal.path) if refusal.path else None
        print((f"--{flag}=" if flag else "") + refusal.text_with_path(), file=sys.stderr)
    except TrainingStopped as stopped:
        print(f"training stopped: {stopped}", file=sys.stderr)
    return 1


def settings_class(main: Main) -> type[Options]:
    """The configuration dataclass that a command's ``main`` takes."""
    (hint,) = (hint for name, hint in typing.get_type_hints(main).items() if name != "return")
    return hint

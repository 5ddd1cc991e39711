"""Flags generated from configuration dataclasses, without absl's global state."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from absl import flags

from liver_tf.command_line.flag_files import expand_flag_files, file_that_sets
from liver_tf.options import Option, OptionError, Options, check_each, options_of

_Settings = TypeVar("_Settings", bound=Options)

#: How messages of absl begin. After ``flag --`` come the flag's name, value and problem.
_BAD_VALUE, _NO_VALUE = "flag --", "Missing value for flag "
_EXPECTED = {bool: "true or false", int: "a whole number", float: "a number"}

_HELP = {"--help", "-help", "-h", "--helpshort", "-helpshort", "--helpfull", "-helpfull"}


def parse(cls: type[_Settings], arguments: Sequence[str]) -> _Settings:
    """The configuration given by command-line arguments, flag files included.

    Raises:
      OptionError: A flag is unknown, missing although required, or has an invalid value. The
        message names the flag file if the value comes from one.
    """
    arguments = list(map(str, arguments))
    try:
        settings = cls.of(**parse_values(cls, arguments))
    except OptionError as error:
        known = error.option not in (None, "flagfile")
        file = file_that_sets(error.option, arguments) if known else ""
        if not file:
            raise
        problem = str(error).removeprefix(f"{error.option}: ")
        raise OptionError(error.option, f"{problem} (set in {file})") from None
    direct = {argument.lstrip("-").partition("=")[0] for argument in arguments}
    names = (option.name for option in options_of(cls))
    return settings.with_given(name for name in names if {name, f"no{name}"} & direct)


def check_flags(cls: type[Options], arguments: Sequence[str]) -> None:
    """Check flags one by one, without required flags and rules for combinations.

    Raises:
      OptionError: As ``parse``.
    """
    check_each(cls, parse_values(cls, arguments))


def load_settings(cls: type[_Settings], *flag_files: str | Path, **options: Any) -> _Settings:
    """Load a configuration from flag files; later files and ``options`` override earlier ones.

    Args:
      cls: Class of the configuration, e.g. ``FinetuneSettings``.
      *flag_files: Paths, or names of shipped files such as ``hier_freeze.flags``.
      **options: Options by the names of their flags.

    Raises:
      OptionError: As ``parse``.

    Examples:
      >>> load_settings(FinetuneSettings, "hier_freeze.flags", records="tfrecords/sheba_roi")
    """
    arguments = [f"--flagfile={name}" for name in flag_files]
    return cls.of(**{**parse_values(cls, arguments), **options}).with_given(options)


def parse_values(cls: type[Options], arguments: Sequence[str]) -> dict[str, Any]:
    """The flags given in ``arguments``, by name, converted to the types of their options."""
    values = _flag_values(cls)
    expanded = expand_flag_files(list(map(str, arguments)))
    try:
        rest = values(["", *expanded])[1:]
    except (flags.Error, ValueError) as error:
        raise _option_error(cls, error) from None
    names = [option.name for option in options_of(cls)]
    if rest:
        form = f"--input={rest[0]}" if "input" in names else "--name=value"
        raise OptionError(None, f"unknown argument {rest[0]!r}: all arguments are flags, {form}")
    return {name: values[name].value for name in names if values[name].present}


def _option_error(cls: type[Options], error: Exception) -> OptionError:
    """An error of absl, worded like other errors of options."""
    text = str(error)
    if isinstance(error, flags.UnrecognizedFlagError):
        near = re.search("Did you mean: (.*) \\?", text)
        hint = f"; did you mean --{near[1].replace(', ', ' or --')}?" if near else ""
        return OptionError(None, f"--{error.flagname}: there is no such flag{hint}")
    if text.startswith(_NO_VALUE):
        name = text.removeprefix(_NO_VALUE).lstrip("-")
        return OptionError(name, f"expected a value: --{name}=VALUE")
    if not text.startswith(_BAD_VALUE):  # --noNAME=value
        return OptionError(None, text)
    name, _, rest = text.removeprefix(_BAD_VALUE).partition("=")
    problem = str(error.__context__)
    value = rest.removesuffix(f": {problem}")
    found = next((option for option in options_of(cls) if option.name == name), None)
    if found and found.spec.choices:
        choices = ", ".join(found.spec.choices)
        problem = f"expected one of {choices}; found {value!r}"
    elif found and found.kind in _EXPECTED:
        problem = f"expected {_EXPECTED[found.kind]}, found {value!r}"
    return OptionError(name, problem)


def wants_help(arguments: Sequence[str]) -> bool:
    """Whether the arguments ask for help."""
    return any(argument in _HELP for argument in arguments)


def help_text(cls: type[Options], command: str) -> str:
    """All flags of a command with their defaults."""
    return _flag_values(cls, command).get_help(include_special_flags=True)


def _flag_values(cls: type[Options], heading: str = "") -> flags.FlagValues:
    values = flags.FlagValues()
    for option in options_of(cls):
        _define(option, values, heading or cls.__name__)
    return values


_DEFINE_ONE = {
    bool: flags.DEFINE_boolean,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
    Path: flags.DEFINE_string,
}


def _define(option: Option, values: flags.FlagValues, module: str) -> None:
    default = None if option.required else option.default
    if option.many and default is not None:
        default = [str(value) for value in default]
    elif isinstance(default, Path):
        default = str(default)
    text = f"{option.spec.help} ({option.bounds})" if option.bounds else option.spec.help
    if option.required:
        text += " Required."
    if option.spec.repeated:
        text = text.removesuffix(".")  # absl appends "; repeat this option ..."
    where = {"flag_values": values, "module_name": module}
    if option.spec.choices and (option.spec.repeated or not option.many):
        define = flags.DEFINE_multi_enum if option.many else flags.DEFINE_enum
        define(option.name, default, list(option.spec.choices), text, **where)
        return
    define = _DEFINE_ONE[option.kind]
    if option.many:
        define = flags.DEFINE_multi_string if option.spec.repeated else flags.DEFINE_list
    define(option.name, default, text, **where)

"""Flags generated from configuration dataclasses, in a set of their own: no global state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from absl import flags

from liver_tf.command_line.flag_files import expand_flag_files
from liver_tf.options import Option, OptionError, Options, check_each, options_of

_Settings = TypeVar("_Settings", bound=Options)

_HELP = {"--help", "-help", "-h", "--helpshort", "-helpshort", "--helpfull", "-helpfull"}


def parse(cls: type[_Settings], arguments: Sequence[str]) -> _Settings:
    """The configuration that command-line arguments describe, flag files included.

    Raises:
      OptionError: A flag is unknown, required and missing, or has a value that it cannot take.
    """
    return cls.of(**parse_values(cls, arguments))


def check_flags(cls: type[Options], arguments: Sequence[str]) -> None:
    """Check each flag by itself: a file with some of a command's flags need not be complete.

    Raises:
      OptionError: As ``parse``.
    """
    check_each(cls, parse_values(cls, arguments))


def load_settings(cls: type[_Settings], *flag_files: str | Path, **options: Any) -> _Settings:
    """A configuration from flag files, later ones first, and options that override them.

    Args:
      cls: The class of the configuration, e.g. ``FinetuneSettings``.
      *flag_files: Files; shipped ones such as ``hier_freeze.flags`` are found by name.
      **options: Options by the names of their flags.

    Raises:
      OptionError: As ``parse``.

    Examples:
      >>> load_settings(FinetuneSettings, "hier_freeze.flags", records="tfrecords/sheba_roi")
    """
    arguments = [f"--flagfile={name}" for name in flag_files]
    return cls.of(**{**parse_values(cls, arguments), **options})


def parse_values(cls: type[Options], arguments: Sequence[str]) -> dict[str, Any]:
    """The flags that are given, by name, converted to the types of their options."""
    values = flag_values(cls)
    try:
        rest = values(["", *expand_flag_files(list(map(str, arguments)))])[1:]
    except flags.Error as error:
        raise OptionError(None, str(error)) from None
    if rest:
        raise OptionError(
            None, f"unknown argument {rest[0]!r}: all arguments are flags, --name=value"
        )
    return {one.name: values[one.name].value for one in options_of(cls) if values[one.name].present}


def wants_help(arguments: Sequence[str]) -> bool:
    """Whether the arguments ask for help."""
    return any(argument in _HELP for argument in arguments)


def help_text(cls: type[Options], command: str) -> str:
    """All flags of a command with their defaults."""
    return flag_values(cls, command).get_help(include_special_flags=True)


def flag_values(cls: type[Options], command: str = "") -> flags.FlagValues:
    """The flags of a configuration dataclass. ``command`` is the heading of its help."""
    values = flags.FlagValues()
    for one in options_of(cls):
        _define(one, values, command or cls.__name__)
    return values


def help_of(one: Option) -> str:
    """The help text of an option, with its bounds and whether it is required."""
    text = f"{one.spec.help} ({one.bounds})" if one.bounds else one.spec.help
    return f"{text} Required." if one.required else text


def _define(one: Option, values: flags.FlagValues, module: str) -> None:
    default = None if one.required else one.default
    if one.many and default is not None:
        default = [str(value) for value in default]
    elif isinstance(default, Path):
        default = str(default)
    where = {"flag_values": values, "module_name": module}
    arguments = (one.name, default, help_of(one))
    if one.many and not one.spec.repeated:
        flags.DEFINE_list(*arguments, **where)
    elif one.spec.choices:
        define = flags.DEFINE_multi_enum if one.many else flags.DEFINE_enum
        define(one.name, default, list(one.spec.choices), help_of(one), **where)
    elif one.many:
        flags.DEFINE_multi_string(*arguments, **where)
    elif one.kind is bool:
        flags.DEFINE_boolean(*arguments, **where)
    elif one.kind is int:
        flags.DEFINE_integer(*arguments, **where)
    elif one.kind is float:
        flags.DEFINE_float(*arguments, **where)
    else:
        flags.DEFINE_string(*arguments, **where)

"""Options of configuration dataclasses: the default, bounds, choices and help text of each field.

The fields are the one source of configuration. ``liver_tf.command_line`` generates flags and the
documentation's tables from them; Python callers set the same options by the same names.

    @dataclass(frozen=True)
    class Schedule(Options):
        epochs: int = option(80, "Maximum number of epochs.", low=1)
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass
from pathlib import Path
from typing import Any, Self

_OPTION, _PART = "option", "part"


class OptionError(ValueError):
    """An option has a value that it cannot take.

    Attributes:
      option: the option's name, which is its flag's name; None if several options disagree.
    """

    def __init__(self, option: str | None, problem: str) -> None:
        self.option = option
        super().__init__(problem if option is None else f"{option}: {problem}")

    def as_flag(self) -> str:
        """The message for someone who set the option by its flag."""
        return str(self) if self.option is None else f"--{self}"


@dataclass(frozen=True)
class OptionSpec:
    """What an option is, beside its name, type and default.

    Attributes:
      help: What the option does, for ``--help`` and the documentation.
      flag: The option's name where it differs from the field's.
      low, high: Smallest and largest value allowed.
      above, below: Values that the option must stay strictly above or below.
      choices: The values of a string; any if empty.
      repeated: A tuple is given by repeating the flag, not as a list with commas.
      empty_is_none: An empty string means None.
      shown_default: The default in words, for the documentation, if it depends on the machine.
    """

    help: str
    flag: str | None = None
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    choices: Sequence[str] = ()
    repeated: bool = False
    empty_is_none: bool = False
    shown_default: str = ""


def option(default: Any, help: str, **spec: Any) -> Any:
    """A dataclass field that is also a flag.

    Args:
      default: ``REQUIRED`` if the option must be given.
      help: What the option does.
      **spec: Other attributes of ``OptionSpec``.
    """
    return dataclasses.field(default=default, metadata={_OPTION: OptionSpec(help, **spec)})


#: The default of an option that must be given.
REQUIRED = MISSING


def part(cls: type, **defaults: Any) -> Any:
    """A dataclass field that holds the options of another configuration dataclass.

    Args:
      cls: Its class.
      **defaults: Values of its fields that differ from the defaults of ``cls``.
    """
    factory = functools.partial(cls, **defaults)
    return dataclasses.field(default_factory=factory, metadata={_PART: (cls, defaults)})


@dataclass(frozen=True)
class Option:
    """One option of a configuration dataclass, as flags and tables need it.

    Attributes:
      name: Of the flag.
      kind: ``bool``, ``int``, ``float``, ``str`` or ``Path``; of each element if ``many``.
      default: ``REQUIRED`` if the option must be given.
    """

    name: str
    kind: type
    many: bool
    optional: bool
    default: Any
    spec: OptionSpec

    @property
    def required(self) -> bool:
        return self.default is MISSING

    @property
    def bounds(self) -> str:
        """The bounds in words, e.g. ``at least 1``; empty if there are none."""
        spec = self.spec
        if spec.low is not None and spec.high is not None:
            return f"{_shown(spec.low)} to {_shown(spec.high)}"
        texts = (
            ("above", spec.above),
            ("at least", spec.low),
            ("below", spec.below),
            ("at most", spec.high),
        )
        return " and ".join(f"{word} {_shown(value)}" for word, value in texts if value is not None)

    def checked(self, value: Any) -> Any:
        """The value, with paths and tuples converted; raises ``OptionError``."""
        if self.spec.empty_is_none and value in ("", []):
            value = None
        if value is None:
            if not self.optional:
                raise OptionError(self.name, "expected a value, found None")
            return None
        if not self.many:
            return self._checked_one(value)
        if isinstance(value, str | Path) or not isinstance(value, Sequence):
            raise OptionError(self.name, f"expected a list, found {value!r}")
        return tuple(self._checked_one(one) for one in value)

    def _checked_one(self, value: Any) -> Any:
        if self.kind is Path:
            if not isinstance(value, str | Path):
                raise OptionError(self.name, f"expected a path, found {value!r}")
            if value == "":
                raise OptionError(self.name, "the path is empty; is a shell variable unset?")
            return Path(value)
        if self.kind is str:
            if not isinstance(value, str):
                raise OptionError(self.name, f"expected text, found {value!r}")
            if self.spec.choices and value not in self.spec.choices:
                choices = ", ".join(self.spec.choices)
                raise OptionError(self.name, f"expected one of {choices}; found {value!r}")
            return value
        if self.kind is bool:
            if not isinstance(value, bool):
                raise OptionError(self.name, f"expected True or False, found {value!r}")
            return value
        return self._checked_number(value)

    def _checked_number(self, value: Any) -> Any:
        whole = self.kind is int
        if self.many and isinstance(value, str):  # of a list flag, which absl does not convert
            value = self.kind(value) if value.isdecimal() else value
        if isinstance(value, bool) or not hasattr(value, "__index__" if whole else "__float__"):
            expected = "a whole number" if whole else "a number"
            raise OptionError(self.name, f"expected {expected}, found {value!r}")
        if not math.isfinite(value):
            raise OptionError(self.name, f"expected a finite number, found {value}")
        spec = self.spec
        if (
            (spec.low is not None and value < spec.low)
            or (spec.high is not None and value > spec.high)
            or (spec.above is not None and value <= spec.above)
            or (spec.below is not None and value >= spec.below)
        ):
            raise OptionError(self.name, f"expected {self.bounds}, found {value}")
        return value


def _shown(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"


class Options:
    """Base of configuration dataclasses: checks every option, and converts paths and tuples.

    A subclass that checks more calls ``super().__post_init__()`` first.
    """

    def __post_init__(self) -> None:
        for field, found in _fields_of(type(self)):  # type: ignore[arg-type]
            if isinstance(found, Option):
                value = found.checked(getattr(self, field.name))
                object.__setattr__(self, field.name, value)

    @classmethod
    def of(cls, settings: Self | None = None, /, **values: Any) -> Self:
        """Make the configuration from options by name, whatever part they belong to.

        Args:
          settings: Where options that are not named come from; None takes the defaults.
          **values: Options by the names of their flags.

        Raises:
          OptionError: An option is missing, unknown, or has a value that it cannot take.
        """
        unknown = sorted(values.keys() - {one.name for one in options_of(cls)})
        if unknown:
            raise OptionError(unknown[0], f"{cls.__name__} has no such option")
        if settings is None:
            for one in options_of(cls):
                if one.required and one.name not in values:
                    raise OptionError(one.name, "must be given")
        return _built(cls, settings, {}, values)


def _built(cls: type, settings: Any, defaults: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    given = dict(defaults)
    if settings is not None:
        given = {field.name: getattr(settings, field.name) for field in dataclasses.fields(cls)}
    for field, found in _fields_of(cls):
        if not isinstance(found, Option):
            inner, inner_defaults = found
            given[field.name] = _built(inner, given.get(field.name), inner_defaults, values)
        elif found.name in values:
            given[field.name] = values[found.name]
    return cls(**given)


def options_of(cls: type) -> tuple[Option, ...]:
    """All options of a configuration dataclass and of its parts."""
    return tuple(_options(cls, {}))


def check_each(cls: type, values: Mapping[str, Any]) -> None:
    """Check options by themselves, without the rules that several must meet together.

    Raises:
      OptionError: As ``Options.of``.
    """
    by_name = {one.name: one for one in options_of(cls)}
    for name, value in values.items():
        by_name[name].checked(value)


def _options(cls: type, defaults: Mapping[str, Any]) -> Iterator[Option]:
    for field, found in _fields_of(cls):
        if not isinstance(found, Option):
            yield from _options(*found)
        elif field.name in defaults:
            yield dataclasses.replace(found, default=defaults[field.name])
        else:
            yield found


@functools.cache
def _fields_of(cls: type) -> tuple[tuple[Field, Any], ...]:
    """Fields with an ``Option`` each, or with the class and defaults of a part."""
    hints = typing.get_type_hints(cls)
    fields = []
    for field in dataclasses.fields(cls):
        if _PART in field.metadata:
            fields.append((field, field.metadata[_PART]))
        elif _OPTION in field.metadata:
            spec = field.metadata[_OPTION]
            kind, many, optional = _kind_of(hints[field.name])
            name = spec.flag or field.name
            fields.append((field, Option(name, kind, many, optional, field.default, spec)))
    return tuple(fields)


def _kind_of(hint: Any) -> tuple[type, bool, bool]:
    """The kind of a type hint, whether it is a tuple of these, and whether None is allowed."""
    optional = False
    if isinstance(hint, types.UnionType):
        (hint,) = (one for one in typing.get_args(hint) if one is not type(None))
        optional = True
    if typing.get_origin(hint) is tuple:
        return typing.get_args(hint)[0], True, optional
    return hint, False, optional

"""Options: configuration dataclasses whose fields carry default, bounds, choices and help text.

``liver_tf.command_line`` generates the flags and ``docs/commands.md`` from them.

    @dataclass(frozen=True)
    class Schedule(Options):
        epochs: int = option(80, "Maximum number of epochs.", low=1)
"""

import contextlib
import dataclasses
import functools
import math
import operator
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from liver_tf.bundled_networks import run_named

_OPTION, _PART = "option", "part"


class OptionError(ValueError):
    """An option has a value that it cannot take.

    Attributes:
      option: Name of the option and of its flag, or names separated by ", "; None if several
        options contradict each other.
    """

    def __init__(self, option: str | None, problem: str) -> None:
        self.option = option
        super().__init__(problem if option is None else f"{option}: {problem}")

    def as_flag(self) -> str:
        """The message in terms of flags, for the command line."""
        if self.option is None:
            return str(self)
        names = ", ".join(f"--{name}" for name in self.option.split(", "))
        return names + str(self).removeprefix(self.option)


@dataclass(frozen=True)
class OptionSpec:
    """Properties of an option, in addition to its name, type and default.

    Attributes:
      flag: Name of the option, if it differs from that of the field.
      low, high: Inclusive bounds.
      above, below: Exclusive bounds.
      choices: Allowed values of a string; any value if empty.
      repeated: A tuple is given by repeating the flag, not as a comma-separated list.
      empty_is_none: An empty string means None.
      shown_default: Text for the documentation if the default depends on the machine.
      bundled: For a run: the network of the package that the value ``bundled`` stands for.
      former: For an option added to a later version: the value that reproduces earlier versions.
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
    bundled: str = ""
    former: Any = None


def option(default: Any, help: str, **spec: Any) -> Any:
    """A dataclass field that is also a flag; ``spec`` are other attributes of ``OptionSpec``."""
    return dataclasses.field(default=default, metadata={_OPTION: OptionSpec(help, **spec)})


#: The default of an option that must be given.
REQUIRED = MISSING


def part(cls: type, **defaults: Any) -> Any:
    """A dataclass field with all options of ``cls``, some with other ``defaults``."""
    factory = functools.partial(cls, **defaults)
    return dataclasses.field(default_factory=factory, metadata={_PART: (cls, defaults)})


@dataclass(frozen=True)
class Option:
    """One option of a configuration dataclass.

    Attributes:
      name: Name of its flag.
      kind: ``bool``, ``int``, ``float``, ``str`` or ``Path``; of each element if ``many``.
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
        if self.spec.low is not None and self.spec.high is not None:
            return f"{_shown(self.spec.low)} to {_shown(self.spec.high)}"
        return " and ".join(f"{word} {_shown(bound)}" for word, bound, _ in self._bounds())

    def _bounds(self) -> list[tuple[str, float, Callable[[Any, Any], bool]]]:
        """Name and value of each bound, and what a value must fulfil."""
        spec = self.spec
        bounds = (
            ("above", spec.above, operator.gt),
            ("at least", spec.low, operator.ge),
            ("below", spec.below, operator.lt),
            ("at most", spec.high, operator.le),
        )
        return [(word, bound, fulfils) for word, bound, fulfils in bounds if bound is not None]

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
        if self.kind not in _NOT_NUMBERS:
            return self._checked_number(value)
        types, expected = _NOT_NUMBERS[self.kind]
        if not isinstance(value, types):
            raise OptionError(self.name, f"expected {expected}, found {value!r}")
        if self.kind is Path and value == "":
            raise OptionError(self.name, "the path is empty; is a shell variable unset?")
        if self.spec.choices and value not in self.spec.choices:
            choices = ", ".join(self.spec.choices)
            raise OptionError(self.name, f"expected one of {choices}; found {value!r}")
        value = self.kind(value)
        return run_named(value, self.spec.bundled) if self.spec.bundled else value

    def _checked_number(self, value: Any) -> Any:
        whole = self.kind is int
        # absl does not convert the elements of a list.
        if self.many and isinstance(value, str) and (not whole or value.isdecimal()):
            with contextlib.suppress(ValueError):
                value = self.kind(value)
        if isinstance(value, bool) or not hasattr(value, "__index__" if whole else "__float__"):
            expected = "a whole number" if whole else "a number"
            raise OptionError(self.name, f"expected {expected}, found {value!r}")
        if not math.isfinite(value):
            raise OptionError(self.name, f"expected a finite number, found {value}")
        if not all(fulfils(value, bound) for _, bound, fulfils in self._bounds()):
            raise OptionError(self.name, f"expected {self.bounds}, found {value}")
        return value


#: Accepted types of other options, and their name in messages.
_NOT_NUMBERS: dict[type, tuple[Any, str]] = {
    Path: (str | Path, "a path"),
    str: (str, "text"),
    bool: (bool, "True or False"),
}


def _shown(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"


class Options:
    """Base of configuration dataclasses: checks every option, and converts paths and tuples.

    A subclass that checks more calls ``super().__post_init__()`` first.

    Attributes:
      given: Names of the options that the caller set, not in a flag file; see ``of``.
    """

    given: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for field, found in _fields_of(type(self)):  # type: ignore[arg-type]
            if isinstance(found, Option):
                value = found.checked(getattr(self, field.name))
                object.__setattr__(self, field.name, value)

    def identity(self) -> dict[str, Any]:
        """The fields, for comparison with those that an earlier version stored.

        Options added later are left out if they have the value that reproduces earlier versions.
        """
        fields = dataclasses.asdict(self)  # type: ignore[call-overload]
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            former = field.metadata[_OPTION].former if _OPTION in field.metadata else None
            if former is not None and fields[field.name] == former:
                del fields[field.name]
        return fields

    def flag_of(self, path: Path) -> str | None:
        """The name of the option with this path as its value, or as one of its values."""
        for field, found in _fields_of(type(self)):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if not isinstance(found, Option):
                name = value.flag_of(path)
            else:
                is_path = found.kind is Path and path in (value if found.many else (value,))
                name = found.name if is_path else None
            if name is not None:
                return name
        return None

    def check_complete(self) -> None:
        """Check what can be checked before slow imports and files; raises ``OptionError``.

        For commands, right after parsing: what Python code may still add or never use.
        """

    @classmethod
    def of(cls, settings: Self | None = None, /, **values: Any) -> Self:
        """Make the configuration from options by name, those of its parts included.

        Args:
          settings: Values of all other options; None takes the defaults.
          **values: Options by the names of their flags.

        Raises:
          OptionError: An option is missing or unknown, or has an invalid value.
        """
        unknown = sorted(values.keys() - {one.name for one in options_of(cls)})
        if unknown:
            raise OptionError(unknown[0], f"{cls.__name__} has no such option")
        if settings is None:
            required = (one.name for one in options_of(cls) if one.required)
            missing = [name for name in required if name not in values]
            if missing:
                raise OptionError(", ".join(missing), "must be given")
        built = _built(cls, settings, {}, values)
        return built.with_given(settings.given if settings and not values else tuple(values))

    def with_given(self, names: Iterable[str]) -> Self:
        """The same configuration; these options are those that the caller set."""
        object.__setattr__(self, "given", tuple(names))
        return self


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
    """Check each value by itself, without the rules for combinations; raises ``OptionError``."""
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
    optional = isinstance(hint, types.UnionType)
    if optional:
        (hint,) = (kind for kind in typing.get_args(hint) if kind is not type(None))
    many = typing.get_origin(hint) is tuple
    return typing.get_args(hint)[0] if many else hint, many, optional


def missing_input(name: str, path: Path, *files: str) -> list[str]:
    """The flag with its value if the path, or one of the files in it, is missing; else empty."""
    exists = all((path / file).exists() for file in files or ("",))
    return [] if exists else [f"--{name}={path}"]

"""The commands: every module of ``data_prep/`` and ``trainers/``, by name."""

import ast
from dataclasses import dataclass
from pathlib import Path

#: The folders of commands and their titles. In a checkout and when installed they lie beside the
#: library.
FOLDERS = {"data_prep": "Data", "trainers": "Networks and studies"}
_BESIDE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Command:
    """``liver-tf NAME``, or ``python -m MODULE``; the description is the module's docstring."""

    name: str
    module: str
    description: str

    @property
    def summary(self) -> str:
        """The first line of the description."""
        return self.description.splitlines()[0]


def module_of(name: str) -> str:
    """The module of a command, such as ``trainers.predict``; raises ``LookupError``."""
    for folder in FOLDERS:
        if (_BESIDE / folder / f"{name}.py").is_file():
            return f"{folder}.{name}"
    raise LookupError(name)


def find_commands() -> dict[str, Command]:
    """All commands by name; imports none of them."""
    commands = {}
    for folder in FOLDERS:
        for path in sorted((_BESIDE / folder).glob("[!_]*.py")):
            description = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            if description is None:
                raise RuntimeError(f"{path} has no docstring")
            commands[path.stem] = Command(path.stem, f"{folder}.{path.stem}", description)
    return commands

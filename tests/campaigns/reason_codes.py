"""All reason codes of refusals, collected from the source.

A code is usually a literal in a call of ``Refusal``, or of a function that creates refusals. The
source is therefore parsed: a function that passes one of its parameters on as the code is such a
function, and its callers are searched in turn.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("liver_tf", "data_prep", "trainers")


def codes_in_source(root: Path = ROOT) -> dict[str, set[str]]:
    """Modules by reason code; raises ``ValueError`` for a code that is not a literal."""
    paths = [path for room in ROOMS for path in sorted((root / room).rglob("*.py"))]
    sources = {p.relative_to(root).as_posix(): p.read_text(encoding="utf-8") for p in paths}
    makers: Makers = {}
    for module, source in sources.items():
        makers |= codes_in(source, module)[1]
    modules_by_code: dict[str, set[str]] = {}
    for module, source in sources.items():
        for code in codes_in(source, module, makers)[0]:
            modules_by_code.setdefault(code, set()).add(module)
    return modules_by_code


#: Functions that create refusals: position and name of the parameter with the code.
Makers = dict[str, tuple[int, str]]


def codes_in(
    source: str, module: str = "", others: Makers | None = None
) -> tuple[set[str], Makers]:
    """Reason codes of the refusals in a module, and its functions that create refusals.

    Args:
      others: Functions of other modules that create refusals; those that are imported are followed.
    """
    tree = ast.parse(source)
    enclosing = {
        child: function
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for child in ast.walk(function)
        if child is not function
    }  # ast.walk starts outside, so the innermost function is kept
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    makers: Makers = {"Refusal": (0, "code")}
    makers |= {name: maker for name, maker in (others or {}).items() if name in imported}
    local_makers: Makers = {}
    codes: set[str] = set()
    done: set[ast.Call] = set()
    while True:
        calls = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in makers
            and node not in done
        ]
        if not calls:
            return codes, local_makers
        for call in calls:
            done.add(call)
            for part in _parts(_argument(call, *makers[call.func.id])):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    codes.add(part.value)
                    continue
                function = enclosing.get(call)
                names = [] if function is None else [a.arg for a in function.args.args]
                if not isinstance(part, ast.Name) or part.id not in names:
                    raise ValueError(f"{module}:{call.lineno}: the reason code is not a literal")
                if function.name != "_rebuild_refusal":  # copies an existing refusal
                    local_makers[function.name] = (names.index(part.id), part.id)
                    makers |= local_makers


def _argument(call: ast.Call, index: int, name: str) -> ast.expr | None:
    if index < len(call.args):
        return call.args[index]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _parts(value: ast.expr | None) -> Iterator[ast.expr | None]:
    if isinstance(value, ast.IfExp):
        yield from _parts(value.body)
        yield from _parts(value.orelse)
    else:
        yield value

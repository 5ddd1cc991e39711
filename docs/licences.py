"""Write ``docs/licences.md``: every dependency with its licence and use.

    python -m docs.licences

The dependencies are those of ``pyproject.toml`` and, in turn, theirs; the licences are those in the
metadata of the installed packages.
"""

import importlib.metadata as metadata
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "licences.md"

#: Licences that a dependency may have: permissive ones, and MPL-2.0, which covers single files.
ALLOWED = frozenset(
    (
        *("0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC"),
        *("MIT", "MIT-0", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Zlib"),
    )
)

#: Extras whose packages are not imported by the program.
_NOT_IMPORTED = {"bench", "dev"}

#: What packages state, as SPDX identifiers; the first match counts.
_SPDX = {
    r"MPL|Mozilla": "MPL-2.0",
    r"LGPL|Lesser": "LGPL",
    r"GPL|GNU": "GPL",
    r"Apache": "Apache-2.0",
    r"BSD.3|3.Clause": "BSD-3-Clause",
    r"BSD": "BSD",
    r"ISC": "ISC",
    r"PSF|Python Software": "PSF-2.0",
    r"MIT": "MIT",
}

#: Read in LICENSE files: of packages whose metadata state none, or that are rarely installed.
_BY_HAND = {
    "namex": "Apache-2.0",
    "pynetdicom": "MIT",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
}

_HEAD = """# Licences of dependencies

Made by `python -m docs.licences` from the metadata of the installed packages. The tests refuse a
dependency that is missing here or has another licence than these:
{allowed}.

`core` is installed with the program; the others are extras of `pip install 'liver_tf[...]'`.
Libraries that only `benchmarks/` compare with (extra `bench`, among them connected-components-3d,
LGPL-3.0-or-later) are neither imported by the program nor part of any other extra. OpenVINO is
imported without its telemetry.

| package | licence | used by |
| --- | --- | --- |
"""


def installed_dependencies() -> dict[str, tuple[str, str]]:
    """Licence and use of every installed dependency, by its canonical name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"core": project["dependencies"], **project["optional-dependencies"]}
    uses: dict[str, list[str]] = {}
    for group, requirements in groups.items():
        if group not in _NOT_IMPORTED:
            for name in _closure(requirements):
                uses.setdefault(name, []).append(group)
    return {
        name: (licence_of(name), "core" if "core" in groups else ", ".join(groups))
        for name, groups in sorted(uses.items())
    }


def licence_of(name: str) -> str:
    """The licence of an installed package as an SPDX expression; empty if it states none."""
    if name in _BY_HAND:
        return _BY_HAND[name]
    fields = metadata.metadata(name)
    if fields["License-Expression"]:
        return fields["License-Expression"]
    stated = [text for text in fields.get_all("Classifier", ()) if text.startswith("License ::")]
    # A field may also hold the whole text, which may name licences of others.
    stated = stated or (fields["License"] or "").splitlines()[:1]
    names = [re.sub(r"^License :: OSI Approved :: ", "", text) for text in stated]
    if names and all(part in ALLOWED for part in parts_of(names[0])):
        return names[0]
    found = (
        next((spdx for text, spdx in _SPDX.items() if re.search(text, name)), "") for name in names
    )
    return " AND ".join(dict.fromkeys(found))


def parts_of(licence: str) -> list[str]:
    """The single licences of an expression."""
    return re.split(r" AND | OR ", licence.replace("(", "").replace(")", ""))


def page_text() -> str:
    """The page."""
    rows = installed_dependencies().items()
    lines = [f"| {name} | {licence} | {use} |" for name, (licence, use) in rows]
    return _HEAD.format(allowed=", ".join(sorted(ALLOWED))) + "\n".join(lines) + "\n"


def _closure(requirements: list[str]) -> set[str]:
    """The installed packages among requirements and their requirements."""
    names: set[str] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in names or name == "liver-tf":
            continue
        try:
            inner = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # of an extra that is not installed
            names |= {name} & _BY_HAND.keys()
            continue
        names.add(name)
        waiting += _needed(inner, requirement.extras)
    return names


def _needed(requirements: list[str], extras: set[str]) -> Iterator[Requirement]:
    for requirement in map(Requirement, requirements):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


if __name__ == "__main__":
    PAGE.write_text(page_text(), encoding="utf-8")

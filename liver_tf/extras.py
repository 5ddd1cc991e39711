"""How to install the packages of an extra, from a checkout and from an installed package."""

import shlex
from importlib.metadata import requires
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[1]


def install_extra(extra: str) -> str:
    """A sentence with the command that installs an extra of ``pyproject.toml``.

    A checkout installs itself with its pinned versions. An installed package is on no index under
    its own name, so the packages of its extra are named.
    """
    if all((_PROJECT / name).is_file() for name in ("pyproject.toml", "constraints.txt")):
        return (
            "In the folder of the checkout, run: "
            f"python -m pip install -c constraints.txt -e '.[{extra}]'."
        )
    requirements = requires("liver_tf") or []
    packages = [
        shlex.quote(requirement.partition(";")[0].strip())
        for requirement in requirements
        if requirement.partition("extra ==")[2].strip(" '\"") == extra
    ]
    return f"Run: python -m pip install {' '.join(packages)}."

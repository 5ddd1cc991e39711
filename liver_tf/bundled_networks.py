"""The networks in the package, ``liver_tf/weights/``: trained on computed phantoms only.

Each is a folder with the files of a finished run that are needed to use it. ``bundled`` stands for
one of them wherever a run is named: ``bundled`` for the one that fits, or ``bundled/typed``.
"""

from pathlib import Path

from liver_tf import run_files

#: Liver; background, liver, lesion; lesion types.
LIVER, LESION, TYPED = NETWORKS = ("liver", "lesion", "typed")
PREFIX = "bundled"
FOLDER = Path(__file__).parent / "weights"


def bundled(network: str) -> Path:
    """The folder of a network of the package; it may be missing."""
    return FOLDER / network


def run_named(path: Path, network: str) -> Path:
    """The run that an option names: ``bundled`` is ``network``, ``bundled/NAME`` another one."""
    if path.parts[:1] != (PREFIX,):
        return path
    return bundled("/".join(path.parts[1:]) or network)


def is_bundled(run: Path) -> bool:
    """Whether a run is a network of the package."""
    return run.parent == FOLDER


def available() -> list[str]:
    """Names of the networks that the package holds."""
    return [name for name in NETWORKS if (bundled(name) / run_files.WEIGHTS).is_file()]

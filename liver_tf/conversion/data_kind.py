"""Whether CT files are computed phantoms, real scans with computed lesions, or real scans."""

from pathlib import Path

from liver_tf.phantom.phantom_folder import DONE
from liver_tf.trained_on import IMPLANTED, PHANTOM, REAL

#: Files that the programs of computed data leave in their folder.
MARKS = {DONE: PHANTOM, "implanted.json": IMPLANTED}


def data_kind(source: Path) -> str:
    """The kind of the files of ``--input``, a folder or a CSV.

    It lies in or below a marked folder, or holds only marked folders of one kind.
    """
    source = source.absolute()
    for folder in (source, *source.parents[:2]):
        if mark := _mark(folder):
            return mark
    below = {_mark(folder) for folder in source.glob("*/")}
    kind = below.pop() if len(below) == 1 else None
    return kind or REAL


def _mark(folder: Path) -> str | None:
    return next((kind for name, kind in MARKS.items() if (folder / name).is_file()), None)

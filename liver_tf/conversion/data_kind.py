"""Whether CT files are computed phantoms, real scans with computed lesions, or real scans."""

from pathlib import Path

from liver_tf.phantom.phantom_folder import DONE
from liver_tf.trained_on import IMPLANTED, PHANTOM, REAL

#: Files that the programs of computed data leave in their folder.
MARKS = {DONE: PHANTOM, "implanted.json": IMPLANTED}


def data_kind(source: Path) -> str:
    """The kind of the files of ``--input``: a folder or a CSV, in the marked folder or below it."""
    source = source.absolute()
    for folder in (source, *source.parents[:2]):
        for name, kind in MARKS.items():
            if (folder / name).is_file():
                return kind
    return REAL

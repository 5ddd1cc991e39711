"""The predicted label maps of a run, ``RUN/measures/PART_labels.npz``."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from liver_tf import run_files
from liver_tf.atomic_files import atomic_write
from liver_tf.bounded_files import open_npz
from liver_tf.refusals import Refusal


def map_name(case: str, slice_index: int) -> str:
    """Name of the label map of a slice in the file."""
    return f"{case}-{slice_index}"


def save_label_maps(run: Path, part: str, maps: Mapping[str, np.ndarray]) -> None:
    """Write the label maps of a part by ``map_name``, atomically."""
    with (
        atomic_write(run_files.label_maps_file(run, part)) as temporary,
        open(temporary, "wb") as file,
    ):
        np.savez_compressed(file, **maps)  # type: ignore[arg-type]


def load_label_map(run: Path, part: str, case: str, slice_index: int) -> np.ndarray:
    """The label map of one slice, uint8 [rows, columns]; raises ``Refusal`` ``results-damaged``."""
    path = run_files.label_maps_file(run, part)
    try:
        with open_npz(path) as maps:
            return maps[map_name(case, slice_index)]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        raise Refusal(
            "results-damaged",
            path,
            expected="the label maps that liver-tf evaluate wrote",
            found="a missing or damaged file",
            remedy="Delete the file and evaluate the run again with liver-tf evaluate.",
        ) from None

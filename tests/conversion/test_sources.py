"""Sources find cases with their pseudonyms and groups."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from liver_tf.conversion.sources import find_lits, find_slices
from liver_tf.labels import LESION_TYPES
from tests.builders.phantom_sets import (
    KEY,
)


def codes(refusals) -> list[str]:
    return [refusal.code for refusal in refusals]


def test_3d_ircadb_volumes_form_a_group(tmp_path):
    for number in (26, 27, 48, 49):
        for part in ("volume", "segmentation"):
            (tmp_path / f"{part}-{number}.nii").touch()
    tasks, refusals = find_lits(tmp_path, KEY)
    assert not refusals
    by_number = dict(zip((26, 27, 48, 49), tasks, strict=True))
    assert by_number[27].group == by_number[48].group == "3D-IRCADb"
    assert by_number[27].patient != by_number[48].patient
    for number in (26, 49):
        assert by_number[number].group == by_number[number].patient
    assert len({task.case for task in tasks}) == 4


def test_pseudonyms_depend_on_the_key(tiny_phantom):
    table = tiny_phantom / "sheba/slices.csv"
    tasks, _ = find_slices(table, KEY, LESION_TYPES, ())
    again, _ = find_slices(table, KEY, LESION_TYPES, ())
    other, _ = find_slices(table, KEY[::-1], LESION_TYPES, ())
    assert tasks == again
    assert not {task.case for task in tasks} & {task.case for task in other}
    assert not {task.sources for task in tasks} & {task.sources for task in other}


def test_moving_the_input_changes_nothing(tiny_phantom, tmp_path):
    moved = shutil.copytree(tiny_phantom / "lits", tmp_path / "elsewhere")
    before, _ = find_lits(tiny_phantom / "lits", KEY)
    after, _ = find_lits(moved, KEY)
    assert [task.sources for task in before] == [task.sources for task in after]


def test_an_unreadable_folder_is_refused(tiny_phantom, tmp_path, monkeypatch):
    source = shutil.copytree(tiny_phantom / "lits", tmp_path / "lits")
    (source / "locked").mkdir()
    real = os.scandir

    def scandir(path):
        if Path(path).name == "locked":  # the test user may read everything
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    tasks, refusals = find_lits(source, KEY)
    assert len(tasks) == 2
    assert codes(refusals) == ["file-unreadable"]
    assert refusals[0].path == source / "locked"

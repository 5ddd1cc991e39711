"""Apache Beam converts the same cases to the same bytes as the processes of one machine."""

from __future__ import annotations

import shutil

import pytest

from liver_tf.conversion.output_folder import MEMOS
from tests.builders.phantom_sets import bytes_of, command, read_table

pytest.importorskip("apache_beam", reason="Beam is missing (pip install 'liver_tf[beam]')")


def test_the_same_records(tiny_phantom, slices_set, tmp_path):
    done = command(
        "build_tfrecords",
        "--source=slices",
        f"--input={tiny_phantom / 'sheba/slices.csv'}",
        f"--output={tmp_path / 'set'}",
        "--engine=beam",
    )
    assert done.returncode == 0, done.stderr
    found = bytes_of(tmp_path / "set")
    assert found.pop("folds.json")
    assert found == bytes_of(slices_set)


def test_processes_of_its_own_bad_slices_and_going_on(tiny_phantom, tmp_path):
    source = shutil.copytree(tiny_phantom / "sheba", tmp_path / "sheba")
    table, sets = source / "slices.csv", {}
    bad = source / read_table(table)[0]["image"]
    good = bad.read_bytes()
    bad.write_bytes(good[:-100])
    parallel = (
        "--beam_option=--runner=DirectRunner",
        "--beam_option=--direct_num_workers=2",
        "--beam_option=--direct_running_mode=multi_processing",
    )
    for engine, more in (("local", ()), ("beam", parallel)):
        arguments = ("--source=slices", f"--input={table}", f"--output={tmp_path / engine}")
        done = command("build_tfrecords", *arguments, f"--engine={engine}", *more)
        assert done.returncode == 1
        assert f"{bad}: [dicom-truncated]" in done.stderr
        sets[engine] = bytes_of(tmp_path / engine)
    assert sets["beam"] == sets["local"]
    assert not list((tmp_path / "beam" / MEMOS).glob("*outcome*"))


def test_a_folder_that_cannot_be_written_is_told(tiny_phantom, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / MEMOS).touch()
    done = command(
        "build_tfrecords",
        "--source=slices",
        f"--input={tiny_phantom / 'sheba/slices.csv'}",
        f"--output={tmp_path / 'set'}",
        "--engine=beam",
    )
    assert done.returncode == 1
    assert "[output-unwritable]" in done.stderr
    assert "Traceback" not in done.stderr

"""Apache Beam produces the same bytes as the local engine."""

from __future__ import annotations

import shutil

import pytest

from liver_tf.conversion.output_folder import MEMOS
from tests.builders.phantom_sets import bytes_of, read_table, run_process, without_data_kind

pytest.importorskip("apache_beam", reason="Beam is missing (pip install 'liver_tf[beam]')")


def test_one_process_gives_the_same_bytes(tiny_phantom, slices_set, tmp_path):
    done = run_process(
        "build_tfrecords",
        "--source=slices",
        f"--input={tiny_phantom / 'sheba/slices.csv'}",
        f"--output={tmp_path / 'set'}",
        "--engine=beam",
    )
    assert done.returncode == 0, done.stderr
    written = bytes_of(tmp_path / "set")
    assert written.pop("folds.json")
    assert without_data_kind(written, "phantom") == bytes_of(slices_set)


@pytest.mark.long
def test_several_processes_and_refused_slices_give_the_same_set(tiny_phantom, tmp_path):
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
        done = run_process("build_tfrecords", *arguments, f"--engine={engine}", *more)
        assert done.returncode == 1
        assert f"{bad}: [dicom-truncated]" in done.stderr
        sets[engine] = bytes_of(tmp_path / engine)
    assert sets["beam"] == sets["local"]
    assert not list((tmp_path / "beam" / MEMOS).glob("*outcome*"))


def test_an_unwritable_folder_is_refused(tiny_phantom, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / MEMOS).touch()
    done = run_process(
        "build_tfrecords",
        "--source=slices",
        f"--input={tiny_phantom / 'sheba/slices.csv'}",
        f"--output={tmp_path / 'set'}",
        "--engine=beam",
    )
    assert done.returncode == 1
    assert "[output-unwritable]" in done.stderr
    assert "Traceback" not in done.stderr

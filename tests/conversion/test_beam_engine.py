"""Apache Beam produces the same bytes as the local engine."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest

from liver_tf.conversion.beam_engine import _SUFFIX, _load_outcome
from liver_tf.conversion.output_folder import MEMOS
from liver_tf.refusals import Refusal
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


@pytest.mark.parametrize("text", [None, "{", "[" * 100_000, '{"entry": 1}', "[]"])
def test_an_outcome_that_cannot_be_read_is_refused(tmp_path, text):
    task, target = SimpleNamespace(case="c-1", places=()), SimpleNamespace(output=tmp_path)
    if text is not None:
        (tmp_path / f"c-1{_SUFFIX}").write_text(text)
    with pytest.raises(Refusal, match=r"\[beam-failed\].*outcome file for a case"):
        _load_outcome(tmp_path, (task, target))


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

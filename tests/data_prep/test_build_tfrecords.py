"""The command build_tfrecords: what it prints, and its exit statuses."""

import pytest

from data_prep import build_tfrecords
from tests.builders.phantom_sets import KEY


@pytest.fixture(autouse=True)
def site_key(monkeypatch):
    monkeypatch.setenv("LIVER_TF_SITE_KEY", KEY.decode())


def arguments(tiny_phantom, output, *more):
    table = tiny_phantom / "sheba" / "slices.csv"
    return ("--source=slices", f"--input={table}", f"--output={output}", "--workers=1", *more)


def test_records_and_folds_are_counted(tiny_phantom, tmp_path, command, capsys):
    assert command(build_tfrecords, *arguments(tiny_phantom, tmp_path, "--folds=2")) == 0
    out = capsys.readouterr().out
    assert f"{tmp_path}: 21 records of 9 cases, fingerprint " in out
    assert "fold 0: " in out
    assert "fold 1: " in out


def test_missing_folds_are_reported(tiny_phantom, tmp_path, command, capsys):
    assert command(build_tfrecords, *arguments(tiny_phantom, tmp_path, "--folds=1")) == 0
    assert "no folds were requested" in capsys.readouterr().out
    assert not (tmp_path / "folds.json").exists()


def test_too_many_folds_leave_the_records(tiny_phantom, tmp_path, command, capsys):
    assert command(build_tfrecords, *arguments(tiny_phantom, tmp_path, "--folds=50")) == 1
    printed = capsys.readouterr()
    assert "records of 9 cases" in printed.out
    assert "1 refused:" in printed.err
    assert "[too-few-patients]" in printed.err
    assert (tmp_path / "manifest.json").is_file()

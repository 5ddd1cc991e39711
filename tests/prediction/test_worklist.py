"""The worklist of an output folder: pictures, findings, cautions, refusals and all lesions."""

from __future__ import annotations

import csv
import re

import pytest

from liver_tf.prediction.worklist import write_worklist
from tests.builders import ct_files
from trainers import predict


@pytest.fixture(scope="module")
def runs(save_runs, tmp_path_factory):
    return save_runs(tmp_path_factory.mktemp("runs"))


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_worklist_of_two_commands(runs, tmp_path, command):
    """Two scans and a missing one, then another one into the same folder."""
    volume = ct_files.write_nifti(
        tmp_path / "CANARY.nii.gz", *ct_files.as_lps_file(ct_files.phantom_hu())
    )
    output = tmp_path / "out"
    line = [
        *(f"--model={runs / 'one'}", f"--liver_run={runs / 'liver'}", f"--output={output}"),
        *("--pictures=0", "--precision=float32"),
    ]
    named = [f"--input={volume}", f"--input={tmp_path / 'nowhere.nii'}", f"--input={volume}"]
    assert command(predict, *line, *named) == 1
    page = (output / "index.html").read_text()
    assert "<h1>3 scans, 2 with results</h1>" in page
    assert re.findall(r'<img src="(.*?)"', page) == [
        "scan-001/thumbnail.jpg",
        "scan-003/thumbnail.jpg",
    ]
    assert re.search(r"<p>\d+ findings?: ", page)
    assert "<b>file-missing</b>" in page
    assert "CANARY" not in page
    for link in re.findall(r'(?:href|src)="(?!data:)(.*?)"', page):
        assert (output / link).is_file(), link
    lesions = rows_of(output / "results.csv")
    expected = [row for n in (1, 3) for row in rows_of(output / f"scan-00{n}" / "lesions.csv")]
    assert [row for row in lesions if row["status"] != "refused"] == expected
    assert [row["scan"] for row in lesions if row["status"] == "refused"] == ["scan-002"]
    # The finished scans keep their lines; the refused one has results now.
    assert command(predict, *line, f"--input={volume}", f"--input={volume}") == 0
    inputs = rows_of(output / "inputs.csv")
    assert [row["scan"] for row in inputs] == ["scan-001", "scan-002", "scan-003"]
    assert {row["status"] for row in inputs} == {"lesions-found"}
    assert not (output / "inputs-2.csv").exists()
    assert "<h1>3 scans, 3 with results</h1>" in (output / "index.html").read_text()


def test_files_of_others_are_not_replaced(tmp_path):
    (tmp_path / "index.html").write_text("<p>my own page</p>")
    (tmp_path / "results.csv").write_text("mine\n1\n")
    row = {"scan": "scan-001", "named_by": "input 1", "status": "not-begun"}
    write_worklist(tmp_path, [row])
    assert (tmp_path / "index.html").read_text() == "<p>my own page</p>"
    assert (tmp_path / "results.csv").read_text() == "mine\n1\n"
    for name in ("index.html", "results.csv"):
        (tmp_path / name).unlink()
    write_worklist(tmp_path, [row])
    write_worklist(tmp_path, [row | {"status": "refused", "code": "<file>"}])
    assert "<b>&lt;file&gt;</b>" in (tmp_path / "index.html").read_text()
    assert (tmp_path / "results.csv").read_text() == "scan,status\nscan-001,refused\n"
    (tmp_path / "scan-001").mkdir()
    (tmp_path / "scan-001" / "lesions.json").write_text("[")
    write_worklist(tmp_path, [row])
    assert "damaged results" in (tmp_path / "index.html").read_text()

"""The worklist of an output folder: pictures, findings, cautions, refusals and all lesions."""

from __future__ import annotations

import csv
import re
from dataclasses import replace

import pytest

from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.scan_findings import ScanFindings
from liver_tf.export.scan_results import write_results
from liver_tf.labels import LESION_TYPES
from liver_tf.prediction.worklist import write_worklist
from liver_tf.refusals import Caution
from liver_tf.trained_on import CascadeTrainedOn, TrainedOn
from tests.builders import ct_files
from tests.builders.browser import CLIPPED, SCREENS, browse, needs_chromium
from tests.builders.lesions import lesions_of
from tests.builders.scan_pages import make_labels, make_scan
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
    assert "<h1>3 scans, 2 with results, 1 without</h1>" in page
    assert re.findall(r'<img src="(.*?)"', page) == [
        "scan-001/thumbnail.jpg",
        "scan-003/thumbnail.jpg",
    ]
    assert re.search(r"<p>\d+ findings?: ", page)
    assert "<b>file-missing</b>" in page
    assert "CANARY" not in page
    assert "input 7: the seventh scan of --input;" in page
    assert "input_list" not in page
    assert "To add the paths, run the same command with --paths_in_table." in page
    assert 'Without results: <a href="#scan-002">scan-002</a></p>' in page
    for link in re.findall(r'(?:href|src)="(?!data:|#)(.*?)"', page):
        assert (output / link).is_file(), link
    lesions = rows_of(output / "results.csv")
    expected = [row for n in (1, 3) for row in rows_of(output / f"scan-00{n}" / "lesions.csv")]
    assert [row for row in lesions if row["status"] != "refused"] == expected
    assert [row["scan"] for row in lesions if row["status"] == "refused"] == ["scan-002"]
    # The finished scans keep their lines; the refused one has results now.
    stored, affine = ct_files.as_lps_file(ct_files.phantom_hu() + 1)
    other = ct_files.write_nifti(tmp_path / "other.nii.gz", stored, affine)
    assert command(predict, *line, f"--input={volume}", f"--input={other}") == 0
    inputs = rows_of(output / "inputs.csv")
    assert [row["scan"] for row in inputs] == ["scan-001", "scan-002", "scan-003"]
    assert {row["status"] for row in inputs} == {"lesions-found"}
    assert not (output / "inputs-2.csv").exists()
    assert "<h1>3 scans, 3 with results</h1>" in (output / "index.html").read_text()


def test_names_of_a_list_file_are_explained(tmp_path):
    refusal = {"code": "file-missing", "expected": "a", "came": "b", "remedy": "C."}
    rows = [
        {"scan": f"scan-00{n}", "named_by": f"input_list line {n}", "status": "refused"} | refusal
        for n in (1, 2)
    ]
    write_worklist(tmp_path, rows)
    page = (tmp_path / "index.html").read_text()
    assert "input_list line 7: line 7 of that file. To add the paths, run" in page
    assert "input 7" not in page
    assert "Without results:" not in page, "all are"


def test_the_title_of_one_scan_is_singular(tmp_path):
    refusal = {"code": "hu-unscaled", "expected": "HU", "came": "x", "remedy": "Export it."}
    row = {"scan": "scan-001", "named_by": "input 1", "status": "refused", "path": "a.nii"}
    write_worklist(tmp_path, [row | refusal])
    assert "<title>Liver lesions: 1 scan</title>" in (tmp_path / "index.html").read_text()


@needs_chromium
@pytest.mark.parametrize("size", SCREENS)
def test_nothing_is_clipped(tmp_path, size):
    """Scans with results, cautions and a refusal with long words; thumbnails of one width."""
    scan, labels = make_scan(tmp_path), make_labels()
    output, rows = tmp_path / "out", []
    for number in (1, 2):
        lesions = lesions_of(labels, scan.hu, scan.spacing_mm, LESION_TYPES)
        cautions = (Caution("liver-parts", "a second part has " + "many_words_in_one" * 9),)
        phantoms = TrainedOn("phantom", 0, 200, "phantom")
        untyped = replace(phantoms, types_from=None)
        trained_on = CascadeTrainedOn(phantoms, (phantoms if number == 1 else untyped,))
        findings = ScanFindings(
            *(scan, labels, lesions, LESION_TYPES, True, trained_on, cautions[: number - 1])
        )
        folder = output / f"scan-00{number}"
        write_results(folder, findings, AlgorithmIdentity("ab12"), pictures=0)
        rows.append({"scan": folder.name, "named_by": f"input {number}", "status": findings.status})
    refusal = {"code": "hu-unscaled", "expected": "HU", "came": "x" * 120, "remedy": "Export it."}
    rows.append({"scan": "scan-003", "named_by": "input 3", "status": "refused"} | refusal)
    for row in rows:
        row["path"] = f"/exports/{'long_name' * 15}/{row['scan']}.nii"
    write_worklist(output, rows)
    script = """
      const body = document.body.dataset;
      body.outside = clipped();
      const pictures = [...document.images];
      body.loaded = pictures.filter((one) => one.naturalHeight > 150 && one.width === 160).length;
      body.fit = [...new Set(pictures.map((one) => getComputedStyle(one).objectFit))].join(" ");
    """
    page = (output / "index.html").read_text()
    assert "--paths_in_table" not in page, "every path is there"
    assert page.count('<p class="banner"') == 1, "one notice, although one scan has no types"
    recorded, console = browse(page, output, CLIPPED + script, size=size)
    assert console == []
    assert recorded["outside"] == ""
    assert (recorded["loaded"], recorded["fit"]) == ("2", "contain")


def test_scans_are_told_apart_by_their_paths_on_request(runs, tmp_path, command):
    """With results and refused; without a second link to the page of the scan."""
    volume = ct_files.write_nifti(
        tmp_path / "<a>.nii", *ct_files.as_lps_file(ct_files.phantom_hu())
    )
    output, missing = tmp_path / "out", tmp_path / "nowhere.nii"
    line = [
        *(f"--model={runs / 'one'}", f"--liver_run={runs / 'liver'}", f"--output={output}"),
        *("--pictures=0", "--precision=float32", f"--input={volume}", f"--input={missing}"),
    ]
    assert command(predict, *line, "--paths_in_table") == 1
    page = (output / "index.html").read_text()
    assert f"input 1: {tmp_path}/&lt;a&gt;.nii · <a " in page
    assert f"input 2: {missing}<" in page
    assert ">scan.html<" not in page
    assert '<h2><a href="scan-001/scan.html">scan-001</a></h2>' in page


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

"""Cautions reach the person: printed by ``predict`` at its end, counted, refused if strict."""

from __future__ import annotations

import csv
import io
import sys

import nibabel
import numpy as np
import pytest

from liver_tf.conversion.build_record_set import convert
from liver_tf.inspection.verify_data_set import verify
from tests.builders import ct_files
from trainers import predict


@pytest.fixture(scope="module")
def runs(save_runs, tmp_path_factory):
    return save_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def volumes(tmp_path):
    """A volume without cautions, and one without orientation."""
    stored, affine = ct_files.as_lps_file(ct_files.phantom_hu())
    bare = nibabel.Nifti1Image(stored, None)
    bare.header["pixdim"][1:4] = 0.7, 0.8, 2.5
    nibabel.save(bare, tmp_path / "bare.nii")
    return ct_files.write_nifti(tmp_path / "good.nii", stored, affine), tmp_path / "bare.nii"


def line(runs, output, *inputs):
    return (
        f"--model={runs / 'one'}",
        f"--liver_run={runs / 'liver'}",
        f"--output={output}",
        "--pictures=0",
        *(f"--input={path}" for path in inputs),
    )


def table(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def test_cautions_are_printed_at_the_end_and_counted(runs, tmp_path, volumes, command, capsys):
    assert command(predict, *line(runs, tmp_path / "out", *volumes)) == 0
    out, err = capsys.readouterr()
    lines = err.splitlines()
    scans = [
        [line for line in lines if line.startswith(f"scan-00{number}: [")] for number in (1, 2)
    ]
    assert scans[1][0].startswith("scan-002: [nifti-no-orientation] neither sform nor qform")
    counts = [row["cautions"] for row in table(tmp_path / "out/inputs.csv")]
    assert counts == [str(len(each)) for each in scans]
    for number, each in zip((1, 2), scans, strict=True):  # the line of a scan counts them
        (summary,) = (line for line in out.splitlines() if f"/scan-00{number}: " in line)
        assert f"; {len(each)} caution" in summary
        for caution in each:
            assert caution.split("] ")[1].removesuffix(".") not in out


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
def test_a_bar_counts_the_scans_in_a_terminal_only(
    kind, runs, tmp_path, volumes, command, capsys, monkeypatch
):
    shown = kind()
    monkeypatch.setattr(sys, "stderr", shown)
    assert command(predict, *line(runs, tmp_path / "out", *volumes)) == 0
    bar = kind is Terminal
    assert ("predict: 100%" in shown.getvalue()) == bar
    assert ("2/2" in shown.getvalue()) == bar
    assert "scan-002: " in capsys.readouterr().out  # above the bar


def test_strict_refuses_scans_with_cautions(runs, tmp_path, volumes, command, capsys):
    assert command(predict, *line(runs, tmp_path / "out", *volumes), "--strict") == 1
    refused, next_step = capsys.readouterr().err.splitlines()[-2:]
    assert "bare.nii: [caution]" in refused
    assert "nifti-no-orientation" in refused
    assert next_step.startswith("Next: ")
    rows = table(tmp_path / "out/inputs.csv")
    assert [(row["status"] == "refused", row["code"]) for row in rows] == [
        (False, ""),
        (True, "caution"),
    ]


def test_strict_refuses_the_same_in_verify_and_in_a_conversion(tmp_path):
    folder = tmp_path / "lits"
    folder.mkdir()
    ct_files.write_nifti_pair(folder, 1)
    _, mask = ct_files.write_nifti_pair(folder, 2)
    ct_files.write_nifti(mask, nibabel.load(mask).get_fdata().astype(np.uint8), np.eye(4))
    options = {"source": "lits", "input": folder, "workers": 1}
    assert verify(**options).passed
    refused = verify(**options, strict=True)
    assert [refusal.code for refusal in refused.facts.refusals] == ["caution"]
    key = tmp_path / "key"
    key.write_text("0123456789abcdef")
    options |= {"site_key_file": key, "folds": 1}
    usual = convert(**options, output=tmp_path / "usual")
    assert (len(usual.manifest.cases), usual.refusals) == (2, ())
    strict = convert(**options, output=tmp_path / "strict", strict=True)
    assert len(strict.manifest.cases) == 1
    assert [refusal.code for refusal in strict.refusals] == ["caution"]
    # What was converted before is judged again.
    again = convert(**options, output=tmp_path / "usual", strict=True)
    assert [refusal.code for refusal in again.refusals] == ["caution"]

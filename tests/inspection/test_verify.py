"""The command verify: reads everything, writes nothing, lists what is wrong."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pydicom

from tests.builders.phantom_sets import ROOT, read_table, run_command, run_process, write_table


def test_command_on_good_input_writes_nothing(tiny_phantom, tmp_path, monkeypatch):
    folder = shutil.copytree(tiny_phantom, tmp_path / "phantom")
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    for arguments in (
        ("--source=lits", f"--input={folder / 'lits'}", "--workers=2"),
        ("--source=slices", f"--input={folder / 'sheba/slices.csv'}", "--workers=1"),
    ):
        done = run_command("verify", *arguments, key=None)
        assert done.returncode == 0, done.stderr
        assert "Nothing refused." in done.stdout
        assert "verify:" not in done.stderr  # no bar in a pipe
    assert sorted(tmp_path.rglob("*")) == before


def test_command_lists_refusals_and_cautions(tiny_phantom, tmp_path):
    folder = shutil.copytree(tiny_phantom / "sheba", tmp_path / "sheba")
    rows = read_table(folder / "slices.csv")
    rows[0]["diagnosis"] = "abscess"
    image = folder / rows[1]["image"]
    image.write_bytes(image.read_bytes()[:-5])
    # Two livers are 200 HU too dark: accepted with a caution.
    for row in rows[2:4]:
        file = pydicom.dcmread(folder / row["image"])
        file.RescaleIntercept = str(float(file.RescaleIntercept) - 200)
        file.save_as(folder / row["image"])
    write_table(folder / "slices.csv", rows)
    done = run_command(
        "verify", "--source=slices", f"--input={folder / 'slices.csv'}", "--workers=1"
    )
    assert done.returncode == 1
    assert "Refused: 2 (1 x csv-diagnosis, 1 x dicom-truncated)" in done.stdout
    assert f"{image}: [dicom-truncated] expected" in done.stdout
    assert "Copy the file again, or export it again from the archive." in done.stdout
    assert "2 x [liver-hu] under the liver mask the mean is" in done.stdout
    assert "slices          19 " in done.stdout


def test_verify_refuses_what_build_tfrecords_refuses(tiny_phantom, tmp_path):
    done = run_command("verify", "--source=lits", f"--input={tmp_path}", "--workers=1")
    assert done.returncode == 1
    assert "[lits-empty]" in done.stdout


def test_help_needs_no_tensorflow():
    code = (
        "import sys; from data_prep import verify; "
        "from liver_tf.inspection import fingerprint, fingerprint_text; "
        "from liver_tf.conversion import process_engine; "
        "print('tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
    text = run_process("verify", "--help").stdout
    for flag in ("--source", "--input", "--mask_values", "--workers"):
        assert flag in text

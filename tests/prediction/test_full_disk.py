"""A disk that fills up during a list of scans: finished scans are kept and reported."""

import shlex
import subprocess
import sys

import numpy as np
import pytest

from tests.builders import ct_files
from tests.campaigns import full_disk
from tests.campaigns.victims import ROOT


def test_finished_scans_are_kept_and_the_others_reported(save_runs, tmp_path):
    reason = full_disk.why_not()
    if reason:
        pytest.skip(reason)
    runs = save_runs(tmp_path / "runs")
    small = ct_files.write_series(tmp_path / "small")
    assert small
    noise = np.random.default_rng(0).integers(-1000, 300, (30, 256, 256)).astype(np.int16)
    large = ct_files.write_nifti(tmp_path / "large.nii", *ct_files.as_lps_file(noise))
    disk = tmp_path / "disk"
    disk.mkdir()
    command = [
        *(sys.executable, "-m", "trainers.predict", f"--model={runs / 'one'}"),
        *(f"--liver_run={runs / 'liver'}", f"--output={disk / 'out'}", "--pictures=0"),
        *(f"--input={tmp_path / 'nowhere'}", f"--input={tmp_path / 'small'}"),
        *(f"--input={large}", f"--input={tmp_path / 'small'}", f"--input={tmp_path / 'small'}"),
    ]
    script = (
        f"mount -t tmpfs -o size=300k none {shlex.quote(str(disk))} || exit 9; "
        f"{shlex.join(map(str, command))}; echo status $?; "
        f"find {shlex.quote(str(disk / 'out'))} -printf '%P\\n'; "
        f"echo table; cat {shlex.quote(str(disk / 'out' / 'inputs.csv'))}"
    )
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    out, err = done.stdout.splitlines(), done.stderr
    assert "status 1" in out, err
    assert "Traceback" not in err
    files = set(out[out.index("status 1") + 1 : out.index("table")])
    assert {name.split("/")[0] for name in files if name.startswith("scan")} == {"scan-002"}
    assert not [name for name in files if "partial" in name or "writing" in name]
    assert "scan-002/lesions.json" in files
    assert "inputs.csv" in files
    statuses = [line.split(",")[2] for line in out[out.index("table") + 2 :]]
    assert statuses == ["refused", "lesions-found", "refused", "not-begun", "not-begun"]
    # What was refused before is reported too.
    assert "scan-001: " in err
    assert "[file-missing]" in err
    assert "scan-003: " in err
    assert "[disk-full]" in err
    assert "1 of 5 scans are complete; 2 were not begun, from scan-004 on" in err

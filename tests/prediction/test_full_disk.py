"""A disk that fills up during a list of scans: finished scans are kept and reported."""

import resource
import shlex
import subprocess
import sys

import numpy as np
import pytest

from liver_tf.prediction.many_scans import predict_scans
from liver_tf.prediction.named_scans import named_scans
from liver_tf.prediction.prediction_settings import ResultSettings
from tests.builders import ct_files
from tests.campaigns import full_disk
from tests.campaigns.victims import ROOT


def write_inputs(folder):
    """A small series and a large volume, whose results exceed 300 kB."""
    ct_files.write_series(folder / "small")
    noise = np.random.default_rng(0).integers(-1000, 300, (30, 256, 256)).astype(np.int16)
    large = ct_files.write_nifti(folder / "large.nii", *ct_files.as_lps_file(noise))
    return folder / "small", large


@pytest.fixture
def at_most_300_kb():
    """Files of this process cannot grow beyond 300 kB, which counts as a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_no_scan_is_begun_after_the_disk_is_full(intensity_cascade, tmp_path, request):
    small, large = write_inputs(tmp_path)
    paths = (tmp_path / "nowhere", small, large, small, small)
    request.getfixturevalue("at_most_300_kb")
    settings = ResultSettings(pictures=0)
    predicted = predict_scans(
        intensity_cascade(), named_scans(paths), tmp_path / "out", settings=settings
    )
    codes = [each.refusal and each.refusal.code for each in predicted.outcomes]
    assert codes == ["file-missing", None, "disk-full"]
    files = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*")}
    assert {name.split("/")[0] for name in files} == {
        *("index.html", "inputs.csv", "results.csv", "scan-002")
    }
    assert "scan-002/lesions.json" in files
    rows = (tmp_path / "out" / "inputs.csv").read_text().splitlines()[1:]
    statuses = [row.split(",")[2] for row in rows]
    assert statuses[0] == statuses[2] == "refused"
    assert statuses[3:] == ["not-begun"] * 2
    lines = predicted.error_lines()
    assert "[file-missing]" in lines[0]
    assert "[disk-full]" in lines[1]
    end = "1 of 5 scans complete; the last 2 were not started"
    assert lines[-1] == f"disk full: {end}"


@pytest.mark.long
def test_finished_scans_are_kept_on_a_disk_that_is_full(save_runs, tmp_path):
    reason = full_disk.why_not()
    if reason:
        pytest.skip(reason)
    runs = save_runs(tmp_path / "runs")
    small, large = write_inputs(tmp_path)
    disk = tmp_path / "disk"
    disk.mkdir()
    command = [
        *(sys.executable, "-m", "trainers.predict", f"--model={runs / 'one'}"),
        *(f"--liver_run={runs / 'liver'}", f"--output={disk / 'out'}", "--pictures=0"),
        *(f"--input={tmp_path / 'nowhere'}", f"--input={small}"),
        *(f"--input={large}", f"--input={small}", f"--input={small}"),
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
    assert "1 of 5 scans complete; the last 2 were not started" in err

"""The benchmark of the scan page measures every round of a small page."""

import re
import subprocess
import sys

from tests.builders.browser import needs_chromium
from tests.builders.scan_pages import make_labels, make_scan, page_of


@needs_chromium
def test_a_small_page_is_measured(tmp_path):
    path = tmp_path / "scan.html"
    path.write_text(page_of(make_scan(tmp_path), make_labels()), encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.scan_page", f"--page={path}", "--rounds=2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("14 slices, page of 0.")
    figures = re.findall(r"^\| ([^|]+), ms \| (\d+) \| (\d+) \|$", done.stdout, re.MULTILINE)
    assert [name for name, *_ in figures] == ["load event", "first picture drawn", "next slice"]
    assert all(0 <= int(lowest) <= int(median) < 60_000 for _, median, lowest in figures)

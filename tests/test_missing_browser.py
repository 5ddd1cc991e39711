"""Without a browser the tests of pages are skipped visibly, or fail on request."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
TEST = "tests/export/test_scan_page_in_browser.py::test_the_liver_is_on_the_left_of_the_picture"


@pytest.mark.long
@pytest.mark.parametrize("required", [False, True])
def test_a_missing_browser_is_reported(required, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "REQUIRE_CHROMIUM"}
    environment |= {"PATH": str(tmp_path)} | ({"REQUIRE_CHROMIUM": "1"} if required else {})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", TEST],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    if required:
        assert done.returncode == 1
        assert "AssertionError: chromium is missing" in done.stdout
    else:
        assert done.returncode == 0
        assert "PAGES NOT TESTED: 1 browser tests skipped, chromium is missing" in done.stdout

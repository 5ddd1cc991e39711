"""The Makefile on a fresh Debian, whose Python comes without ``venv``."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is missing")
def test_a_missing_venv_names_the_package_to_install(tmp_path):
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "lint", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode
    text = done.stdout + done.stderr
    assert "sudo apt-get install python3-venv" in text
    assert "Traceback" not in text
    assert not (tmp_path / "venv").exists()

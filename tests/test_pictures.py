"""Pictures in the tree stay small."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_BYTES = 500_000


def test_no_picture_exceeds_the_limit():
    listed = subprocess.run(
        ["git", "ls-files", "*.png", "*.jpg", "*.jpeg", "*.gif", "*.svg"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    pictures = listed.stdout.splitlines()
    assert pictures
    large = {name for name in pictures if (ROOT / name).stat().st_size > MOST_BYTES}
    assert not large

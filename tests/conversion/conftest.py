"""A copy of the phantom's slices, which a test may change."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture
def sheba(tiny_phantom, tmp_path):
    return shutil.copytree(tiny_phantom / "sheba", tmp_path / "sheba")

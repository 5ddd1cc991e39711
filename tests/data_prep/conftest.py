"""A tiny phantom in real file formats and its conversions, made once a session."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_phantom(tmp_path_factory) -> Path:
    """Folder with ``lits`` (2 volumes of 8 slices) and ``sheba`` (9 patients), 64 x 64."""
    from data_prep.phantom.build import Plan, write_phantom

    folder = tmp_path_factory.mktemp("tiny") / "phantom"
    write_phantom(folder, Plan(seed=5, lits_volumes=2, lits_slices=8, patients=9, matrix=64))
    return folder


@pytest.fixture(scope="session")
def lits_set(tiny_phantom, tmp_path_factory) -> Path:
    """Record set of the phantom's volumes; not to be changed."""
    from phantom_sets import convert_lits

    output = tmp_path_factory.mktemp("sets") / "lits"
    _, refusals = convert_lits(tiny_phantom / "lits", output)
    assert not refusals
    return output


@pytest.fixture(scope="session")
def slices_set(tiny_phantom, tmp_path_factory) -> Path:
    """Record set of the phantom's slices; not to be changed."""
    from phantom_sets import convert_slices

    output = tmp_path_factory.mktemp("sets") / "slices"
    _, refusals = convert_slices(tiny_phantom / "sheba/slices.csv", output)
    assert not refusals
    return output

"""The tutorial notebook runs from start to end, and is stored with its pictures."""

from __future__ import annotations

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
#: Arguments in the notebook, and their values in the test.
SMALLER = {"epochs": 1, "lits_volumes": 4, "patients": 20, "matrix": 128, "workers": 1}

TUTORIAL = ROOT / "docs/tutorial.ipynb"


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_it_is_stored_with_its_output():
    notebook = nbformat.read(TUTORIAL, as_version=4)
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 4
    assert all(output.output_type != "error" for output in outputs)
    stored = TUTORIAL.read_text(encoding="utf-8")
    assert "/tmp/" not in stored, "a path of the machine that executed it"
    assert TUTORIAL.stat().st_size < 1_500_000


@pytest.mark.long
def test_every_cell_runs(monkeypatch, tmp_path):
    """With little data and one epoch per training: this checks the cells, not the network."""
    notebook = nbformat.read(TUTORIAL, as_version=4)
    for cell in code_cells(notebook):
        for name, value in SMALLER.items():
            cell.source = re.sub(rf"\b{name}=[1-9]\d*", f"{name}={value}", cell.source)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    client = NotebookClient(notebook, timeout=600, kernel_name="python3")
    client.execute(cwd=str(tmp_path))
    assert all(cell.execution_count for cell in code_cells(notebook))

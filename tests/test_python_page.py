"""The examples of docs/python.md run as they are printed."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


@pytest.mark.long
def test_the_examples_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    scan_to_lesions, *protocol = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIVER_TF_SITE_KEY", raising=False)
    namespace = {}
    for example in protocol:
        exec(example, namespace)
    # The first example predicts with the network that the others train.
    Path("scan.nii.gz").symlink_to("data/lits/volume-0.nii.gz")
    exec(scan_to_lesions, namespace)
    assert (tmp_path / "results" / "scan-001" / "lesions.csv").is_file()
    assert (tmp_path / "saved_models" / "liver" / "1" / "saved_model.pb").is_file()
    assert list(namespace["lesions"].columns[:1]) in (["scan"], [])
    out = capsys.readouterr().out
    assert "24 slices, 0 refusals" in out
    assert "('none', 'enc1', 'enc1-enc2', 'enc1-enc3', 'enc1-enc4')" in out


def test_the_first_example_has_at_most_ten_lines():
    first = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]
    assert len([line for line in first.splitlines() if line.strip()]) <= 10

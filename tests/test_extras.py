"""The remedy for a missing extra, and the answer to a Python that is too old."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from liver_tf import extras
from liver_tf.extras import install_extra

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DECLARED = PROJECT["optional-dependencies"]


def extras_in_remedies():
    """The extras that the sources name, by file."""
    for path in (ROOT / "liver_tf").rglob("*.py"):
        for name in re.findall(r"install_extra\([\"']([\w-]+)", path.read_text(encoding="utf-8")):
            yield path.stem, name


def test_remedies_name_extras_that_exist():
    named = dict(extras_in_remedies())
    assert {"beam_engine", "ray_engine", "dicom_derived", "bad_input"} <= set(named)
    assert set(named.values()) <= set(DECLARED)


def test_a_checkout_installs_itself_with_its_pins():
    assert (ROOT / "constraints.txt").is_file()
    command = "python -m pip install -c constraints.txt -e '.[beam]'"
    assert install_extra("beam") == f"In the folder of the checkout, run: {command}."


@pytest.mark.parametrize("extra", ["dicom-seg", "codecs", "beam"])
def test_an_installed_package_names_the_packages_of_the_extra(extra, monkeypatch, tmp_path):
    """``liver_tf[...]`` would be looked up on PyPI, where this program is not."""
    # The metadata that setuptools writes for such a pyproject.toml.
    lines = [f"{one}; extra == '{name}'" for name, many in DECLARED.items() for one in many]
    lines += [line.replace("'", '"') for line in lines[:1]] + PROJECT["dependencies"]
    monkeypatch.setattr(extras, "requires", lambda name: lines)
    monkeypatch.setattr(extras, "_PROJECT", tmp_path)
    text = install_extra(extra)
    packages = re.fullmatch(r"Run: python -m pip install (.*)\.", text)[1]
    assert [each.strip("'") for each in packages.split()][: len(DECLARED[extra])] == DECLARED[extra]
    assert "liver_tf" not in text


def test_an_old_python_gets_the_required_version():
    code = "import sys; sys.version_info = (3, 9, 18); import trainers.predict"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    expected = f"liver_tf needs Python 3.11 or newer; this is Python 3.9: {sys.executable}\n"
    assert done.stderr == expected
    assert PROJECT["requires-python"] == ">=3.11"
    # An old Python must be able to read what it runs before that line.
    for folder in ("trainers", "data_prep", "liver_tf"):
        source = (ROOT / folder / "__init__.py").read_text(encoding="utf-8")
        ast.parse(source, feature_version=(3, 7))

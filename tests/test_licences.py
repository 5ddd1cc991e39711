"""Every dependency is listed with a permitted licence."""

import sys

import pytest

from docs import licences


def test_every_dependency_is_listed_with_a_permitted_licence():
    page = licences.PAGE.read_text(encoding="utf-8")
    dependencies = licences.installed_dependencies()
    assert {"numpy", "tensorflow", "keras", "jinja2", "pynetdicom"} <= dependencies.keys()
    for name, (licence, _) in dependencies.items():
        unknown = [part for part in licences.parts_of(licence) if part not in licences.ALLOWED]
        assert not unknown, f"{name}: {licence}"
        assert f"| {name} | {licence} |" in page, "run python -m docs.licences"


@pytest.mark.parametrize(
    ("line", "licence"),
    [
        ("License-Expression: MIT OR Apache-2.0", "MIT OR Apache-2.0"),
        ("License: LGPL-3.0-or-later", "LGPL"),
        ("Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)", "GPL"),
        ("Classifier: License :: OSI Approved :: Apache Software License", "Apache-2.0"),
        ("License: Copyright 2020 A. Person", ""),
        ("Summary: nothing", ""),
    ],
)
def test_licences_are_read_from_the_metadata(tmp_path, monkeypatch, line, licence):
    folder = tmp_path / "foreign_package-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: foreign-package\n{line}\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert licences.licence_of("foreign-package") == licence
    permitted = all(part in licences.ALLOWED for part in licences.parts_of(licence))
    assert permitted == (licence in ("MIT OR Apache-2.0", "Apache-2.0"))

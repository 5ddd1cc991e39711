"""The manifest round-trips; its fingerprint depends only on the data."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from liver_tf.labels import LESION_TYPES, LITS
from liver_tf.records.manifest import MANIFEST_NAME, load_manifest
from liver_tf.refusals import Refusal
from tests.builders import tiny_records
from tests.builders.tiny_records import resealed


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return tiny_records.write_set(tmp_path_factory.mktemp("set"), patients=3)


def test_a_manifest_round_trips_through_its_file(manifest, tmp_path):
    first = replace(
        manifest.cases[0], cautions=(("test-caution", "a caution"),), details={"phase": "portal"}
    )
    full = replace(
        manifest,
        cases=(first, *manifest.cases[1:]),
        refusals=({"code": "nifti-truncated", "text": "[nifti-truncated] ..."},),
        made_by={"version": "0.1", "arguments": ["--a=1"]},
    )
    full.save(tmp_path)
    assert load_manifest(tmp_path) == full
    stored = json.loads((tmp_path / MANIFEST_NAME).read_text())
    assert stored["records"] == 6
    assert stored["fingerprint"] == full.fingerprint


def test_the_fingerprint_depends_only_on_the_data(manifest, tmp_path):
    first = manifest.cases[0]
    same = [
        replace(manifest, made_by={"arguments": ["--other"]}),
        replace(manifest, cases=manifest.cases[::-1]),
        replace(manifest, refusals=({"code": "a", "text": "b"},)),
    ]
    other = [
        replace(manifest, window=(-160, 241)),
        replace(manifest, label_set=replace(LESION_TYPES, name="other")),
        replace(manifest, cases=manifest.cases[1:]),
        replace(manifest, cases=(replace(first, sha256="0" * 64), *manifest.cases[1:])),
        replace(manifest, cases=(replace(first, case="another"), *manifest.cases[1:])),
        replace(manifest, cases=(replace(first, records=1), *manifest.cases[1:])),
    ]
    assert {changed.fingerprint for changed in same} == {manifest.fingerprint}
    assert len({changed.fingerprint for changed in [manifest, *other]}) == len(other) + 1
    (tmp_path / "a").mkdir()
    assert tiny_records.write_set(tmp_path / "a", patients=3).fingerprint == manifest.fingerprint
    (tmp_path / "b").mkdir()
    reseeded = tiny_records.write_set(tmp_path / "b", patients=3, seed=1)
    assert reseeded.fingerprint != manifest.fingerprint


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_without_manifest_is_refused(tmp_path, exists):
    folder = tmp_path if exists else tmp_path / "nowhere"
    found = "a folder without one" if exists else "no such folder"
    with pytest.raises(Refusal, match=rf"\[no-manifest\] .*; found {found}"):
        load_manifest(folder)


def test_another_schema_is_refused_with_both_versions(manifest, tmp_path):
    manifest.save(tmp_path)
    path = tmp_path / MANIFEST_NAME
    path.write_text(path.read_text().replace('"schema": 2', '"schema": 7'))
    with pytest.raises(
        Refusal, match=r"\[schema-version\] expected record schema 2; found schema 7"
    ):
        load_manifest(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[1, 2]",
        lambda text: text.replace('"sha256"', '"sha"', 1),
        lambda text: text.replace('"window"', '"windw"'),
        lambda text: text.replace('"background"', '"air"'),
        lambda text: text.replace('"class_pixels"', '"pixels"', 1),
        lambda text: text.replace('"hashes"', '"hash"', 1),
        lambda text: text.replace('"0:', '"zero:', 1),
        lambda text: text.replace('"records": 2', '"records": 3', 1),
    ],
)
def test_a_damaged_manifest_is_refused(manifest, tmp_path, damage):
    manifest.save(tmp_path)
    path = tmp_path / MANIFEST_NAME
    before = path.read_text()
    path.write_text(resealed(damage(before)))
    assert path.read_text() != before
    with pytest.raises(Refusal, match=r"\[manifest-damaged\] expected the JSON"):
        load_manifest(tmp_path)


def test_other_label_sets_round_trip(tmp_path):
    manifest = tiny_records.write_set(tmp_path, patients=2, label_set=LITS, roi=False)
    loaded = load_manifest(tmp_path)
    assert loaded.label_set == LITS
    assert loaded.roi is None
    assert loaded == manifest


@pytest.mark.parametrize("shard", ["/tmp/shard", "../shard", "a/b", "..", ""])
def test_a_shard_outside_the_folder_is_refused(manifest, tmp_path, shard):
    manifest.save(tmp_path)
    path = tmp_path / MANIFEST_NAME
    content = json.loads(path.read_text())
    content["cases"][0]["shard"] = shard
    path.write_text(resealed(json.dumps(content)))
    with pytest.raises(Refusal, match=r"\[manifest-damaged\] .*; found other content"):
        load_manifest(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"patient": "pat1"', '"patient": "pat0"'),
        ('"group": "pat1"', '"group": "pat0"'),
        ('"liver_sum": ', '"liver_sum": 1'),
        ('"0:', '"1:'),
        ('"diagnosis": "cyst"', '"diagnosis": "cysu"'),
        ('"test": "tiny"', '"test": "tinx"'),
        ('"records": 6', '"records": 7'),
        ('"checksum": "', '"checksum": "0'),
        ('"checksum"', '"chdcksum"'),
    ],
)
def test_changes_of_every_kind_are_refused(manifest, tmp_path, old, new):
    manifest.save(tmp_path)
    path = tmp_path / MANIFEST_NAME
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    match = r"\[manifest-damaged\] .*; found content that does not match its checksum\. Delete"
    with pytest.raises(Refusal, match=match):
        load_manifest(tmp_path)


def test_sets_without_a_checksum_and_other_formatting_are_read(manifest, tmp_path):
    manifest.save(tmp_path)
    path = tmp_path / MANIFEST_NAME
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content, sort_keys=True, indent=4))
    assert load_manifest(tmp_path) == manifest
    del content["checksum"]
    path.write_text(json.dumps(content))
    assert load_manifest(tmp_path) == manifest


def test_the_checksum_can_be_computed_without_this_program(manifest, tmp_path):
    manifest.save(tmp_path)
    path = str(tmp_path / MANIFEST_NAME)
    program = (
        "import hashlib, json, sys; m = json.load(open(sys.argv[1])); s = m.pop('checksum');"
        "d = json.dumps(m, sort_keys=True).encode(); assert hashlib.sha256(d).hexdigest() == s"
    )
    subprocess.run([sys.executable, "-c", program, path], check=True)


def test_deep_nesting_with_a_checksum_is_refused(manifest, tmp_path):
    manifest.save(tmp_path)
    path = tmp_path / MANIFEST_NAME
    for depth in (900, 990, 3000, 100_000):
        deep = '"roi": ' + "[" * depth + "]" * depth
        path.write_text(json.dumps(json.loads(path.read_text()) | {"roi": None}))
        path.write_text(path.read_text().replace('"roi": null', deep))
        with pytest.raises(Refusal, match="manifest-damaged"):
            load_manifest(tmp_path)
        manifest.save(tmp_path)

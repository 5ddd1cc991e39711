"""Unlabelled neighbours: found by position, converted beside the labelled slices, guarded."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from liver_tf.conversion.neighbours import find_neighbours
from liver_tf.conversion.roi_sets import cut_rois
from liver_tf.ct.slices_csv import read_slices_csv
from liver_tf.inference.roi_rule import RoiRule
from liver_tf.phantom.phantom_folder import write_phantom
from liver_tf.phantom.phantom_plan import PhantomPlan
from liver_tf.records.folds import Split
from liver_tf.records.leakage import borders_of, find_leaks, parts_of_split
from liver_tf.records.manifest import CaseEntry, load_manifest
from liver_tf.records.shard_reader import read_case, read_neighbours
from liver_tf.refusals import Refusal
from tests.builders.phantom_sets import convert_slices, read_table, records_of, write_table

PLAN = PhantomPlan(seed=5, lits_volumes=0, patients=5, matrix=64, neighbours=2)


@pytest.fixture(scope="module")
def sheba(tmp_path_factory):
    """Phantom folder of typed slices with neighbours; not to be changed."""
    folder = tmp_path_factory.mktemp("neighbours") / "phantom"
    write_phantom(folder, PLAN)
    return folder / "sheba"


@pytest.fixture(scope="module")
def converted(sheba, tmp_path_factory):
    output = tmp_path_factory.mktemp("records") / "set"
    manifest, refusals = convert_slices(sheba / "slices.csv", output)
    assert not refusals
    return output, manifest


@pytest.fixture
def own(sheba, tmp_path):
    """A copy of the phantom folder that may be changed."""
    return shutil.copytree(sheba, tmp_path / "sheba")


def unlabelled(folder, manifest):
    return [record for entry in manifest.cases for record in read_neighbours(folder, entry)]


def test_neighbours_hold_the_pixels_of_their_files_and_their_distance(sheba, converted):
    folder, manifest = converted
    records = unlabelled(folder, manifest)
    expected = []
    table = read_table(sheba / "slices.csv")
    heights = {}
    for row in table:
        at = pydicom.dcmread(sheba / row["image"]).ImagePositionPatient[2]
        heights.setdefault(row["patient_id"], []).append(at)
    for row in table:
        for path in row["neighbours"].split(";"):
            ds = pydicom.dcmread(sheba / path)
            stored = ds.pixel_array.astype(float)
            hu = stored * ds.RescaleSlope + ds.RescaleIntercept
            hu = np.where(stored == ds.get("PixelPaddingValue", np.nan), -1000, hu)
            offsets = [float(ds.ImagePositionPatient[2] - at) for at in heights[row["patient_id"]]]
            expected.append((min(offsets, key=abs), hu.clip(-160, 240)))
    assert len(records) == len(expected) > 10
    for record in records:
        same = [offset for offset, hu in expected if np.array_equal(hu, record.image)]
        assert same == [pytest.approx(record.offset_mm, abs=1e-3)]
        assert not record.labels.any()
        assert record.diagnosis == ""


def test_labelled_records_do_not_depend_on_neighbours(sheba, converted, own, tmp_path):
    folder, manifest = converted
    rows = [
        {k: v for k, v in row.items() if k != "neighbours"}
        for row in read_table(own / "slices.csv")
    ]
    without, _ = convert_slices(write_table(own / "slices.csv", rows), tmp_path / "without")
    assert without.fingerprint == manifest.fingerprint
    assert all(entry.neighbours is None for entry in without.cases)
    assert "neighbours" not in (tmp_path / "without/manifest.json").read_text("utf-8")
    labelled = records_of(folder)
    assert len(labelled) == len(rows)
    assert all(record.neighbour_of is None for record in labelled.values())


def test_each_neighbour_belongs_to_the_nearest_annotated_slice_of_its_case(converted):
    folder, manifest = converted
    for entry in manifest.cases:
        annotated = {record.slice_index for record in read_case(folder, entry)}
        near = list(read_neighbours(folder, entry))
        assert {record.neighbour_of for record in near} <= annotated
        assert not annotated & {record.slice_index for record in near}
        assert {record.patient for record in near} == {entry.patient}
        assert all(0.1 < abs(record.offset_mm) <= 5.0 for record in near)


def folder_of_series(own, row):
    """The folder with all slices of the row's patient, and two files that do not belong to it."""
    folder = own / "series"
    folder.mkdir(exist_ok=True)
    for name in (row["image"], *row["neighbours"].split(";")):
        shutil.copy(own / name, folder)
    (folder / "notes.txt").write_text("no DICOM", encoding="utf-8")
    other = pydicom.dcmread(own / row["neighbours"].split(";")[0])
    other.SeriesInstanceUID += ".1"
    other.save_as(folder / "other.dcm")
    return "series"


def placed(own, rows, reach_mm=5.0):
    read, refusals = read_slices_csv(write_table(own / "slices.csv", rows))
    assert not refusals
    return find_neighbours(read, reach_mm)


def test_a_series_folder_gives_the_slices_within_reach(own):
    row = read_table(own / "slices.csv")[0]
    listed, refusals = placed(own, [row])
    assert not refusals
    assert len(listed) == 2
    distances = sorted(abs(neighbour.offset_mm) for neighbour in listed)
    in_folder = {**row, "neighbours": folder_of_series(own, row)}
    found, refusals = placed(own, [in_folder])
    assert not refusals
    assert [(n.path.name, n.offset_mm) for n in found] == [
        (n.path.name, n.offset_mm) for n in listed
    ]
    none, _ = placed(own, [in_folder], reach_mm=distances[0] / 2)
    assert none == ()


def test_a_slice_between_two_annotated_ones_is_taken_once_by_the_nearer(own):
    row = read_table(own / "slices.csv")[0]
    _, above = row["neighbours"].split(";")
    annotated = {**row, "slice_id": "second", "image": above, "neighbours": ""}
    between = pydicom.dcmread(own / row["image"])
    at, end = (
        pydicom.dcmread(own / name).ImagePositionPatient[2] for name in (row["image"], above)
    )
    between.ImagePositionPatient[2] = at + 0.75 * (end - at)
    between.save_as(own / "neighbours/between.dcm")
    row["neighbours"] = "neighbours/between.dcm"
    (neighbour,), refusals = placed(own, [row, annotated])
    assert not refusals
    assert (neighbour.row, neighbour.offset_mm) == (
        1,
        pytest.approx(float(-0.25 * (end - at)), abs=1e-4),
    )


def changed(own, path, **elements):
    ds = pydicom.dcmread(own / path)
    for name, value in elements.items():
        setattr(ds, name, value)
    ds.save_as(own / path)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("neighbour-other-series", {"SeriesInstanceUID": "2.25.1"}),
        ("neighbour-unplaced", {"SeriesInstanceUID": ""}),
        ("neighbour-unplaced", {"ImagePositionPatient": None}),
        ("neighbour-other-geometry", {"PixelSpacing": [1, 1]}),
        ("neighbour-other-geometry", {"ImagePositionPatient": [0, 0, 0]}),
        ("dicom-no-prefix", None),
    ],
)
def test_a_listed_slice_that_cannot_be_used_is_refused_alone(own, tmp_path, code, change):
    rows = read_table(own / "slices.csv")
    path = rows[0]["neighbours"].split(";")[0]
    if change is None:
        (own / path).write_text("no DICOM", encoding="utf-8")
    else:
        changed(own, path, **change)
    manifest, refusals = convert_slices(own / "slices.csv", tmp_path / "set")
    assert [refusal.code for refusal in refusals] == [code]
    assert manifest.records == len(rows)
    assert (
        sum(entry.neighbours.records for entry in manifest.cases)
        == sum(row["neighbours"].count(";") + 1 for row in rows) - 1
    )


def test_annotated_and_repeated_slices_are_refused_as_neighbours(own):
    row = read_table(own / "slices.csv")[0]
    one = row["neighbours"].split(";")[0]
    _, (annotated, twice) = placed(own, [{**row, "neighbours": f"{one};{row['image']};{one}"}])
    assert [annotated.code, twice.code] == ["neighbour-annotated", "neighbour-twice"]


def test_the_table_takes_files_or_one_folder(own):
    row = read_table(own / "slices.csv")[0]
    table = write_table(own / "slices.csv", [{**row, "neighbours": "images;neighbours"}])
    assert [r.code for r in read_slices_csv(table)[1]] == ["csv-neighbours"]
    table = write_table(own / "slices.csv", [{**row, "neighbours": "../outside.dcm"}])
    assert [r.code for r in read_slices_csv(table)[1]] == ["csv-outside"]


def test_neighbours_of_a_refused_slice_are_not_converted(own, tmp_path):
    rows = read_table(own / "slices.csv")
    (own / rows[0]["mask"]).write_bytes(b"")
    manifest, refusals = convert_slices(own / "slices.csv", tmp_path / "set")
    assert len(refusals) == 1
    of_case = {record.neighbour_of for record in unlabelled(tmp_path / "set", manifest)}
    assert 0 in of_case  # of other patients
    (case,) = [e for e in manifest.cases if 0 not in {int(h.split(":")[0]) for h in e.hashes}]
    assert all(record.neighbour_of for record in read_neighbours(tmp_path / "set", case))


def test_a_conversion_without_neighbours_removes_their_shards(own, tmp_path):
    convert_slices(own / "slices.csv", tmp_path / "set")
    assert list((tmp_path / "set").glob("*.neighbours.tfrecord"))
    rows = [{**row, "neighbours": ""} for row in read_table(own / "slices.csv")]
    convert_slices(write_table(own / "slices.csv", rows), tmp_path / "set")
    assert not list((tmp_path / "set").glob("*.neighbours.tfrecord"))


def test_a_damaged_shard_is_refused_and_converted_again(own, tmp_path):
    output = tmp_path / "set"
    manifest, _ = convert_slices(own / "slices.csv", output)
    shard = output / manifest.cases[0].neighbours.shard
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + b"x")
    with pytest.raises(Refusal, match="shard-sha256"):
        list(read_neighbours(output, manifest.cases[0]))
    convert_slices(own / "slices.csv", output)
    assert shard.read_bytes() == content


def test_the_leakage_guard_knows_neighbours_in_whole_slices_and_rois(own, tmp_path):
    """A slice of one patient that is the neighbour of another patient's."""
    rows = read_table(own / "slices.csv")
    first = next(row for row in rows if row["patient_id"] == "p000")
    other = next(row for row in rows if row["patient_id"] == "p001")
    header = pydicom.dcmread(own / other["neighbours"].split(";")[0])
    copy = pydicom.dcmread(own / first["image"])
    for name in ("SeriesInstanceUID", "ImagePositionPatient", "PixelSpacing"):
        setattr(copy, name, getattr(header, name))
    copy.save_as(own / other["neighbours"].split(";")[0])
    manifest, refusals = convert_slices(own / "slices.csv", tmp_path / "set")
    assert not refusals
    rois, _ = cut_rois(tmp_path / "set", tmp_path / "rois", None, RoiRule())
    patients = {entry.case: entry.neighbours.hashes for entry in manifest.cases}
    for one in (manifest, rois, load_manifest(tmp_path / "rois")):
        assert {entry.case: entry.neighbours.hashes for entry in one.cases} == patients
        halves = [e.case for e in one.cases]
        splits = [Split((case,), tuple(c for c in halves if c != case)) for case in halves]
        parts = [parts_of_split("fold", one, split) for split in splits]
        leaks = [leak for each in parts for leak in find_leaks(borders_of(each))]
        assert {leak.kind for leak in leaks} == {"identical-slice"}


def test_manifest_round_trip_checks_the_shard_of_neighbours(converted):
    entry = converted[1].cases[0]
    value = entry.to_json()
    assert CaseEntry.from_json(value) == entry
    with pytest.raises(ValueError, match="hash for every slice"):
        CaseEntry.from_json({**value, "neighbours": {**value["neighbours"], "records": 1}})
    with pytest.raises(ValueError, match="file name without folders"):
        CaseEntry.from_json({**value, "neighbours": {**value["neighbours"], "shard": "../x"}})


def test_phantom_neighbours_change_no_other_file_and_have_true_masks(sheba, tmp_path):
    write_phantom(tmp_path / "plain", replace(PLAN, neighbours=0))
    for path in (tmp_path / "plain/sheba").rglob("*.*"):
        if path.name != "slices.csv":
            assert (
                path.read_bytes()
                == (sheba / path.relative_to(tmp_path / "plain/sheba")).read_bytes()
            )
    _, refusals = convert_slices(sheba / "true_neighbours.csv", tmp_path / "truth")
    assert not refusals
    truth = records_of(tmp_path / "truth").values()
    assert len(truth) == len(list((sheba / "neighbours").iterdir()))
    assert any(record.labels.max() > 1 for record in truth)

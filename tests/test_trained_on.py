"""What networks learned from: derived from record sets, stored with models, shown with results."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from liver_tf.conversion.build_record_set import convert
from liver_tf.conversion.data_kind import data_kind
from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.scan_findings import ScanFindings
from liver_tf.export.scan_results import write_results
from liver_tf.labels import LESION_TYPES, LITS, LIVER_ONLY, LabelSet
from liver_tf.model.description import load_description
from liver_tf.records.folds import Split
from liver_tf.scan_ranges import ScanRanges
from liver_tf.trained_on import CascadeTrainedOn, TrainedOn
from liver_tf.training.computation import Computation
from liver_tf.training.job import Job, make_plan
from liver_tf.training.protocol import SCRATCH, Protocol
from liver_tf.training.training_settings import PretrainSettings
from tests.builders.lesions import lesions_of
from tests.builders.placed_series import MARK_HU, write_placed_series

PHANTOMS = TrainedOn("phantom", 0, 160)
TYPED = TrainedOn("phantom", 0, 200, "phantom")
PATIENTS = TrainedOn("real", 140, 0, "real")


@pytest.mark.parametrize(
    ("data", "typed", "expected"),
    [
        ("phantom", False, TrainedOn("phantom", 0, 7, None)),
        ("phantom", True, TrainedOn("phantom", 0, 7, "phantom")),
        ("implanted", True, TrainedOn("mixed", 7, 0, "implanted")),
        ("real", True, TrainedOn("real", 7, 0, "real")),
    ],
)
def test_a_record_set_counts_patients_or_phantoms(data, typed, expected):
    assert TrainedOn.of_set(data, 7, typed=typed) == expected


@pytest.mark.parametrize(
    ("later", "earlier", "expected"),
    [
        (PATIENTS, PHANTOMS, TrainedOn("mixed", 140, 160, "real")),
        (TYPED, PHANTOMS, TrainedOn("phantom", 0, 360, "phantom")),
        (TYPED, PATIENTS, TrainedOn("mixed", 140, 200, "phantom")),
        (replace(PATIENTS, types_from=None), PATIENTS, TrainedOn("real", 280, 0, None)),
    ],
)
def test_pre_training_counts_and_the_last_types_count(later, earlier, expected):
    assert later.after(earlier) == expected


UNTYPED = replace(PATIENTS, patients=1, types_from=None)


@pytest.mark.parametrize(
    ("liver", "lesion", "kind", "notice"),
    [
        (
            *(PHANTOMS, (PHANTOMS,), "phantom"),
            "These networks learned from computed phantoms only, not from patients "
            "(160 computed phantoms)",
        ),
        (
            *(PHANTOMS, (TYPED,), "phantom"),
            "These networks learned from computed phantoms only, not from patients "
            "(liver network: 160 computed phantoms; lesion network: 200 computed phantoms)",
        ),
        (
            *(PATIENTS.after(PHANTOMS), (PATIENTS.after(TYPED),), "mixed"),
            "These networks learned from computed images and from patients (liver network: "
            "140 patients and 160 computed phantoms; lesion network: 140 patients and 200 "
            "computed phantoms)",
        ),
        (
            *(UNTYPED, (PATIENTS,), "real"),
            "These networks learned from patients (liver network: 1 patient; "
            "lesion network: 140 patients)",
        ),
        (
            *(PATIENTS, (PATIENTS, UNTYPED), "real"),
            "These networks learned from patients (liver network: 140 patients; "
            "lesion networks: up to 140 patients)",
        ),
        (
            *(PATIENTS, (TYPED,), "mixed"),
            "The liver network learned from 140 patients, the lesion network from "
            "200 computed phantoms",
        ),
        (
            *(None, (TYPED,), "unknown"),
            "The liver network learned from unknown data, the lesion network from "
            "200 computed phantoms",
        ),
        (
            *(PATIENTS, (TYPED, None), "unknown"),
            "The liver network learned from 140 patients, the lesion networks from unknown data",
        ),
        (None, (None,), "unknown", "It is not known what these networks learned from"),
        (None, (), "unknown", "It is not known what these networks learned from"),
    ],
)
def test_a_cascade_always_states_what_it_learned_from(liver, lesion, kind, notice):
    value = json.loads(json.dumps(CascadeTrainedOn(liver, lesion).to_json()))
    assert value["kind"] == kind
    types = "unvalidated on real lesions" if TYPED in lesion else None
    ending = ": research use only." + (f" Lesion types: {types}." if types else "")
    assert value["notice"] == notice + ending
    assert value["types"] == types
    assert value["lesion_networks"] == [one and vars(one) for one in lesion]


def test_networks_without_ranges_are_stated():
    known = replace(PATIENTS, ranges=ScanRanges(slice_mm=(1.0, 5.0)))
    assert CascadeTrainedOn(known, (known,)).to_json()["ranges_unknown"] == []
    assert CascadeTrainedOn(known, (known, None)).to_json()["ranges_unknown"] == ["lesion network"]


@pytest.mark.parametrize("bad", [{"kind": "computed"}, {"patients": -1}, {"types_from": "x"}])
def test_other_values_are_refused(bad):
    with pytest.raises(ValueError, match="trained_on"):
        replace(PHANTOMS, **bad)


def test_only_named_types_are_types():
    assert not LIVER_ONLY.has_types
    assert not LITS.has_types
    assert LESION_TYPES.has_types
    assert LabelSet("one", ("background", "liver", "cyst")).has_types


@pytest.mark.parametrize("mark", ["phantom.json", "implanted.json", None])
@pytest.mark.parametrize("source", ["lits", "slices"])
def test_a_conversion_recognises_computed_files(mark, source, tiny_phantom, tmp_path, monkeypatch):
    monkeypatch.setenv("LIVER_TF_SITE_KEY", "a-key-for-tests-only")
    data = tmp_path / "data"
    shutil.copytree(tiny_phantom, data)
    (data / "phantom.json").unlink()
    if mark:
        (data / mark).write_text("{}")
    given = data / ("lits" if source == "lits" else "sheba/slices.csv")
    done = convert(source=source, input=given, output=tmp_path / "records", workers=1, folds=1)
    assert done.manifest.made_by["data"] == (mark or "real.json").removesuffix(".json")


def counted(trained_on):
    """Without the ranges of its scans, which other tests check."""
    return trained_on and replace(trained_on, ranges=None)


def job(folder, manifest, before=None):
    settings = PretrainSettings.of(network="lesion", records=folder, run="unused", image_size=32)
    protocol = Protocol("one", SCRATCH, (settings.schedule,))
    plan = make_plan(settings, "lesion", manifest, settings.architecture, protocol)
    cases = tuple(entry.case for entry in manifest.cases)
    return Job.of(plan, Split(cases[:4], cases[4:6], cases[6:]), Computation(), before=before)


def test_training_stores_what_it_learned_from(record_set, make_network):
    folder, manifest = record_set
    real = replace(manifest, made_by={"data": "real"})
    # 8 patients, of whom 2 are for testing.
    assert counted(job(folder, real).description().trained_on) == TrainedOn("real", 6, 0, "real")
    before = replace(make_network("lesion").description, trained_on=PHANTOMS)
    mixed = job(folder, real, before).description().trained_on
    assert mixed == TrainedOn("mixed", 6, 160, "real")
    # Neither set nor pre-trained network of earlier versions states its kind.
    assert job(folder, manifest).description().trained_on is None
    assert job(folder, manifest, before).description().trained_on is None
    unknown = replace(before, trained_on=None)
    assert job(folder, real, unknown).description().trained_on is None


def test_sets_with_tissue_maps_are_phantoms(record_set):
    _, manifest = record_set
    mapped = [replace(entry, details={"tissues": "phantom"}) for entry in manifest.cases]
    some = replace(manifest, cases=(*mapped[:3], *manifest.cases[3:]))
    names = [entry.case for entry in manifest.cases]
    assert counted(some.trained_on(names[:3], typed=False)) == TrainedOn("phantom", 0, 3)
    assert some.trained_on(names[:4], typed=False) is None
    real = replace(some, made_by={"data": "real"})
    assert counted(real.trained_on(names[:3], typed=False)) == TrainedOn("phantom", 0, 3)
    assert counted(real.trained_on(names[:4], typed=False)) == TrainedOn("real", 4, 0)


@pytest.mark.parametrize(
    ("marked", "kind"), [(("a", "b"), "phantom"), (("a",), "real"), ((), "real")]
)
def test_a_folder_of_phantom_folders_is_of_phantoms(marked, kind, tmp_path):
    source = tmp_path / "home" / "user" / "data"
    for name in ("a", "b"):
        (source / name).mkdir(parents=True)
    for name in marked:
        (source / name / "phantom.json").touch()
    assert data_kind(source) == kind


def test_a_model_keeps_it(make_network, tmp_path):
    network = make_network("lesion")
    replace(network.description, trained_on=TYPED).save(tmp_path)
    (tmp_path / "weights.npz").touch()
    assert load_description(tmp_path).trained_on == TYPED
    value = json.loads((tmp_path / "model.json").read_text())
    del value["trained_on"]  # an earlier version
    (tmp_path / "model.json").write_text(json.dumps(value))
    assert load_description(tmp_path).trained_on is None


@pytest.mark.parametrize("lesion", [TYPED, PATIENTS])
def test_results_of_a_scan_carry_it(lesion, tmp_path):
    pytest.importorskip("highdicom", reason="pip install 'liver_tf[dicom-seg]'")
    write_placed_series(tmp_path / "series", (1, 0, 0), (0, 1, 0))
    scan = read_dicom_series(tmp_path / "series")
    labels = np.where(scan.hu == MARK_HU, 3, scan.hu == 40).astype(np.uint8)
    lesions = lesions_of(labels, scan.hu, scan.spacing_mm, LESION_TYPES)
    trained_on = CascadeTrainedOn(PHANTOMS, (lesion,))
    findings = ScanFindings(scan, labels, lesions, LESION_TYPES, trained_on=trained_on)
    folder = tmp_path / "scan-001"
    results = write_results(folder, findings, AlgorithmIdentity("ab12"), pictures=0)
    note = "unvalidated on real lesions" if lesion == TYPED else ""
    stored = json.loads((folder / "lesions.json").read_text())["trained_on"]
    assert stored == json.loads(json.dumps(trained_on.to_json()))
    with open(folder / "lesions.csv", newline="", encoding="utf-8") as file:
        assert [row["type_note"] for row in csv.DictReader(file)] == [note]
    assert [row["type_note"] or "" for row in results.lesions] == [note]
    page = (folder / "scan.html").read_text()
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert json.loads(data)["trained_on"] == stored
    assert trained_on.notice in page
    segments = pydicom.dcmread(folder / "segmentation.dcm").SegmentSequence
    described = [item.get("SegmentDescription", "") for item in segments]
    assert described == ["", *[f"Lesion type {note}" if note else ""] * 3]

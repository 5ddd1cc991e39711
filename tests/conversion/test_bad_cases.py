"""A bad case is refused by name and the others go on; masks mean what the flags say they mean."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

from liver_tf.conversion.sources import find_lits, find_slices
from liver_tf.ct.pseudonyms import pseudonym
from liver_tf.labels import LESION_TYPES
from liver_tf.records.manifest import load_manifest
from liver_tf.refusals import Refusal
from tests.builders.phantom_sets import (
    KEY,
    MASK_VALUES,
    bytes_of,
    command,
    convert_lits,
    convert_slices,
    read_table,
    records_of,
    write_table,
)


@pytest.fixture
def sheba(tiny_phantom, tmp_path):
    return shutil.copytree(tiny_phantom / "sheba", tmp_path / "sheba")


def first_row(folder, **wanted) -> dict[str, str]:
    rows = read_table(folder / "slices.csv")
    return next(row for row in rows if all(row[key] == value for key, value in wanted.items()))


def codes(refusals) -> list[str]:
    return [refusal.code for refusal in refusals]


def test_bad_slices_are_listed_and_the_others_converted(sheba, slices_set, tmp_path):
    rows = read_table(sheba / "slices.csv")
    several = [row for row in rows if row["slice_id"].endswith("_s1")]
    cut, unmapped, unknown, gone = several[0], several[1], several[2], several[3]
    data = (sheba / cut["image"]).read_bytes()
    (sheba / cut["image"]).write_bytes(data[:-1000])
    mask = np.array(Image.open(sheba / unmapped["mask"]))
    mask[0, 0] = 7
    Image.fromarray(mask).save(sheba / unmapped["mask"])
    unknown["diagnosis"] = "abscess"
    (sheba / gone["mask"]).unlink()
    write_table(sheba / "slices.csv", rows)
    output = tmp_path / "set"
    done = command(
        "build_tfrecords",
        "--source=slices",
        f"--input={sheba / 'slices.csv'}",
        f"--output={output}",
        "--workers=1",
    )
    assert done.returncode == 1
    wanted = {"dicom-truncated", "mask-unmapped", "csv-diagnosis", "csv-no-file"}
    assert "4 refused" in done.stderr
    for code in wanted:
        assert f"[{code}]" in done.stderr
    assert str(sheba / cut["image"]) in done.stderr
    stored = json.loads((output / "manifest.json").read_text())
    assert {refusal["code"] for refusal in stored["refusals"]} == wanted
    assert stored["records"] == len(rows) - 4
    assert (output / "folds.json").is_file()
    # Patients without a bad slice are untouched by it.
    bad = {pseudonym(KEY, "case", row["patient_id"]) for row in several[:4]}
    whole = bytes_of(slices_set, "*.tfrecord")
    found = bytes_of(output, "*.tfrecord")
    good = {name for name in whole if name.removesuffix(".tfrecord") not in bad}
    assert good
    assert all(found[name] == whole[name] for name in good)


def test_bad_volumes_are_refused_and_the_others_converted(tiny_phantom, lits_set, tmp_path):
    source = shutil.copytree(tiny_phantom / "lits", tmp_path / "lits")
    data = (source / "segmentation-1.nii.gz").read_bytes()
    (source / "segmentation-1.nii.gz").write_bytes(data[:-100])
    shutil.copy(source / "volume-0.nii.gz", source / "volume-7.nii.gz")
    manifest, refusals = convert_lits(source, tmp_path / "set")
    assert codes(refusals) == ["pair-no-segmentation", "nifti-truncated"]
    assert [case.case for case in manifest.cases] == [pseudonym(KEY, "case", "lits-0")]
    shard = manifest.cases[0].shard
    assert (tmp_path / "set" / shard).read_bytes() == (lits_set / shard).read_bytes()


def test_mended_slices_are_taken_at_the_next_start(sheba, slices_set, tmp_path):
    row = first_row(sheba)
    image = sheba / row["image"]
    data = image.read_bytes()
    image.write_bytes(data[:-10])
    _, refusals = convert_slices(sheba / "slices.csv", tmp_path / "set")
    assert codes(refusals) == ["dicom-truncated"]
    image.write_bytes(data)
    _, refusals = convert_slices(sheba / "slices.csv", tmp_path / "set")
    assert not refusals
    assert bytes_of(tmp_path / "set", "*.tfrecord") == bytes_of(slices_set, "*.tfrecord")


def test_nothing_that_can_be_read(tmp_path):
    source = tmp_path / "lits"
    source.mkdir()
    for name in ("volume-0.nii", "segmentation-0.nii"):
        (source / name).write_text("not a NIfTI file")
    manifest, refusals = convert_lits(source, tmp_path / "set")
    assert manifest is None
    assert codes(refusals) == ["nifti-header", "nothing-converted"]
    assert not (tmp_path / "set/manifest.json").exists()


@pytest.mark.parametrize("source", ["lits", "slices"])
def test_errors_that_nobody_foresaw_stop_one_case_only(
    tiny_phantom, sheba, monkeypatch, tmp_path, source
):
    from liver_tf.conversion import case_reader

    name = "open_nifti_with_labels" if source == "lits" else "read_dicom_slice"
    real = getattr(case_reader, name)
    bad = "volume-1" if source == "lits" else first_row(sheba)["image"]

    def failing(path, *more):
        if bad in str(path):
            raise RuntimeError("CANARY of a patient")
        return real(path, *more)

    monkeypatch.setattr(case_reader, name, failing)
    if source == "lits":
        manifest, refusals = convert_lits(tiny_phantom / "lits", tmp_path / "set")
        assert manifest.records == 8
    else:
        manifest, refusals = convert_slices(sheba / "slices.csv", tmp_path / "set")
        assert manifest.records == 20
    assert codes(refusals) == ["unexpected-error"]
    assert "RuntimeError" in refusals[0].text()
    assert "CANARY" not in refusals[0].text_with_path()


def test_a_window_that_the_pixels_cannot_hold_is_a_refusal(tiny_phantom, tmp_path):
    from liver_tf.conversion.convert_cases import Target, convert_case

    tasks, _ = find_lits(tiny_phantom / "lits", KEY)
    outcome = convert_case((tasks[0], Target(tmp_path, (-40000, 240))))
    assert outcome.entry is None
    assert codes(outcome.refusals) == ["unexpected-error"]
    assert not list(tmp_path.glob("*.tfrecord"))


def set_patient_ids(sheba, names):
    """Write PatientID into the images, by the table's patient_id."""
    for row in read_table(sheba / "slices.csv"):
        file = pydicom.dcmread(sheba / row["image"])
        file.PatientID = names(row["patient_id"])
        file.save_as(sheba / row["image"])


def test_one_person_under_two_names_in_the_table_is_refused(sheba, tmp_path):
    """Other slices of the same liver are not alike: only PatientID can tell."""
    rows = read_table(sheba / "slices.csv")
    first, second, *_ = dict.fromkeys(row["patient_id"] for row in rows)
    set_patient_ids(sheba, lambda name: "X" if name in (first, second) else f"{name}x")
    lines = [n for n, row in enumerate(rows, 2) if row["patient_id"] in (first, second)]
    manifest, refusals = convert_slices(sheba / "slices.csv", tmp_path / "set")
    assert codes(refusals) == ["csv-patient-twice"] * len(lines)
    for line, refusal in zip(lines, refusals, strict=True):
        assert f"in line {line}: one patient_id" in refusal.text()
    others = [row for row in rows if row["patient_id"] not in (first, second)]
    assert manifest.records == len(others)
    tasks, refusals = find_slices(
        sheba / "slices.csv", KEY, LESION_TYPES, MASK_VALUES, ignore_patient_id=True
    )
    assert not refusals
    assert sum(len(task.rows) for task in tasks) == len(rows)


def test_one_patient_id_for_all_tells_nothing(sheba):
    set_patient_ids(sheba, lambda name: "ANONYMOUS")
    _, refusals = find_slices(sheba / "slices.csv", KEY, LESION_TYPES, MASK_VALUES)
    assert not refusals


def test_a_record_set_of_others_is_not_swept_away(tiny_phantom, lits_set, tmp_path):
    folder = shutil.copytree(lits_set, tmp_path / "set")
    before = bytes_of(folder)
    with pytest.raises(Refusal, match=r"\[output-other-set\].*made with another source"):
        convert_slices(tiny_phantom / "sheba/slices.csv", folder)
    assert bytes_of(folder) == before


def test_a_folder_that_may_not_be_entered_is_told(tiny_phantom, tmp_path, monkeypatch):
    source = shutil.copytree(tiny_phantom / "lits", tmp_path / "lits")
    (source / "locked").mkdir()
    real = os.scandir

    def scandir(path):
        if Path(path).name == "locked":  # the tests' user may enter everything
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    tasks, refusals = find_lits(source, KEY)
    assert len(tasks) == 2
    assert codes(refusals) == ["file-unreadable"]
    assert refusals[0].path == source / "locked"


def test_groups_of_lits(tmp_path):
    for number in (26, 27, 48, 49):
        for part in ("volume", "segmentation"):
            (tmp_path / f"{part}-{number}.nii").touch()
    tasks, refusals = find_lits(tmp_path, KEY)
    assert not refusals
    by_number = dict(zip((26, 27, 48, 49), tasks, strict=True))
    assert by_number[27].group == by_number[48].group == "3D-IRCADb"
    assert by_number[27].patient != by_number[48].patient
    for number in (26, 49):
        assert by_number[number].group == by_number[number].patient
    assert len({task.case for task in tasks}) == 4


def test_mask_values_may_name_kinds_of_lesion(sheba, tmp_path):
    row = first_row(sheba, diagnosis="cyst")
    mask = np.array(Image.open(sheba / row["mask"]))
    wanted = np.where(mask == 2, LESION_TYPES.index("cyst"), mask)
    row_of_liver = np.argwhere(mask == 1)[0]
    wanted[tuple(row_of_liver)] = LESION_TYPES.index("metastasis")
    coded = np.array([10, 20, 30, 40, 50], np.uint8)[wanted]
    Image.fromarray(coded).save(sheba / row["mask"])
    write_table(sheba / "slices.csv", [row])
    names = ((10, "background"), (20, "liver"), (30, "cyst"), (40, "hemangioma"))
    meanings = (*names, (50, "metastasis"))
    _, refusals = convert_slices(sheba / "slices.csv", tmp_path / "set", meanings)
    assert not refusals
    (record,) = records_of(tmp_path / "set").values()
    np.testing.assert_array_equal(record.labels, wanted)


def test_other_mask_values_make_other_records(sheba, tmp_path):
    """A memo of other mask values does not stand for the case."""
    convert_slices(sheba / "slices.csv", tmp_path / "set")
    before = bytes_of(tmp_path / "set", "*.tfrecord")
    meanings = ((0, "background"), (1, "background"), (2, "lesion"))
    manifest, _ = convert_slices(sheba / "slices.csv", tmp_path / "set", meanings)
    assert sum(case.statistics.class_pixels[1] for case in manifest.cases) == 0
    assert not before.items() & bytes_of(tmp_path / "set", "*.tfrecord").items()


@pytest.mark.parametrize("meaning", ["lesion", "cyst"])
def test_healthy_with_a_lesion_is_refused(sheba, tmp_path, meaning):
    row = first_row(sheba, diagnosis="metastasis")
    row["diagnosis"] = "healthy"
    write_table(sheba / "slices.csv", [row])
    meanings = ((0, "background"), (1, "liver"), (2, meaning))
    _, refusals = convert_slices(sheba / "slices.csv", tmp_path / "set", meanings)
    assert codes(refusals) == ["diagnosis-against-mask", "nothing-converted"]
    assert "found lesion pixels" in refusals[0].text()


def test_a_diagnosis_that_the_mask_does_not_show_is_refused(sheba, tmp_path):
    row = first_row(sheba, diagnosis="metastasis")
    write_table(sheba / "slices.csv", [row])
    meanings = ((0, "background"), (1, "liver"), (2, "cyst"))
    _, refusals = convert_slices(sheba / "slices.csv", tmp_path / "set", meanings)
    assert codes(refusals) == ["diagnosis-against-mask", "nothing-converted"]
    assert "found no pixel of metastasis" in refusals[0].text()


def test_a_healthy_slice_without_mask_is_refused(sheba, tmp_path):
    rows = read_table(sheba / "slices.csv")
    row = next(row for row in rows if row["diagnosis"] == "healthy")
    row["mask"] = ""
    write_table(sheba / "slices.csv", rows)
    manifest, refusals = convert_slices(sheba / "slices.csv", tmp_path / "set")
    assert codes(refusals) == ["mask-missing"]
    assert "Outline the liver in healthy slices too" in refusals[0].text()
    assert manifest.records == len(rows) - 1


def test_a_slice_without_liver_is_accepted(sheba, tmp_path):
    row = first_row(sheba, diagnosis="healthy")
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(sheba / row["mask"])
    write_table(sheba / "slices.csv", [row])
    manifest, refusals = convert_slices(sheba / "slices.csv", tmp_path / "set")
    assert not refusals
    assert manifest.cases[0].statistics.class_pixels == (64 * 64, 0, 0, 0, 0)


def test_pseudonyms_follow_the_key(tiny_phantom):
    table = tiny_phantom / "sheba/slices.csv"
    one, _ = find_slices(table, KEY, LESION_TYPES, ())
    again, _ = find_slices(table, KEY, LESION_TYPES, ())
    other, _ = find_slices(table, KEY[::-1], LESION_TYPES, ())
    assert one == again
    assert not {task.case for task in one} & {task.case for task in other}
    assert not {task.sources for task in one} & {task.sources for task in other}


def test_a_moved_input_is_the_same_input(tiny_phantom, tmp_path):
    moved = shutil.copytree(tiny_phantom / "lits", tmp_path / "elsewhere")
    before, _ = find_lits(tiny_phantom / "lits", KEY)
    after, _ = find_lits(moved, KEY)
    assert [task.sources for task in before] == [task.sources for task in after]


def test_volumes_without_lesion_or_liver_are_accepted(tiny_phantom, tmp_path):
    source = tmp_path / "lits"
    source.mkdir()
    for number, keep in ((0, 1), (1, 0)):
        volume = tiny_phantom / f"lits/volume-{number}.nii.gz"
        shutil.copy(volume, source)
        image = nibabel.load(tiny_phantom / f"lits/segmentation-{number}.nii.gz")
        labels = np.minimum(np.asarray(image.dataobj), keep)
        mask = nibabel.Nifti1Image(labels, image.affine)
        nibabel.save(mask, source / f"segmentation-{number}.nii.gz")
    manifest, refusals = convert_lits(source, tmp_path / "set")
    assert not refusals
    assert load_manifest(tmp_path / "set") == manifest
    assert {case.diagnosis for case in manifest.cases} == {"healthy"}
    assert sum(case.statistics.class_pixels[2] for case in manifest.cases) == 0


def test_a_single_patient_is_converted_without_folds(tiny_phantom, tmp_path):
    lines = (tiny_phantom / "sheba" / "slices.csv").read_text().splitlines()
    first = lines[1].split(",")[1]
    table = tiny_phantom / "sheba" / "one.csv"
    table.write_text("\n".join([lines[0], *(x for x in lines if f",{first}," in x)]) + "\n")
    arguments = ("build_tfrecords", "--source=slices", f"--input={table}", "--workers=1")
    refused = command(*arguments, f"--output={tmp_path / 'folds'}")
    assert refused.returncode == 1
    assert "[too-few-patients]" in refused.stderr
    assert "--folds (1 writes none)" in refused.stderr
    done = command(*arguments, "--folds=1", f"--output={tmp_path / 'none'}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "none" / "manifest.json").exists()
    assert not (tmp_path / "none" / "folds.json").exists()

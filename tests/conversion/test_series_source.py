"""DICOM series with DICOM SEG, from the command to the records."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest

from liver_tf.conversion.convert_cases import CaseOutcome, Target, convert_case
from liver_tf.conversion.segment_mapping import DEFAULT_SEGMENTS, parse_segments
from liver_tf.conversion.sources import find_series
from liver_tf.ct.pseudonyms import pseudonym
from liver_tf.labels import LESION_TYPES, LITS
from liver_tf.records.manifest import load_manifest
from tests.builders.ct_files import SERIES_UID, phantom_hu, phantom_labels, write_seg, write_series
from tests.builders.phantom_sets import (
    KEY,
    bytes_of,
    convert_series,
    records_of,
    run_command,
    run_process,
    without_data_kind,
)

LABELS = phantom_labels()
LIVER, LESION = LABELS > 0, LABELS == 2
CANARY = "CANARY"


def write_case(folder: Path, number: int, *, patient=None, segments=None, change=None) -> None:
    """A series in its own folder, and its segmentation beside it."""
    folder.mkdir(exist_ok=True)

    def of_series(dataset, index):
        dataset.SeriesInstanceUID = f"{SERIES_UID}.{number}"
        dataset.StudyInstanceUID = f"1.2.{number}"
        dataset.PatientID = f"P{number}" if patient is None else patient
        if change is not None:
            change(dataset, index)

    def of_segmentation(dataset):
        dataset.ReferencedSeriesSequence[0].SeriesInstanceUID = f"{SERIES_UID}.{number}"

    write_series(folder / f"s{number}", change=of_series)
    segments = {"Liver": LIVER, "Lesion": LESION} if segments is None else segments
    write_seg(folder / f"seg{number}.dcm", segments, change=of_segmentation)


def case_of(number: int) -> str:
    return pseudonym(KEY, "case", f"{SERIES_UID}.{number}")


@pytest.fixture
def folder(tmp_path):
    """Three series of two patients."""
    for number, patient in ((1, "A"), (2, "B"), (3, "A")):
        write_case(tmp_path / "in", number, patient=patient)
    return tmp_path / "in"


def test_records_of_a_folder(folder, tmp_path):
    manifest, refusals = convert_series(folder, tmp_path / "set")
    assert not refusals
    assert manifest.label_set == LITS
    assert {case.case for case in manifest.cases} == {case_of(number) for number in (1, 2, 3)}
    patients = {case.case: (case.patient, case.group) for case in manifest.cases}
    assert patients[case_of(1)] == patients[case_of(3)] == (pseudonym(KEY, "patient", "A"),) * 2
    assert patients[case_of(2)] == (pseudonym(KEY, "patient", "B"),) * 2
    records = records_of(tmp_path / "set")
    assert len(records) == 15
    for (_, index), record in records.items():
        np.testing.assert_array_equal(record.image, np.clip(phantom_hu()[index], -160, 240))
        np.testing.assert_array_equal(record.labels, LABELS[index])
        np.testing.assert_allclose(record.spacing_mm, (0.8, 0.7), rtol=1e-6)
        assert record.diagnosis == ""
    for case in manifest.cases:
        assert case.diagnosis == "lesion"
        assert case.details["orientation"] == "LPS"
        assert case.details["spacing_mm"] == "2.500x0.800x0.700"
        assert case.cautions == ()


def test_lesion_types_make_a_typed_record_set_with_folds(tmp_path):
    """The same bytes with one and two workers."""
    both = {"liver": LIVER, "SMITH": LESION, "Bleb": np.roll(LESION, 1, axis=0) & ~LESION}
    for number in range(1, 7):
        kind = "SMITH" if number % 2 else "Bleb"
        segments = {"liver": LIVER, kind: LESION} if number < 6 else both
        write_case(tmp_path / "in", number, segments=segments)
    mapping = ["liver:liver", "smith:metastasis", "bleb:cyst"]
    # All cases are the same phantom: their pairs must be allowed.
    pairs = itertools.combinations(map(case_of, range(1, 7)), 2)
    (tmp_path / "pairs").write_text("\n".join(map(",".join, pairs)))
    done = run_process(
        "build_tfrecords",
        "--source=series",
        f"--input={tmp_path / 'in'}",
        f"--output={tmp_path / 'set1'}",
        f"--segments={','.join(mapping)}",
        "--folds=2",
        "--workers=2",
        f"--allow_pairs={tmp_path / 'pairs'}",
    )
    assert done.returncode == 0, done.stderr
    assert "fold 1:" in done.stdout
    result = bytes_of(tmp_path / "set1")
    assert result.pop("folds.json")
    convert_series(tmp_path / "in", tmp_path / "set2", mapping)
    assert without_data_kind(result, "real") == bytes_of(tmp_path / "set2")
    assert "smith" not in (tmp_path / "set1/manifest.json").read_text().lower()
    manifest = load_manifest(tmp_path / "set1")
    assert manifest.label_set == LESION_TYPES
    kinds = {case.case: case.diagnosis for case in manifest.cases}
    assert kinds[case_of(1)] == "metastasis"
    assert kinds[case_of(2)] == "cyst"
    result = records_of(tmp_path / "set1")
    for index in range(5):
        record = result[case_of(1), index]
        assert record.diagnosis == ("metastasis" if LESION[index].any() else "healthy")
        np.testing.assert_array_equal(record.labels, np.where(LESION[index], 4, LIVER[index]))
    # Rolled by one slice, the cyst remains in slice 0 only; slices 3 and 4 show the metastasis.
    diagnoses = [result[case_of(6), index].diagnosis for index in range(5)]
    assert diagnoses == ["cyst", "healthy", "healthy", "metastasis", "metastasis"]


def test_a_slice_with_two_lesion_types_has_no_diagnosis(tmp_path):
    segments = {"liver": LIVER, "a": LESION, "b": np.roll(LESION, 8, axis=2)}
    write_case(tmp_path / "in", 1, segments=segments)
    mapping = ["liver:liver", "a:cyst", "b:metastasis"]
    manifest, refusals = convert_series(tmp_path / "in", tmp_path / "set", mapping)
    assert not refusals
    assert [record.diagnosis for record in records_of(tmp_path / "set").values()] == [
        *["healthy"] * 3,
        "",
        "",
    ]
    assert manifest.cases[0].diagnosis == "lesion"


def test_invalid_segments_are_refused_before_anything_is_read(tmp_path):
    done = run_command(
        "verify", "--source=series", f"--input={tmp_path}", "--segments=liver:lever", "--workers=1"
    )
    assert done.returncode == 1
    assert "--segments: expected" in done.stderr
    assert "Traceback" not in done.stderr


def test_bad_series_are_listed_and_the_remaining_ones_converted(folder, tmp_path):
    implausible = {"change": lambda d, i: setattr(d, "RescaleIntercept", "1000")}
    write_case(folder, 4, **implausible)
    write_case(folder, 5, segments={"Liver": LIVER, "Gall bladder": LESION})
    write_case(folder, 6, patient="")
    write_case(folder, 7)
    (folder / "seg7.dcm").unlink()
    shutil.rmtree(folder / "s3")
    output = tmp_path / "set"
    arguments = ("--source=series", f"--input={folder}", "--workers=1")
    done = run_command("build_tfrecords", *arguments, f"--output={output}")
    assert done.returncode == 1
    assert "5 refused" in done.stderr
    for path, code in (
        ("s4", "hu-unscaled"),
        ("seg5.dcm", "mask-unmapped"),
        ("s6", "series-no-patient"),
        ("s7", "series-no-seg"),
        ("seg3.dcm", "seg-no-series"),
    ):
        assert f"{folder / path}: [{code}]" in done.stderr
    manifest = load_manifest(output)
    assert {case.case for case in manifest.cases} == {case_of(1), case_of(2)}
    assert {refusal["code"] for refusal in manifest.refusals} == {
        "hu-unscaled",
        "mask-unmapped",
        "series-no-patient",
        "series-no-seg",
        "seg-no-series",
    }
    assert "gall" not in done.stderr.lower()
    # Implausible HU are detected at the end of a series: none of it may be visible.
    assert sorted(path.stem for path in output.glob("*.tfrecord")) == sorted(
        case.case for case in manifest.cases
    )
    done = run_command("verify", *arguments)
    assert done.returncode == 1
    assert "Refused: 5" in done.stdout
    assert "slices          10 " in done.stdout


def test_series_without_patient_id(tmp_path):
    segments = parse_segments(DEFAULT_SEGMENTS, LESION_TYPES)[1]
    for number in (1, 2, 3):
        study = f"1.2.{min(number, 2)}"
        write_case(
            tmp_path,
            number,
            patient=" ",
            change=lambda d, i, study=study: setattr(d, "StudyInstanceUID", study),
        )
    tasks, refusals, _ = find_series(tmp_path, KEY, LITS, segments)
    assert not tasks
    assert [refusal.code for refusal in refusals] == ["series-no-patient"] * 3
    assert "--series_without_patient_id=own_patient" in refusals[0].text()
    tasks, refusals, _ = find_series(tmp_path, KEY, LITS, segments, study_is_patient=True)
    assert not refusals
    patients = {task.case: task.patient for task in tasks}
    # Series 2 and 3 belong to one study, so to one patient.
    assert patients[case_of(2)] == patients[case_of(3)] != patients[case_of(1)]
    for task in tasks:
        assert [caution.code for caution in task.series.cautions] == ["series-no-patient"]


def test_outcomes_are_sent_between_machines_without_paths(tmp_path):
    write_case(tmp_path, 1, change=lambda d, i: setattr(d, "RescaleIntercept", "1000"))
    label_set, segments = parse_segments(DEFAULT_SEGMENTS, LESION_TYPES)
    (task,), _, _ = find_series(tmp_path, KEY, label_set, segments)
    outcome = convert_case((task, Target(tmp_path)))
    sent = json.dumps(outcome.to_json(task))
    assert str(tmp_path) not in sent
    (refusal,) = CaseOutcome.from_json(json.loads(sent), task).refusals
    assert (refusal.code, refusal.path) == ("hu-unscaled", tmp_path / "s1")


class TestResume:
    def times(self, output) -> dict[str, int]:
        return {path.stem: path.stat().st_mtime_ns for path in output.glob("*.tfrecord")}

    def test_only_changed_cases_are_converted_again(self, folder, tmp_path):
        output = tmp_path / "set"
        convert_series(folder, output)
        before, files = self.times(output), bytes_of(output)
        convert_series(folder, output)
        assert self.times(output) == before
        assert bytes_of(output) == files
        # Another segmentation, a moved file, a stray note: each affects one case.
        write_case(folder, 2, segments={"Liver": LIVER})
        after = self.converted_again(folder, output, before, {case_of(2)})
        shutil.copy(folder / "seg1.dcm", folder / "s1/more.dcm")
        (folder / "seg1.dcm").unlink()
        after = self.converted_again(folder, output, after, {case_of(1)})
        (folder / "s3/notes.txt").write_text("read me")
        self.converted_again(folder, output, after, {case_of(3)})
        (entry,) = (e for e in load_manifest(output).cases if e.case == case_of(3))
        assert [code for code, _ in entry.cautions] == ["series-not-dicom"]

    def converted_again(self, folder, output, before, cases) -> dict[str, int]:
        _, refusals = convert_series(folder, output)
        assert not refusals
        after = self.times(output)
        assert {case for case, time in after.items() if time != before[case]} == cases
        return after

    def test_another_segment_mapping_converts_everything_again(self, folder, tmp_path):
        output = tmp_path / "set"
        convert_series(folder, output)
        assert any(record.labels.max() == 2 for record in records_of(output).values())
        convert_series(folder, output, ["liver:liver", "lesion:background"])
        assert all(record.labels.max() == 1 for record in records_of(output).values())

    def test_the_input_folder_may_move(self, folder, tmp_path):
        output = tmp_path / "set"
        convert_series(folder, output)
        before = self.times(output)
        moved = tmp_path / "elsewhere"
        folder.rename(moved)
        convert_series(moved, output)
        assert self.times(output) == before


def plant(dataset, _index=None) -> None:
    for keyword in (
        "PatientName",
        "PatientID",
        "InstitutionName",
        "Manufacturer",
        "StudyDescription",
        "SeriesDescription",
        "ProtocolName",
        "StationName",
        "AccessionNumber",
        "ContentDescription",
        "ContentCreatorName",
    ):
        setattr(dataset, keyword, f"{CANARY}-{keyword}"[:16])
    dataset.PatientBirthDate = "19010203"
    block = dataset.private_block(0x0011, f"{CANARY} CREATOR", create=True)
    block.add_new(0x01, "LO", f"{CANARY}-private")
    item = pydicom.Dataset()
    item.PatientID = f"{CANARY}-nested"
    dataset.RequestAttributesSequence = [item]


def test_nothing_that_identifies_a_patient_is_written(tmp_path):
    folder = tmp_path / f"{CANARY} hospital"
    folder.mkdir()
    write_case(folder, 1, change=plant, segments={f"{CANARY} liver": LIVER, "Lesion": LESION})
    write_case(folder, 2, change=plant, segments={f"{CANARY} unmapped": LIVER})
    write_case(folder, 3, change=plant)
    write_case(folder, 4, change=plant)
    write_case(folder, 5, change=plant)
    (folder / "seg3.dcm").unlink()
    cut = next((folder / "s4").iterdir())
    cut.write_bytes(cut.read_bytes()[:-300])
    broken = next((folder / "s5").iterdir())
    broken.write_bytes(broken.read_bytes().replace(b"MONOCHROME2 ", b"CANARY_CANAR"))
    for number in (1, 2, 4, 5):
        path = folder / f"seg{number}.dcm"
        seg = pydicom.dcmread(path)
        plant(seg)
        seg.SegmentSequence[0].SegmentDescription = f"{CANARY} segment"
        seg.save_as(folder / f"{CANARY}{number}.dcm")
        path.unlink()
    for path in list((folder / "s1").iterdir()):
        path.rename(path.with_name(f"{CANARY}-{path.name}"))
    (folder / "s1").rename(folder / f"{CANARY} series")
    (folder / f"{CANARY} series/{CANARY}.txt").write_text(CANARY)
    output = tmp_path / "set"
    arguments = [
        "--source=series",
        f"--input={folder}",
        f"--segments={CANARY} liver:liver,liver:liver,lesion:lesion",
        "--workers=1",
    ]
    done = run_command("build_tfrecords", *arguments, f"--output={output}")
    assert done.returncode == 1
    assert "4 refused" in done.stderr
    contents = bytes_of(output)
    assert any(name.startswith(".cases") for name in contents)
    for name, content in contents.items():
        assert CANARY not in name
        assert CANARY.encode() not in content.upper(), name
        assert b"19010203" not in content
        assert SERIES_UID.encode() not in content
        assert KEY not in content
    assert json.loads(contents["manifest.json"])["cases"][0]["cautions"]
    # Only the terminal shows paths, those of refusals.
    checked = run_command("verify", *arguments, f"--html={tmp_path / 'page.html'}")
    assert checked.returncode == 1
    page = (tmp_path / "page.html").read_text()
    assert case_of(1) in page
    assert CANARY.lower() not in page.lower()
    assert SERIES_UID not in page
    printed = (done.stdout + done.stderr + checked.stdout + checked.stderr).splitlines()
    revealing = [line.strip() for line in printed if CANARY.lower() in line.lower()]
    # The terminal also lists the files of the page's pseudonyms.
    cases = [line for line in revealing if line.startswith("c-")]
    revealing = [line for line in revealing if line not in cases]
    assert len(cases) == 4
    assert len(revealing) == 8
    for line in revealing:
        path, text = line.split(": [", 1)
        assert path.startswith(str(folder))
        assert CANARY.lower() not in text.lower()
        assert "19010203" not in line

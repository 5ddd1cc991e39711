"""Spellings of one patient's identifier count as one patient, in series and in a CSV."""

from __future__ import annotations

import os
import sys

import pytest

from liver_tf.conversion.segment_mapping import DEFAULT_SEGMENTS, parse_segments
from liver_tf.conversion.sources import find_series, find_slices
from liver_tf.inspection.verify_data_set import verify
from liver_tf.labels import LESION_TYPES
from tests.builders.ct_files import phantom_hu, phantom_labels, write_dicom, write_seg, write_series

KEY = b"0123456789abcdef"
SPELLINGS = ["PAT-0012", "pat-0012", "PAT-0012^^^HOSP", "PAT-0012  ", "PAT_12", "PAT-0013"]


def write_patients(folder):
    """A series and its segmentation for each spelling."""
    for number, spelling in enumerate(SPELLINGS, 1):
        uid = f"1.2.{number}"

        def change(dataset, index=0, uid=uid, spelling=spelling):
            dataset.SeriesInstanceUID = uid
            dataset.SOPInstanceUID = f"{uid}.{index}"
            dataset.PatientID = spelling

        write_series(folder / f"s{number}/ct", change=change)
        write_seg(folder / f"s{number}/seg.dcm", {"liver": phantom_labels() > 0}, of_series(uid))


def of_series(uid):
    def change(dataset):
        (reference,) = dataset.ReferencedSeriesSequence
        reference.SeriesInstanceUID = uid
        del reference.ReferencedInstanceSequence
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            del frame.DerivationImageSequence

    return change


def codes_of(tasks):
    return [
        sorted(each.code for each in (task.series.cautions if task.series else task.cautions))
        for task in tasks
    ]


def test_series_of_one_patient_have_one_pseudonym(tmp_path):
    write_patients(tmp_path)
    label_set, segments = parse_segments(DEFAULT_SEGMENTS, LESION_TYPES)
    tasks, refusals, _ = find_series(tmp_path, KEY, label_set, segments)
    assert refusals == []
    assert len({task.patient for task in tasks[:4]}) == 1
    assert len({task.patient for task in tasks}) == 3
    spelt, similar = "patient-spelling", "patient-similar"
    assert codes_of(tasks) == [[similar, spelt]] * 4 + [[similar], []]


def test_verify_lists_near_misses_without_identifiers(tmp_path):
    write_patients(tmp_path)
    text = verify(source="series", input=tmp_path, workers=1).text()
    assert "5 x [patient-similar]" in text
    assert "0012" not in text.replace(str(tmp_path), "")


def test_rows_of_one_patient_are_one_case(tmp_path):
    hu = phantom_hu()
    lines = ["slice_id,patient_id,image,mask,diagnosis"]
    for number, spelling in enumerate(SPELLINGS):
        write_dicom(tmp_path / f"{number}.dcm", hu[number % 5])
        lines.append(f"s{number},{spelling},{number}.dcm,{number}.dcm,cyst")
    (tmp_path / "slices.csv").write_text("\n".join(lines) + "\n")
    tasks, refusals = find_slices(
        tmp_path / "slices.csv", KEY, LESION_TYPES, ((0, "background"),), ignore_patient_id=True
    )
    assert refusals == []
    assert [len(task.rows) for task in tasks] == [4, 1, 1]
    assert codes_of(tasks)[0] == ["patient-similar", "patient-spelling"]


@pytest.mark.skipif(sys.platform == "darwin", reason="its file system has UTF-8 names only")
def test_names_that_are_not_utf_8(tmp_path):
    folder = tmp_path / os.fsdecode(b"K\xf6ln")
    write_patients(folder)
    (folder / os.fsdecode(b"Gr\xfcn.dcm")).write_bytes(b"nothing")
    text = verify(source="series", input=tmp_path, workers=1).text()
    assert "K\\xf6ln/Gr\\xfcn.dcm: [dicom-no-prefix]" in text
    text.encode("utf-8")  # can be printed anywhere

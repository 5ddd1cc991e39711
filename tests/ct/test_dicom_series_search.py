"""Series are matched with their segmentations in any folder layout."""

from __future__ import annotations

import copy
import os

import numpy as np
import pytest
from pydicom.uid import EnhancedCTImageStorage, MediaStorageDirectoryStorage

from liver_tf.ct.dicom_series_search import find_series_files
from tests.builders.ct_files import (
    SERIES_UID,
    phantom_hu,
    phantom_labels,
    write_dicom,
    write_seg,
    write_series,
)

LIVER = {"Liver": phantom_labels() > 0}

pytestmark = pytest.mark.filterwarnings("error")


def move_to_series(number: int, patient: str = "P1"):
    """Return a function that moves a slice or segmentation to another series."""

    def uid(old: str) -> str:
        return old.replace(SERIES_UID, f"{SERIES_UID}{number}")

    def change(dataset, index=None) -> None:
        dataset.PatientID = patient
        dataset.StudyInstanceUID = f"1.2.{number}"
        dataset.SOPInstanceUID = uid(dataset.SOPInstanceUID)
        if "SegmentSequence" not in dataset:
            dataset.SeriesInstanceUID = uid(dataset.SeriesInstanceUID)
            return
        for item in dataset.ReferencedSeriesSequence:
            item.SeriesInstanceUID = uid(item.SeriesInstanceUID)
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            source = frame.DerivationImageSequence[0].SourceImageSequence[0]
            source.ReferencedSOPInstanceUID = uid(source.ReferencedSOPInstanceUID)

    return change


def make_dicomdir(dataset) -> None:
    dataset.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    del dataset.SOPClassUID, dataset.SeriesInstanceUID


def search(folder):
    series, refusals, excluded = find_series_files(folder)
    return series, [(refusal.code, refusal.path) for refusal in refusals], dict(excluded)


def test_series_in_separate_folders_are_matched_with_segmentations_beside_them(tmp_path):
    for number in (1, 2):
        paths = write_series(tmp_path / f"s{number}", change=move_to_series(number, f"P{number}"))
        seg = write_seg(tmp_path / f"seg{number}.dcm", LIVER, change=move_to_series(number))
        series, refusals, excluded = search(tmp_path)
        files = next(files for files in series if files.series_uid == f"{SERIES_UID}{number}")
        assert files.slices == tuple(sorted(paths))
        assert files.segmentations == (seg,)
        assert files.place == tmp_path / f"s{number}"
        assert (files.patient_id, files.study_uid) == (f"P{number}", f"1.2.{number}")
        assert (files.cautions, refusals, excluded) == ((), [], {})
    assert len(series) == 2
    for identifier in ("P2", SERIES_UID):
        assert identifier not in repr(series)


def test_series_in_a_shared_folder_or_in_several_folders_are_matched(tmp_path):
    for number in (1, 2):
        for index, hu in enumerate(phantom_hu()):
            folder = tmp_path / "mixed" if number == 1 or index < 3 else tmp_path / "deep/er"
            folder.mkdir(parents=True, exist_ok=True)
            write_dicom(folder / f"{index}-{number}", hu, index, move_to_series(number))
    write_seg(tmp_path / "mixed/0", LIVER, change=move_to_series(2))
    write_seg(tmp_path / "deep/er/0", LIVER, change=move_to_series(1))
    series, refusals, _ = search(tmp_path)
    assert not refusals
    assert {files.series_uid[-1]: len(files.slices) for files in series} == {"1": 5, "2": 5}
    # A folder with two series identifies neither, so a file is named instead.
    assert {files.place for files in series} == {
        tmp_path / "mixed/0-1",
        tmp_path / "deep/er/3-2",
    }


def test_a_segmentation_can_be_assigned_by_its_frames_only(tmp_path):
    def change(dataset):
        move_to_series(2)(dataset)
        del dataset.ReferencedSeriesSequence

    for number in (1, 2):
        write_series(tmp_path / f"s{number}", change=move_to_series(number))
    write_seg(tmp_path / "a.dcm", LIVER, change=move_to_series(1))
    seg = write_seg(tmp_path / "b.dcm", LIVER, change=change)
    series, refusals, _ = search(tmp_path)
    assert not refusals
    assert [files.segmentations for files in series if files.series_uid[-1] == "2"] == [(seg,)]


def test_all_unusable_files_are_listed(tmp_path):
    def remove_references(dataset):
        del dataset.ReferencedSeriesSequence
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            del frame.DerivationImageSequence

    def reference_two_series(dataset):
        move_to_series(1)(dataset)
        dataset.ReferencedSeriesSequence.append(copy.deepcopy(dataset.ReferencedSeriesSequence[0]))
        dataset.ReferencedSeriesSequence[1].SeriesInstanceUID = f"{SERIES_UID}2"

    for number in (1, 2, 3, 4):
        write_series(tmp_path / f"s{number}", change=move_to_series(number))
    write_seg(tmp_path / "good.dcm", LIVER, change=move_to_series(1))
    unmatched = write_seg(tmp_path / "lost.dcm", LIVER, change=move_to_series(9))
    unreferenced = write_seg(tmp_path / "nothing.dcm", LIVER, change=remove_references)
    ambiguous = write_seg(tmp_path / "two.dcm", LIVER, change=reference_two_series)
    write_dicom(
        tmp_path / "s4/other.dcm",
        phantom_hu()[0],
        8,
        lambda d: move_to_series(4, "someone else")(d),
    )
    write_seg(tmp_path / "s4/seg.dcm", LIVER, change=move_to_series(4))
    without_uid = write_dicom(
        tmp_path / "x.dcm", phantom_hu()[0], change=lambda d: delattr(d, "SeriesInstanceUID")
    )
    broken = tmp_path / "y.dcm"
    broken.write_bytes(b"text")
    truncated = tmp_path / "z.dcm"
    truncated.write_bytes((tmp_path / "good.dcm").read_bytes()[:180])
    (tmp_path / "s1/notes.txt").write_text("read me")
    (tmp_path / "report.pdf").write_bytes(b"%PDF")
    series, refusals, excluded = search(tmp_path)
    assert [files.series_uid[-1] for files in series] == ["1"]
    assert [caution.code for caution in series[0].cautions] == ["series-not-dicom"]
    assert excluded == {"series-not-dicom": 2}
    assert set(refusals) == {
        ("seg-no-series", unmatched),
        ("seg-no-reference", unreferenced),
        ("seg-several-series", ambiguous),
        ("series-no-seg", tmp_path / "s2"),
        ("series-no-seg", tmp_path / "s3"),
        ("series-patients", tmp_path / "s4"),
        ("series-no-uid", without_uid),
        ("dicom-no-prefix", broken),
        ("dicom-unreadable", truncated),
    }
    assert len(refusals) == 9


def test_a_destroyed_slice_is_refused_and_a_note_is_excluded(tmp_path):
    """File names of PACS exports have no suffix; only their pattern identifies slices."""
    folder = tmp_path / "in"
    paths = write_series(folder)
    for number, path in enumerate(paths):
        path.rename(folder / f"IM{number}")
    write_seg(tmp_path / "in/seg.dcm", {"Liver": phantom_labels() > 0})
    (folder / "IM4").write_bytes(b"\0" * 50)
    (folder / "VERSION").write_bytes(b"1")
    _, refusals, excluded = find_series_files(tmp_path)
    assert [refusal.code for refusal in refusals] == ["dicom-no-prefix", "series-incomplete"]
    assert refusals[0].path == folder / "IM4"
    assert excluded == {"series-not-dicom": 1}


def test_strays_localizers_and_other_objects_are_excluded_with_a_caution(tmp_path):
    folder = tmp_path / "s"
    write_series(folder, change=move_to_series(1))
    write_seg(tmp_path / "seg.dcm", LIVER, change=move_to_series(1))
    write_dicom(folder / "stray.dcm", phantom_hu()[0], change=move_to_series(7))
    write_dicom(
        folder / "scout.dcm",
        phantom_hu()[0],
        change=lambda d: setattr(d, "ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    )
    write_dicom(
        folder / "report.dcm",
        phantom_hu()[0],
        change=lambda d: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.88.11"),
    )
    write_dicom(folder / "DICOMDIR", phantom_hu()[0], change=make_dicomdir)
    (folder / ".DS_Store").write_bytes(b"\0")
    (files,), refusals, excluded = search(tmp_path)
    assert not refusals
    assert files.place == folder
    assert excluded == {
        "series-stray-slice": 1,
        "series-localizer": 1,
        "series-other-object": 2,
    }
    assert {caution.code for caution in files.cautions} == set(excluded)


def test_a_single_slice_with_its_segmentation_is_a_series(tmp_path):
    write_series(tmp_path / "s", change=move_to_series(1))
    write_seg(tmp_path / "s.dcm", LIVER, change=move_to_series(1))
    write_dicom(tmp_path / "s/other.dcm", phantom_hu()[0], change=move_to_series(2))
    write_seg(tmp_path / "other.dcm", {"Liver": LIVER["Liver"][:1]}, change=move_to_series(2))
    series, refusals, _ = search(tmp_path)
    assert sorted(len(files.slices) for files in series) == [1, 5]
    assert not refusals


def test_enhanced_ct_is_refused(tmp_path):
    (tmp_path / "s").mkdir()

    def change(dataset):
        move_to_series(1)(dataset)
        dataset.SOPClassUID = EnhancedCTImageStorage
        dataset.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage

    path = write_dicom(tmp_path / "s/a.dcm", phantom_hu()[0], change=change)
    write_seg(tmp_path / "seg.dcm", LIVER, change=move_to_series(1))
    series, refusals, _ = find_series_files(tmp_path)
    assert not series
    assert [(refusal.code, refusal.path) for refusal in refusals] == [("dicom-enhanced", path)]
    assert "Enhanced CT Image Storage" in refusals[0].text()


def test_a_label_map_is_refused(tmp_path):
    def change(dataset):
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66.7"

    write_series(tmp_path / "s")
    seg = write_seg(tmp_path / "seg.dcm", LIVER, change=change)
    _, refusals, _ = search(tmp_path)
    assert refusals == [("seg-not-binary", seg), ("series-no-seg", tmp_path / "s")]


def test_an_empty_and_a_missing_folder_are_refused(tmp_path):
    assert search(tmp_path / "none")[1] == [("file-missing", tmp_path / "none")]
    assert search(tmp_path)[1] == [("series-empty", tmp_path)]
    unmatched = write_seg(tmp_path / "seg.dcm", LIVER)
    assert search(tmp_path)[1] == [("seg-no-series", unmatched), ("series-empty", tmp_path)]


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    write_series(tmp_path / "s", change=move_to_series(1))
    write_seg(tmp_path / "seg.dcm", LIVER, change=move_to_series(1))
    (tmp_path / "shut").mkdir()
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("shut"):
            raise PermissionError(13, "no", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    series, refusals, _ = search(tmp_path)
    assert len(series) == 1
    assert refusals == [("file-unreadable", tmp_path / "shut")]


def test_pixels_are_not_read(tmp_path):
    for path in write_series(tmp_path / "s", np.zeros((3, 400, 400), np.int16), move_to_series(1)):
        path.write_bytes(path.read_bytes()[:4000])
    write_seg(tmp_path / "seg.dcm", LIVER, change=move_to_series(1))
    (files,), refusals, _ = search(tmp_path)
    assert len(files.slices) == 3
    assert not refusals

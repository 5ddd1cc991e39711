"""Series and their segmentations are matched, wherever the files are."""

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


def renumbered(number: int, patient: str = "P1"):
    """Change that makes a slice or a segmentation one of another series."""

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


def into_directory(dataset) -> None:
    dataset.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    del dataset.SOPClassUID, dataset.SeriesInstanceUID


def found_in(folder):
    series, refusals, left_out = find_series_files(folder)
    return series, [(refusal.code, refusal.path) for refusal in refusals], dict(left_out)


def test_a_folder_per_series_with_segmentations_beside_it(tmp_path):
    for number in (1, 2):
        paths = write_series(tmp_path / f"s{number}", change=renumbered(number, f"P{number}"))
        seg = write_seg(tmp_path / f"seg{number}.dcm", LIVER, change=renumbered(number))
        series, refusals, left_out = found_in(tmp_path)
        one = next(one for one in series if one.series_uid == f"{SERIES_UID}{number}")
        assert one.slices == tuple(sorted(paths))
        assert one.segmentations == (seg,)
        assert one.place == tmp_path / f"s{number}"
        assert (one.patient_id, one.study_uid) == (f"P{number}", f"1.2.{number}")
        assert (one.cautions, refusals, left_out) == ((), [], {})
    assert len(series) == 2
    for identifier in ("P2", SERIES_UID):
        assert identifier not in repr(series)


def test_all_series_in_one_folder_or_one_series_in_several(tmp_path):
    for number in (1, 2):
        for index, hu in enumerate(phantom_hu()):
            folder = tmp_path / "mixed" if number == 1 or index < 3 else tmp_path / "deep/er"
            folder.mkdir(parents=True, exist_ok=True)
            write_dicom(folder / f"{index}-{number}", hu, index, renumbered(number))
    write_seg(tmp_path / "mixed/0", LIVER, change=renumbered(2))
    write_seg(tmp_path / "deep/er/0", LIVER, change=renumbered(1))
    series, refusals, _ = found_in(tmp_path)
    assert not refusals
    assert {one.series_uid[-1]: len(one.slices) for one in series} == {"1": 5, "2": 5}
    # A folder that holds two series names neither.
    assert {one.place for one in series} == {
        tmp_path / "mixed/0-1",
        tmp_path / "deep/er/3-2",
    }


def test_a_segmentation_is_assigned_by_its_frames_alone(tmp_path):
    def change(dataset):
        renumbered(2)(dataset)
        del dataset.ReferencedSeriesSequence

    for number in (1, 2):
        write_series(tmp_path / f"s{number}", change=renumbered(number))
    write_seg(tmp_path / "a.dcm", LIVER, change=renumbered(1))
    seg = write_seg(tmp_path / "b.dcm", LIVER, change=change)
    series, refusals, _ = found_in(tmp_path)
    assert not refusals
    assert [one.segmentations for one in series if one.series_uid[-1] == "2"] == [(seg,)]


def test_all_unusable_files_are_listed_at_once(tmp_path):
    def of_nothing(dataset):
        del dataset.ReferencedSeriesSequence
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            del frame.DerivationImageSequence

    def of_two(dataset):
        renumbered(1)(dataset)
        dataset.ReferencedSeriesSequence.append(copy.deepcopy(dataset.ReferencedSeriesSequence[0]))
        dataset.ReferencedSeriesSequence[1].SeriesInstanceUID = f"{SERIES_UID}2"

    for number in (1, 2, 3, 4):
        write_series(tmp_path / f"s{number}", change=renumbered(number))
    write_seg(tmp_path / "good.dcm", LIVER, change=renumbered(1))
    lost = write_seg(tmp_path / "lost.dcm", LIVER, change=renumbered(9))
    nothing = write_seg(tmp_path / "nothing.dcm", LIVER, change=of_nothing)
    two = write_seg(tmp_path / "two.dcm", LIVER, change=of_two)
    write_dicom(
        tmp_path / "s4/other.dcm", phantom_hu()[0], 8, lambda d: renumbered(4, "someone else")(d)
    )
    write_seg(tmp_path / "s4/seg.dcm", LIVER, change=renumbered(4))
    nameless = write_dicom(
        tmp_path / "x.dcm", phantom_hu()[0], change=lambda d: delattr(d, "SeriesInstanceUID")
    )
    broken = tmp_path / "y.dcm"
    broken.write_bytes(b"text")
    cut = tmp_path / "z.dcm"
    cut.write_bytes((tmp_path / "good.dcm").read_bytes()[:180])
    (tmp_path / "s1/notes.txt").write_text("read me")
    (tmp_path / "report.pdf").write_bytes(b"%PDF")
    series, refusals, left_out = found_in(tmp_path)
    assert [one.series_uid[-1] for one in series] == ["1"]
    assert [caution.code for caution in series[0].cautions] == ["series-not-dicom"]
    assert left_out == {"series-not-dicom": 2}
    assert set(refusals) == {
        ("seg-no-series", lost),
        ("seg-no-reference", nothing),
        ("seg-several-series", two),
        ("series-no-seg", tmp_path / "s2"),
        ("series-no-seg", tmp_path / "s3"),
        ("series-patients", tmp_path / "s4"),
        ("series-no-uid", nameless),
        ("dicom-no-prefix", broken),
        ("dicom-unreadable", cut),
    }
    assert len(refusals) == 9


def test_a_destroyed_slice_is_refused_and_a_note_is_excluded(tmp_path):
    """PACS exports have names without suffix; only their pattern tells what was a slice."""
    folder = tmp_path / "in"
    paths = write_series(folder)
    for number, path in enumerate(paths):
        path.rename(folder / f"IM{number}")
    write_seg(tmp_path / "in/seg.dcm", {"Liver": phantom_labels() > 0})
    (folder / "IM4").write_bytes(b"\0" * 50)
    (folder / "VERSION").write_bytes(b"1")
    _, refusals, left_out = find_series_files(tmp_path)
    assert [refusal.code for refusal in refusals] == ["dicom-no-prefix"]
    assert refusals[0].path == folder / "IM4"
    assert left_out == {"series-not-dicom": 1}


def test_strays_localizers_and_other_objects_are_excluded_with_a_caution(tmp_path):
    folder = tmp_path / "s"
    write_series(folder, change=renumbered(1))
    write_seg(tmp_path / "seg.dcm", LIVER, change=renumbered(1))
    write_dicom(folder / "stray.dcm", phantom_hu()[0], change=renumbered(7))
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
    write_dicom(folder / "DICOMDIR", phantom_hu()[0], change=into_directory)
    (folder / ".DS_Store").write_bytes(b"\0")
    (one,), refusals, left_out = found_in(tmp_path)
    assert not refusals
    assert one.place == folder
    assert left_out == {
        "series-stray-slice": 1,
        "series-localizer": 1,
        "series-other-object": 2,
    }
    assert {caution.code for caution in one.cautions} == set(left_out)


def test_a_single_slice_with_its_segmentation_is_a_series(tmp_path):
    write_series(tmp_path / "s", change=renumbered(1))
    write_seg(tmp_path / "s.dcm", LIVER, change=renumbered(1))
    write_dicom(tmp_path / "s/other.dcm", phantom_hu()[0], change=renumbered(2))
    write_seg(tmp_path / "other.dcm", {"Liver": LIVER["Liver"][:1]}, change=renumbered(2))
    series, refusals, _ = found_in(tmp_path)
    assert sorted(len(one.slices) for one in series) == [1, 5]
    assert not refusals


def test_enhanced_ct_is_refused(tmp_path):
    (tmp_path / "s").mkdir()

    def change(dataset):
        renumbered(1)(dataset)
        dataset.SOPClassUID = EnhancedCTImageStorage
        dataset.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage

    path = write_dicom(tmp_path / "s/a.dcm", phantom_hu()[0], change=change)
    write_seg(tmp_path / "seg.dcm", LIVER, change=renumbered(1))
    series, refusals, _ = find_series_files(tmp_path)
    assert not series
    assert [(refusal.code, refusal.path) for refusal in refusals] == [("dicom-enhanced", path)]
    assert "Enhanced CT Image Storage" in refusals[0].text()


def test_a_label_map_is_refused(tmp_path):
    def change(dataset):
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66.7"

    write_series(tmp_path / "s")
    seg = write_seg(tmp_path / "seg.dcm", LIVER, change=change)
    _, refusals, _ = found_in(tmp_path)
    assert refusals == [("seg-not-binary", seg), ("series-no-seg", tmp_path / "s")]


def test_an_empty_and_a_missing_folder_are_refused(tmp_path):
    assert found_in(tmp_path / "none")[1] == [("file-missing", tmp_path / "none")]
    assert found_in(tmp_path)[1] == [("series-empty", tmp_path)]
    lost = write_seg(tmp_path / "seg.dcm", LIVER)
    assert found_in(tmp_path)[1] == [("seg-no-series", lost), ("series-empty", tmp_path)]


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    write_series(tmp_path / "s", change=renumbered(1))
    write_seg(tmp_path / "seg.dcm", LIVER, change=renumbered(1))
    (tmp_path / "shut").mkdir()
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("shut"):
            raise PermissionError(13, "no", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    series, refusals, _ = found_in(tmp_path)
    assert len(series) == 1
    assert refusals == [("file-unreadable", tmp_path / "shut")]


def test_pixels_are_not_read(tmp_path):
    for path in write_series(tmp_path / "s", np.zeros((3, 400, 400), np.int16), renumbered(1)):
        path.write_bytes(path.read_bytes()[:4000])
    write_seg(tmp_path / "seg.dcm", LIVER, change=renumbered(1))
    (one,), refusals, _ = found_in(tmp_path)
    assert len(one.slices) == 3
    assert not refusals

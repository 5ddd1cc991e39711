"""A slice that cannot be read is never left out in silence."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.dicom_series_search import find_series_files
from liver_tf.ct.dicom_series_with_seg import SeriesWithSeg
from liver_tf.refusals import Refusal
from tests.builders.ct_files import phantom_hu, phantom_labels, write_seg, write_series

SLICES = 6


@pytest.fixture
def series(tmp_path):
    """A series without file suffixes, as a PACS exports it, and its segmentation elsewhere."""
    paths = write_series(tmp_path / "in/ct", phantom_hu(SLICES), with_patient)
    renamed = [path.rename(tmp_path / f"in/ct/IM{index:04}") for index, path in enumerate(paths)]
    labels = phantom_labels(SLICES)
    labels[-1] = 0  # a segmentation needs no frame on the slice that is damaged below
    (tmp_path / "in/seg").mkdir()
    write_seg(tmp_path / "in/seg/seg.dcm", {"liver": labels == 1, "lesion": labels == 2})
    return renamed


def with_patient(dataset, index):
    dataset.PatientID = "AAA"


def cut(path, keep):
    path.write_bytes(path.read_bytes()[:keep])


def dangling(path):
    path.unlink()
    path.symlink_to("../.git/annex/objects/none")


DAMAGE = {
    "empty": lambda path: cut(path, 0),
    "cut in the preamble": lambda path: cut(path, 100),
    "cut in the header": lambda path: cut(path, 500),
    "cut in the pixels": lambda path: cut(path, -101),
    "dangling link": dangling,
    "zeros": lambda path: path.write_bytes(bytes(2000)),
}


def read_both(series, allow_damaged):
    """Scan of ``predict``; slices of the conversion, their cautions and all refusals."""
    root = series[0].parents[1]
    scan = read_dicom_series(root / "ct", allow_damaged=allow_damaged)
    (files,), refusals, _ = find_series_files(root, allow_damaged=allow_damaged)
    pair = SeriesWithSeg(files, {"liver": 1, "lesion": 2})
    return scan, [hu for hu, _ in pair.slices()], pair.cautions, refusals


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_end_slice_refuses_the_series(series, damage):
    damage(series[-1])
    with pytest.raises(Refusal) as caught:
        read_dicom_series(series[0].parent)
    assert caught.value.path == series[-1]
    series_files, refusals, _ = find_series_files(series[0].parents[1])
    if not refusals:  # the header can be read: the pixels are refused when they are read
        with pytest.raises(Refusal) as later:
            list(SeriesWithSeg(series_files[0], {"liver": 1, "lesion": 2}).slices())
        refusals = [later.value]
    else:
        assert series_files == []
        assert [refusal.code for refusal in refusals[1:]][:1] == ["series-incomplete"]
    assert refusals[0].path == series[-1]
    # A header that ends early lacks several elements; the readers name another one.
    assert refusals[0].code == caught.value.code or damage == DAMAGE["cut in the header"]


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_with_allow_damaged_the_slice_is_left_out_with_a_caution(series, damage):
    damage(series[-1])
    scan, slices, cautions, refusals = read_both(series, allow_damaged=True)
    np.testing.assert_array_equal(scan.hu, phantom_hu(SLICES)[:-1])
    np.testing.assert_array_equal(np.stack(slices), scan.hu)
    assert [each.code for each in scan.cautions] == ["series-damaged"]
    assert [each.code for each in cautions] == ["series-damaged"]
    assert refusals == []
    assert "1 file" in scan.cautions[0].text


def test_a_damaged_slice_in_the_middle_leaves_a_gap(series):
    cut(series[2], 100)
    with pytest.raises(Refusal, match=r"\[series-spacing\]"):
        read_dicom_series(series[0].parent, allow_damaged=True)


def test_a_note_beside_the_slices_is_not_a_slice(series):
    (series[0].parent / "VERSION").write_text("1")
    (series[0].parent / "LINK").symlink_to("nowhere")
    scan, _, _, refusals = read_both(series, allow_damaged=False)
    assert len(scan.hu) == SLICES
    assert [each.text for each in scan.cautions] == [
        "excluded 2 files in the folder without DICOM content"
    ]
    assert refusals == []


def set_elements(path, **elements):
    dataset = pydicom.dcmread(path)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)


@pytest.mark.parametrize(
    "elements",
    [
        {"PixelSpacing": [0.800001, 0.7]},
        {"PixelSpacing": [0.8, 0.69999]},
        {"ImageOrientationPatient": [0.9999999, 0.0004, 0, -0.0004, 0.9999999, 0]},
        {"ImageOrientationPatient": [1, -0.00051, 0, 0.00051, 1, 0]},
    ],
)
def test_last_digits_do_not_make_a_stray_slice(series, elements):
    set_elements(series[-1], **elements)
    scan, slices, cautions, _ = read_both(series, allow_damaged=False)
    np.testing.assert_array_equal(scan.hu, phantom_hu(SLICES))
    assert len(slices) == SLICES
    assert scan.cautions == cautions == ()


def test_another_spacing_is_not_a_last_digit(series):
    for path in series[3:]:
        set_elements(path, PixelSpacing=[0.81, 0.7])
    with pytest.raises(Refusal, match=r"\[series-mixed\]"):
        read_dicom_series(series[0].parent)

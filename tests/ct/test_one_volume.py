"""Slices form one volume or are refused, by the same rule in every reader of series."""

from __future__ import annotations

import pytest

from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.dicom_series_search import find_series_files
from liver_tf.ct.dicom_series_with_seg import SeriesWithSeg
from liver_tf.ct.one_volume import SliceOrigin, refuse_alternation
from liver_tf.refusals import Refusal
from tests.builders.ct_files import phantom_hu, phantom_labels, write_seg, write_series

SLICES = 6


def outcomes(folder, change) -> list[str]:
    """Codes of refusal or cautions: by the reader of ``predict``, and by that of record sets."""
    write_series(folder / "ct", phantom_hu(SLICES), change)
    labels = phantom_labels(SLICES)
    write_seg(folder / "seg.dcm", {"liver": labels == 1, "lesion": labels == 2})
    codes = []
    for read in (lambda: read_dicom_series(folder / "ct"), lambda: with_seg(folder)):
        try:
            codes.append(",".join(sorted({caution.code for caution in read().cautions})))
        except Refusal as refusal:
            codes.append(refusal.code)
    return codes


def with_seg(folder):
    series, refusals, _ = find_series_files(folder)
    if refusals:
        raise refusals[0]
    return SeriesWithSeg(series[0], {"liver": 1, "lesion": 2})


def setting(keyword, values):
    """Give the slices these values of an element, in turn."""

    def change(dataset, index):
        setattr(dataset, keyword, values[index % len(values)])

    return change


@pytest.mark.parametrize(
    ("keyword", "values", "code"),
    [
        ("PatientID", ["AAA", "BBB"], "series-patients"),
        ("PatientID", ["AAA"] * 5 + ["BBB"], "series-patients"),
        ("PatientID", ["AAA", ""], "series-patients"),
        ("PatientID", ["AAA", "aaa ", "AAA^^^HOSP"], ""),
        ("StudyInstanceUID", ["1.2", "1.3"], "series-studies"),
        ("FrameOfReferenceUID", ["1.2"] * 5 + ["1.3"], "series-frames"),
        ("FrameOfReferenceUID", ["1.2", ""], ""),
        ("SOPInstanceUID", ["1.2.9"], "series-instance-twice"),
        ("AcquisitionNumber", [1, 2], "series-alternates"),
        ("AcquisitionNumber", [1, 1, 1, 2, 2, 2], ""),
        ("AcquisitionNumber", [6, 5, 4, 3, 2, 1], ""),
        ("AcquisitionNumber", [1, 1, 2, 2, 1, 1], "series-alternates"),
        ("ConvolutionKernel", ["B30f", "B70f"], "series-alternates"),
        ("ConvolutionKernel", ["B30f"] * 3 + ["B70f"] * 3, "series-parts"),
        ("ImageType", [["ORIGINAL", "PRIMARY", "AXIAL"], ["ORIGINAL", "PRIMARY", "OTHER"]],
         "series-alternates"),
        ("SliceThickness", [2.5, 5.0], "series-alternates"),
        ("SliceThickness", [2.5, 2.500001, 2.499999], ""),
        ("PatientPosition", ["HFS", "FFS"], "series-alternates"),
    ],
)  # fmt: skip
def test_both_readers_decide_alike(tmp_path, keyword, values, code):
    change = setting(keyword, values)
    if keyword == "SOPInstanceUID":  # a segmentation of such a series cannot refer to its slices
        write_series(tmp_path / "ct", phantom_hu(SLICES), change)
        with pytest.raises(Refusal, match=r"\[series-instance-twice\]"):
            read_dicom_series(tmp_path / "ct")
        return
    if keyword != "PatientID":
        change = also_patient(change)
    assert outcomes(tmp_path, change) == [code, code]


def also_patient(change):
    def both(dataset, index):
        dataset.PatientID = "AAA"
        change(dataset, index)

    return both


def test_an_alternating_element_is_named_with_its_counts(tmp_path):
    write_series(tmp_path, phantom_hu(SLICES), setting("AcquisitionNumber", [1, 2, 2]))
    with pytest.raises(Refusal, match="AcquisitionNumber") as caught:
        read_dicom_series(tmp_path)
    assert "4 and 2 slices, which change 3 times" in caught.value.text()


def test_values_of_the_elements_are_not_repeated():
    origin = SliceOrigin("Meier", "1.2", "1.3", "1", "K-Meier", "T-Meier", 1.0, "HFS")
    assert "Meier" not in repr(origin)
    other = SliceOrigin("Meier", "1.2", "1.3", "1", "Meier", "T-Meier", 1.0, "HFS")
    with pytest.raises(Refusal) as caught:
        refuse_alternation([origin, other, origin], None)
    assert "Meier" not in str(caught.value)

"""Descriptions of series of results: which CT series they are of."""

import pydicom
import pytest

from liver_tf.export import dicom_overview, dicom_seg_writer, dicom_sr_writer
from liver_tf.export.dicom_derived import series_description
from tests.builders.ct_files import phantom_hu, write_series

TEXTS = [
    module.SERIES_DESCRIPTION for module in (dicom_seg_writer, dicom_sr_writer, dicom_overview)
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(
    ("number", "stated"),
    [(4, ", series 4"), (99999, ", series 99999"), (100000, ""), (-1, ""), (None, ""), ("x", "")],
)
def test_it_states_the_number_of_the_ct_series(tmp_path, text, number, stated):
    path = write_series(tmp_path, phantom_hu())[0]
    dataset = pydicom.dcmread(path)
    dataset.SeriesNumber = None
    if number == "x":
        dataset.save_as(path)
        raw = path.read_bytes()
        # Explicit VR: an IS of no value becomes one of two letters.
        empty, letters = b" \0\x11\0IS\0\0", b" \0\x11\0IS\2\0xy"
        assert raw.count(empty) == 1
        path.write_bytes(raw.replace(empty, letters))
    else:
        dataset.SeriesNumber = number
        dataset.save_as(path)
    assert series_description(text, path) == text + stated
    updated = series_description(text, path, replaces=True)
    assert updated == text + stated + "; updated"
    assert len(updated) <= 64  # LO (PS3.5 6.2)

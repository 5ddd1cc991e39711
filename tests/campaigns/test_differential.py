"""The short form of the differential campaign, and tests that it detects faulty readers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.nifti_volume import read_nifti_volume
from tests.campaigns import differential
from tests.campaigns.differential_cases import make_case

pytest.importorskip("gdcm", reason="encoders are missing (pip install 'liver_tf[codecs]')")


@pytest.mark.parametrize("count", [60, pytest.param(500, marks=pytest.mark.long)])
def test_every_voxel_has_the_same_hu_and_position_everywhere(count):
    kinds, found = differential.campaign(range(count), seed=1)
    assert found == []
    assert kinds.total() == count
    assert len(kinds) >= 15


def moved(scan):
    affine = scan.affine.copy()
    affine[2, 3] += 1
    return replace(scan, affine=affine)


FAULTS = {
    "flipped": lambda scan: replace(scan, hu=scan.hu[:, :, ::-1]),
    "moved": moved,
    "one voxel": lambda scan: replace(scan, hu=changed(scan.hu)),
    "offset": lambda scan: replace(scan, hu=scan.hu + 1),
    "smaller": lambda scan: replace(scan, hu=scan.hu[:, :-1]),
}


def changed(hu):
    hu = np.array(hu)
    hu[-1, -1, -1] += 1
    return hu


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("number", [0, 1])
def test_faulty_readers_are_detected(tmp_path, monkeypatch, number, fault):
    case = make_case(0, number, tmp_path / "case")
    assert differential.differences(case) == []
    name = "read_dicom_series" if number else "read_nifti_volume"
    read = read_dicom_series if number else read_nifti_volume
    monkeypatch.setattr(differential, name, lambda path: fault(read(path)))
    assert differential.differences(case)


def test_a_case_depends_on_seed_and_number_only(tmp_path):
    for number in range(8):
        one, two = (make_case(3, number, tmp_path / f"{name}{number}") for name in "ab")
        np.testing.assert_array_equal(one.hu, two.hu)
        assert (one.kind, one.facts) == (two.kind, two.facts)

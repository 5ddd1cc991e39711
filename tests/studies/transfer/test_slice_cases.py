"""A scan cut into slices: pixels and geometry are kept, and no slice is in two parts."""

import json

import nibabel
import numpy as np
import pytest

from liver_tf.conversion.sources import find_lits
from liver_tf.ct.nifti_volume import read_nifti_volume
from liver_tf.labels import LITS
from liver_tf.records.folds import load_folds
from liver_tf.records.manifest import CaseEntry, Manifest
from liver_tf.studies.transfer import slice_cases
from liver_tf.studies.transfer.scan_split import ENDS, SplitDistances, split_scan
from liver_tf.studies.transfer.slice_cases import (
    cases_of,
    folds_of,
    read_pair,
    used_slices,
    write_folds,
    write_layout,
    write_slices,
)
from liver_tf.studies.transfer.transfer_results import load_transfer

KEY = b"a key for tests only"
SLICES = 20


@pytest.fixture(params=[2.5, -2.5], ids=["feet first", "head first"])
def scan(request, tmp_path):
    """A pair of files, 2.5 mm a slice, of which slices 1 to 18 (from the feet) have liver."""
    step = request.param
    hu = np.random.default_rng(0).integers(-100, 200, (8, 6, SLICES)).astype(np.int16)
    labels = np.zeros(hu.shape, np.uint8)
    labels[2:5, 2:4, 1:19] = 1
    if step < 0:
        hu, labels = hu[:, :, ::-1], labels[:, :, ::-1]
    affine = np.diag([-0.8, -0.8, step, 1.0])
    affine[:3, 3] = 10, 20, 1500
    files = []
    for name, values in (("volume-3.nii.gz", hu), ("segmentation-3.nii.gz", labels)):
        nibabel.save(nibabel.Nifti1Image(values, affine), tmp_path / name)
        files.append(tmp_path / name)
    return read_pair(*files)


def splits_of(pair):
    distances = SplitDistances(10, 5, 5, 7)
    return [
        split_scan(
            pair.positions_mm,
            pair.with_liver,
            end,
            counts=(2, 4),
            validation_slices=2,
            distances=distances,
        )
        for end in ENDS
    ]


def test_slices_keep_their_pixels_and_geometry(scan, tmp_path):
    assert scan.positions_mm == tuple(2.5 * number for number in range(SLICES))
    assert scan.with_liver == (False, *[True] * 18, False)
    whole = read_nifti_volume(scan.volume)
    write_slices(scan, [4, 11], tmp_path / "pieces")
    for number in (4, 11):
        piece = read_nifti_volume(tmp_path / "pieces" / f"volume-{3001 + number}.nii.gz")
        np.testing.assert_array_equal(piece.hu[0], whole.hu[number])
        # Canonical affines: (slice, row, column) to mm; the piece begins at its slice.
        np.testing.assert_allclose(
            piece.affine @ [0, 0, 0, 1], whole.affine @ [number, 0, 0, 1], atol=1e-4
        )
        np.testing.assert_allclose(piece.spacing_mm[1:], whole.spacing_mm[1:])
    # Cut again, what is there is left alone, so that it is not converted again; others go.
    before = (tmp_path / "pieces" / "volume-3005.nii.gz").stat().st_mtime_ns
    (tmp_path / "pieces" / "volume-1.nii.gz").write_bytes(b"not of this study")
    write_slices(scan, [4], tmp_path / "pieces")
    assert (tmp_path / "pieces" / "volume-3005.nii.gz").stat().st_mtime_ns == before
    assert sorted(path.name for path in (tmp_path / "pieces").iterdir()) == [
        "segmentation-3005.nii.gz",
        "volume-1.nii.gz",
        "volume-3005.nii.gz",
    ]


def test_conversion_gives_a_slice_the_pseudonym_of_its_case(scan, tmp_path):
    write_slices(scan, [0, 7], tmp_path / "pieces")
    tasks, refusals = find_lits(tmp_path / "pieces", KEY)
    assert not refusals
    assert [task.case for task in tasks] == [*cases_of([0, 7], KEY)]


def test_folds_are_disjoint_and_state_that_it_is_one_patient(scan, tmp_path):
    splits = splits_of(scan)
    numbers = used_slices(splits)
    cases = dict(zip(cases_of(numbers, KEY), numbers, strict=True))
    entries = tuple(
        CaseEntry(case, case, case, f"{case}.tfrecord", 1, 1, "0" * 64, "", None, ())
        for case in cases
    )
    manifest = Manifest(LITS, (-160, 240), entries)
    path = tmp_path / "folds.json"
    write_folds(path, manifest, splits, KEY)
    folds = load_folds(path, manifest)
    assert "ONE PATIENT" in json.loads(path.read_text())["arguments"]["caution"]
    assert len(folds) == len(folds_of(splits)) == 4
    at = scan.positions_mm
    for fold, (_, count) in zip(folds, folds_of(splits), strict=True):
        training, validation, test = (
            [cases[case] for case in part] for part in (fold.training, fold.validation, fold.test)
        )
        assert (len(training), len(validation)) == (count, 2)
        assert len({*training, *validation, *test}) == len(training) + len(validation) + len(test)
        assert test == sorted(test)
        assert min(abs(at[a] - at[b]) for a in training + validation for b in test) >= 7
    write_layout(tmp_path, splits, KEY)
    assert "ONE PATIENT" in (tmp_path / "layout.json").read_text()
    layout = load_transfer(tmp_path, []).folds
    assert [(fold.end, fold.count) for fold in layout] == [
        *(("feet", 2), ("feet", 4)),
        *(("head", 2), ("head", 4)),
    ]
    assert layout[0].test_cases == folds[0].test
    assert layout[0].test_apart_mm >= 7


def test_slices_along_another_axis_are_refused(tmp_path):
    values = np.random.default_rng(0).integers(-100, 200, (6, 8, 7)).astype(np.int16)
    affine = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    for name, stored in (("volume", values), ("segmentation", np.zeros_like(values))):
        nibabel.save(nibabel.Nifti1Image(stored, affine), tmp_path / f"{name}.nii.gz")
    with pytest.raises(ValueError, match="along the last axis"):
        read_pair(tmp_path / "volume.nii.gz", tmp_path / "segmentation.nii.gz")


def test_slice_numbers_are_above_those_of_lits():
    # Under the phantoms' key a number in common would be a patient in common.
    assert slice_cases._FIRST > 1000

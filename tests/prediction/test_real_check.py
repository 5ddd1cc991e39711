"""``make real-check``: its parts by hand-worked numbers; all of it where data and network exist."""

import nibabel
import numpy as np
import pytest

from benchmarks import real_check
from liver_tf.ct.nifti_volume import read_nifti_volume


@pytest.fixture
def scan(tmp_path):
    """7 slices of 2.5 mm, of different HU in every voxel, stored as LPS."""
    hu = np.arange(4 * 5 * 7, dtype=np.int16).reshape(4, 5, 7) * 10 - 700
    path = tmp_path / "volume-1.nii.gz"
    nibabel.save(nibabel.Nifti1Image(hu, np.diag([-0.7, -0.7, 2.5, 1])), path)
    return read_nifti_volume(path)


def test_a_mirror_image_is_the_same_patient(scan):
    mirrored = real_check.mirror_image(scan)
    np.testing.assert_array_equal(mirrored.hu, scan.hu)
    np.testing.assert_allclose(mirrored.affine, scan.affine, atol=1e-5)
    assert mirrored.source.flips != scan.source.flips


def test_thick_slices_are_averages(scan):
    thick = real_check.thick_slices(scan)  # 2 slices each; the seventh is left over
    assert thick.spacing_mm == (5.0, *scan.spacing_mm[1:])
    expected = [(scan.hu[k].astype(float) + scan.hu[k + 1]) / 2 for k in (0, 2, 4)]
    np.testing.assert_allclose(thick.hu, expected)


@pytest.mark.parametrize(
    ("volumes", "holds"), [([1000, 1050], True), ([1000, 1053], False), ([0, 0], False)]
)
def test_volumes_within_5_percent_of_their_mean(volumes, holds):
    check = real_check._equal_volumes("two", volumes)
    assert check.holds is holds
    assert ("| yes |" in real_check.table([check])) is holds


@pytest.mark.long
def test_the_network_in_the_package():
    if not (real_check.DATA / "hcc_tace").is_dir():
        pytest.skip("no real CT (LIVER_TF_REAL_DATA)")
    if not real_check.BUNDLED.is_dir():
        pytest.skip("no liver network in the package (make weights)")
    from liver_tf.inference.liver_finder import LiverFinder

    finder = LiverFinder.of_run(real_check.BUNDLED)
    rows = list(real_check.checks(lambda scan: finder.find(scan.hu), real_check.DATA, 0.9))
    # A known miss: the volumes of the two contrast phases differ by 7 %.
    missed = {row.what for row in rows if not row.holds}
    assert missed <= {"two phases of hcc015"}, real_check.table(rows)

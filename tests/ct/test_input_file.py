"""Files that exist but cannot be read are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from liver_tf.ct.input_file import read_start
from liver_tf.ct.nifti_volume import read_nifti_volume
from liver_tf.ct.slices_csv import read_slices_csv
from liver_tf.refusals import Refusal

#: A regular file whose first byte cannot be read (input/output error), not even by root.
UNREADABLE = Path("/proc/self/mem")


@pytest.fixture
def unreadable(tmp_path):
    if not UNREADABLE.is_file():
        pytest.skip("this system has no unreadable regular file")
    return UNREADABLE


@pytest.mark.parametrize("suffix", ["", ".nii"])
def test_an_unreadable_file_is_refused(unreadable, tmp_path, suffix):
    link = tmp_path / f"link{suffix}"
    link.symlink_to(unreadable)
    read = read_nifti_volume if suffix else lambda path: read_start(path, 4)
    with pytest.raises(Refusal, match=r"\[file-unreadable\].*Check the permissions") as caught:
        read(link)
    assert caught.value.path == link


def test_an_unreadable_table_is_refused(unreadable):
    rows, (refusal,) = read_slices_csv(unreadable)
    assert rows == []
    assert refusal.code == "file-unreadable"

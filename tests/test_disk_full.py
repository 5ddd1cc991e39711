"""A full disk is recognised everywhere in the same way."""

import errno
from pathlib import Path

import pytest

from liver_tf.disk_full import disk_full_as_refusal, write_errors_as_refusals
from liver_tf.refusals import Refusal


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_space_no_quota_and_file_too_large_mean_a_full_disk(number):
    for guard in (disk_full_as_refusal(), write_errors_as_refusals(Path("output"))):
        with (
            pytest.raises(Refusal, match=r"enough free disk space.*Free some space") as refused,
            guard,
        ):
            raise OSError(number, "x", "output")
        assert refused.value.code == "disk-full"
        assert refused.value.path == Path("output")


def test_other_errors_do_not_mean_a_full_disk():
    with pytest.raises(PermissionError), disk_full_as_refusal():
        raise PermissionError(errno.EACCES, "x")
    with (
        pytest.raises(Refusal, match=r"output-unwritable.*found Permission denied"),
        write_errors_as_refusals(Path("output")),
    ):
        raise PermissionError(errno.EACCES, "x")
    with (
        pytest.raises(Refusal, match=r"output-unwritable.*an error of the operating system"),
        write_errors_as_refusals(Path("output")),
    ):
        raise OSError("no number")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_the_kernel_reports_a_full_disk_as_expected():
    with pytest.raises(Refusal, match=r"found No space left on device"), disk_full_as_refusal():
        Path("/dev/full").write_bytes(b"0" * 10_000)

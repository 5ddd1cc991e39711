"""What ``predict`` does with a scan that fails: every error becomes a refusal of that scan."""

from pathlib import Path

from liver_tf.conversion.case_reader import unexpected_error
from liver_tf.ct.dicom_series import folders_with_slices
from liver_tf.ct.input_file import unreadable
from liver_tf.disk_full import write_refusal
from liver_tf.refusals import Refusal


def refusal_of(error: Exception, path: Path, output: Path) -> Refusal:
    """The refusal of the scan at ``path`` for any error of reading, predicting or writing it."""
    if isinstance(error, Refusal):
        return error
    if not isinstance(error, OSError):
        return unexpected_error(path, error)
    if str(error.filename or "").startswith(str(path)):
        return unreadable(path)
    return write_refusal(output, error)


def series_folders(refusal: Refusal) -> list[Path]:
    """For ``series-mixed``: the folders below the refused one that hold CT slices."""
    folders = folders_with_slices(refusal.path) if refusal.code == "series-mixed" else []
    return folders if folders != [refusal.path] else []

"""Several scans one after the other: a bad one never stops the good ones, a full disk stops all."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from liver_tf.conversion.case_reader import unexpected_error
from liver_tf.ct.dicom_series import folders_with_slices
from liver_tf.ct.input_file import unreadable
from liver_tf.disk_full import write_refusal
from liver_tf.inference.cascade import Cascade
from liver_tf.prediction.inputs_csv import InputsCsv, scan_name
from liver_tf.prediction.named_scans import NamedScan
from liver_tf.prediction.one_scan import predict_scan
from liver_tf.refusals import Refusal


def predict_all(
    cascade: Cascade,
    inputs: Sequence[NamedScan],
    output: Path,
    *,
    with_paths: bool = False,
    **options,
) -> int:
    """Results of each scan into ``scan-001``, ``scan-002``, ... of a folder, told as they come.

    A scan that is refused, or meets an error that nobody foresaw, does not touch the others. When
    the disk is full no further scan is begun. What could not be done is listed at the end, and what
    became of every input stands in ``inputs.csv`` (:mod:`liver_tf.prediction.inputs_csv`).

    Args:
      with_paths: whether that table tells paths.
      options: of :func:`liver_tf.prediction.one_scan.predict_scan`.

    Returns:
      The command's exit status: 0 where all went well, else 1.

    Raises:
      Refusal: ``disk-full``, ``output-unwritable`` where not even the table can be begun.
    """
    try:
        table = InputsCsv(output, inputs, with_paths=with_paths)
    except OSError as error:
        raise write_refusal(output, error) from None
    refused: list[tuple[str, Refusal]] = []
    done = begun = 0
    for number, one in enumerate(inputs):
        name, begun = scan_name(number), begun + 1
        try:
            results = predict_scan(cascade, one.path, output / name, **options)
            print(results.text, flush=True)
            done += 1
            note = partial(table.done, number, results)
        except Exception as error:  # no scan may take the others with it
            refused.append((name, _refusal_of(error, one.path, output)))
            print(f"{name}: refused", file=sys.stderr)
            note = partial(table.refused, number, refused[-1][1])
        try:
            note()
        except OSError as error:
            refused.append((table.path.name, write_refusal(output, error)))
        if any(refusal.code == "disk-full" for _, refusal in refused):
            break
    for name, refusal in refused:
        print(f"{name}: {refusal.text_with_path()}", file=sys.stderr)
        for folder in _to_choose_from(refusal):
            print(f"  CT slices lie in {folder}", file=sys.stderr)
    if begun < len(inputs):
        print(
            f"the disk is full: {done} of {len(inputs)} scans are done and whole, "
            f"{len(inputs) - begun} were not begun, from {scan_name(begun)} on",
            file=sys.stderr,
        )
    return 1 if refused else 0


def _to_choose_from(refusal: Refusal) -> list[Path]:
    """Where a folder of several series has others below it that may be named one by one."""
    if refusal.code != "series-mixed":
        return []
    folders = folders_with_slices(refusal.path)
    return folders if folders != [refusal.path] else []


def _refusal_of(error: Exception, path: Path, output: Path) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if not isinstance(error, OSError):
        return unexpected_error(path, error)
    if str(error.filename or "").startswith(str(path)):
        return unreadable(path)
    return write_refusal(output, error)

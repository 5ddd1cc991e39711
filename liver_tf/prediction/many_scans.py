"""Predict a list of scans. A scan that fails is refused, and the remaining scans are processed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liver_tf.disk_full import write_errors_as_refusals, write_refusal
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.lesions_csv import Scalar
from liver_tf.export.scan_results import ScanResults
from liver_tf.inference.cascade import Cascade
from liver_tf.options import OptionError
from liver_tf.prediction.bad_scans import refusal_of, series_folders
from liver_tf.prediction.inputs_csv import InputsCsv, scan_name
from liver_tf.prediction.named_scans import NamedScan, named_scans
from liver_tf.prediction.one_scan import predict_scan
from liver_tf.prediction.prediction_settings import PredictSettings, ResultSettings
from liver_tf.refusals import Refusal


@dataclass(frozen=True)
class ScanOutcome:
    """The results of a scan, or why there are none.

    Attributes:
      scan: Name of its folder, ``scan-001``; ``inputs.csv`` for an error of writing the table.
      results: None if the scan was refused.
      refusal: None if the results were written.
    """

    scan: str
    results: ScanResults | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True)
class PredictedScans:
    """The outcomes of a list of scans.

    Attributes:
      outcomes: In the order of the scans, up to the last one that was begun.
      scans: Number of scans in the list.
      begun: Number of scans that were begun: all of them unless the disk was full.
    """

    outcomes: tuple[ScanOutcome, ...]
    scans: int
    begun: int

    @property
    def refused(self) -> list[tuple[str, Refusal]]:
        """Name and refusal of every scan that was refused."""
        return [(each.scan, each.refusal) for each in self.outcomes if each.refusal]

    def lesions(self) -> list[dict[str, Scalar]]:
        """One row per lesion of all scans, for ``pandas.DataFrame``.

        ``scan`` names the result folder; the other columns are those of ``lesions.csv``.
        """
        return [
            {"scan": each.scan, **row}
            for each in self.outcomes
            if each.results is not None
            for row in each.results.lesions
        ]

    def error_lines(self) -> list[str]:
        """What failed, for the terminal of the person who named the paths."""
        lines = []
        for scan, refusal in self.refused:
            lines.append(f"{scan}: {refusal.text_with_path()}")
            lines += [f"  CT slices are in {folder}" for folder in series_folders(refusal)]
        if self.begun < self.scans:
            finished = sum(each.results is not None for each in self.outcomes)
            lines.append(
                f"disk full: {finished} of {self.scans} scans are complete; "
                f"{self.scans - self.begun} were not begun, from {scan_name(self.begun)} on"
            )
        return lines


def predict(
    settings: PredictSettings | None = None,
    /,
    *,
    on_outcome: Callable[[ScanOutcome], None] = lambda outcome: None,
    **options: Any,
) -> PredictedScans:
    """Outline and classify the lesions of scans, and write the results of each.

    Args:
      settings: All options; None takes the defaults.
      on_outcome: Called after each scan.
      **options: Single options by name, as in ``liver-tf predict --help``. ``model``, ``output``
        and ``input`` or ``input_list`` are required.

    Returns:
      The outcome of each scan: a scan that cannot be read does not stop the others.

    Raises:
      OptionError: An option has a value that it cannot take.
      Refusal: A run cannot be used, the list of inputs cannot be read, or nothing can be written.

    Examples:
      >>> run = "runs/finetune/fold0/seed0/hier_freeze"
      >>> predict(model=[run], input=["scan.nii.gz"], output="results").lesions()
    """
    settings = PredictSettings.of(settings, **options)
    scans = named_scans(settings.input, settings.input_list)
    if not scans:
        raise OptionError("input_list", "the file lists no scan")
    cascade = settings.load(settings.model)
    print(f"post-processing: {cascade.how.text()}")
    return predict_scans(
        cascade,
        scans,
        settings.output,
        settings.results,
        AlgorithmIdentity.of_runs((settings.liver_run, *settings.model)),
        on_outcome,
    )


def predict_scans(
    cascade: Cascade,
    scans: Sequence[NamedScan],
    output: Path,
    settings: ResultSettings | None = None,
    made_by: AlgorithmIdentity | None = None,
    on_outcome: Callable[[ScanOutcome], None] = lambda outcome: None,
) -> PredictedScans:
    """Write the results of each scan to ``scan-001``, ``scan-002``, ... below ``output``.

    ``inputs.csv`` is updated after each scan (:mod:`liver_tf.prediction.inputs_csv`). A scan that
    fails does not affect the others; when the disk is full, no further scan is begun.

    Args:
      cascade: See ``Cascade.of_runs``.
      scans: See ``named_scans``.
      output: Folder for all results.
      settings: What is written for each scan.
      made_by: Version and weights, for the results; see ``AlgorithmIdentity.of_runs``.
      on_outcome: Called after each scan.

    Raises:
      Refusal: ``disk-full``, ``output-unwritable`` if the table cannot be created.
    """
    settings = settings or ResultSettings()
    with write_errors_as_refusals(output):
        table = InputsCsv(output, scans, with_paths=settings.paths_in_table)
    outcomes: list[ScanOutcome] = []
    begun = 0
    for number, scan in enumerate(scans):
        begun += 1
        new = [_outcome(cascade, scan, output / scan_name(number), settings, made_by)]
        on_outcome(new[0])
        new += _enter(table, number, new[0])
        outcomes += new
        if any(each.refusal and each.refusal.code == "disk-full" for each in new):
            break
    return PredictedScans(tuple(outcomes), len(scans), begun)


def _outcome(
    cascade: Cascade,
    scan: NamedScan,
    folder: Path,
    settings: ResultSettings,
    made_by: AlgorithmIdentity | None,
) -> ScanOutcome:
    try:
        results = predict_scan(cascade, scan.path, folder, settings, made_by)
    except Exception as error:  # whatever it is, the remaining scans are processed
        return ScanOutcome(folder.name, refusal=refusal_of(error, scan.path, folder.parent))
    return ScanOutcome(folder.name, results)


def _enter(table: InputsCsv, number: int, outcome: ScanOutcome) -> list[ScanOutcome]:
    """Enter an outcome in the table; returns the error of doing so, if there is one."""
    try:
        if outcome.results is not None:
            table.add_results(number, outcome.results)
        elif outcome.refusal is not None:
            table.add_refusal(number, outcome.refusal)
    except OSError as error:
        return [ScanOutcome(table.path.name, refusal=write_refusal(table.path.parent, error))]
    return []

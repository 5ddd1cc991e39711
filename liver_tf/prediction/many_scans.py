"""Predict a list of scans. A scan that fails is refused, and the remaining scans are processed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liver_tf.counted import counted
from liver_tf.ct.reading_settings import AS_USUAL, ReadingSettings
from liver_tf.disk_full import write_errors_as_refusals, write_refusal
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.lesions_csv import Scalar
from liver_tf.export.scan_results import ScanResults
from liver_tf.folder_lock import held_alone
from liver_tf.inference.cascade import Cascade
from liver_tf.model.description import precision_for
from liver_tf.options import OptionError
from liver_tf.prediction.bad_scans import refusal_of, series_folders
from liver_tf.prediction.inputs_csv import InputsCsv
from liver_tf.prediction.named_scans import NamedScan, named_scans, refuse_input_as_output
from liver_tf.prediction.one_scan import predict_open_scan, read_scan
from liver_tf.prediction.prediction_settings import PredictSettings, ResultSettings
from liver_tf.prediction.worklist import INDEX, write_worklist
from liver_tf.refusals import Refusal, printable

#: Wraps the iteration over scans.
Progress = Callable[[Sequence[NamedScan]], Iterable[NamedScan]]


@dataclass(frozen=True)
class ScanOutcome:
    """The results of a scan, or why there are none.

    ``scan`` is the name of its folder; or ``inputs.csv`` or ``index.html`` if it cannot be written.
    """

    scan: str
    results: ScanResults | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True)
class PredictedScans:
    """The outcomes of a list of ``scans``, in its order.

    ``begun`` is the number of scans that were started: all of them unless the disk was full.
    ``listed`` is the number of scans with results in the worklist, those of earlier commands
    included; 0 if it could not be written.
    """

    outcomes: tuple[ScanOutcome, ...]
    scans: int
    begun: int
    listed: int = 0

    @property
    def refused(self) -> list[tuple[str, Refusal]]:
        """Name and refusal of every scan that was refused."""
        return [(each.scan, each.refusal) for each in self.outcomes if each.refusal]

    def kept_line(self) -> str:
        """How many results of earlier commands were kept; empty for none."""
        kept = sum(each.results is not None and each.results.kept for each in self.outcomes)
        return f"{kept} of {counted(self.scans, 'scan')} kept, finished before" if kept else ""

    def caution_lines(self) -> list[str]:
        """Every caution on an accepted scan."""
        return [
            f"{each.scan}: [{caution.code}] {caution.text}"
            for each in self.outcomes
            if each.results is not None
            for caution in each.results.cautions
        ]

    def lesions(self) -> list[dict[str, Scalar]]:
        """One row per lesion, as in ``lesions.csv`` with its ``scan``; for ``pandas.DataFrame``."""
        return [
            {"scan": each.scan, **row}
            for each in self.outcomes
            if each.results is not None
            for row in each.results.lesions
        ]

    def error_lines(self) -> list[str]:
        """What failed, with paths: for the terminal, not for shared reports."""
        lines = []
        for scan, refusal in self.refused:
            lines.append(f"{scan}: {refusal.text_with_path()}")
            lines += [
                f"  CT slices are in {printable(folder)}" for folder in series_folders(refusal)
            ]
        if self.begun < self.scans:
            finished = sum(each.results is not None for each in self.outcomes)
            lines.append(
                f"disk full: {finished} of {counted(self.scans, 'scan')} complete; "
                f"the last {self.scans - self.begun} were not started"
            )
        return lines


def predict(
    settings: PredictSettings | None = None,
    /,
    *,
    on_outcome: Callable[[ScanOutcome], None] = lambda outcome: None,
    progress: Progress = iter,
    **options: Any,
) -> PredictedScans:
    """Outline and classify the lesions of scans, and write the results of each.

    Args:
      settings: All options; None takes the defaults.
      on_outcome: Called after each scan.
      progress: Iterates over the scans, e.g. ``tqdm.tqdm`` with a progress bar.
      **options: Single options by name, as in ``liver-tf predict --help``. ``input`` or
        ``input_list`` is required.

    Raises:
      OptionError: An option has a value that it cannot take.
      Refusal: A run cannot be used, the list of inputs cannot be read, or nothing can be written.
        A scan that cannot be read is refused in its outcome.

    Examples:
      >>> run = "runs/finetune/fold0/seed0/hier_freeze"
      >>> predict(model=[run], input=["scan.nii.gz"], output="results").lesions()
    """
    settings = PredictSettings.of(settings, **options)
    scans = named_scans(settings.input, settings.input_list)
    if not scans:
        raise OptionError("input_list", "the file lists no scan")
    refuse_input_as_output(settings.output, scans)
    cascade = settings.load(settings.model)
    notice = settings.notice(settings.model, cascade)
    if notice:
        print(notice)
    print(f"precision: {precision_for(settings.model[0], settings.precision).text()}")
    print(f"post-processing: {cascade.how.text()}")
    made_by = AlgorithmIdentity.of_runs(settings.all_runs(settings.model))
    return predict_scans(
        *(cascade, scans, settings.output, settings.results, made_by, on_outcome),
        settings.reading,
        progress,
    )


def predict_scans(
    cascade: Cascade,
    scans: Sequence[NamedScan],
    output: Path,
    settings: ResultSettings,
    made_by: AlgorithmIdentity | None = None,
    on_outcome: Callable[[ScanOutcome], None] = lambda outcome: None,
    reading: ReadingSettings = AS_USUAL,
    progress: Progress = iter,
) -> PredictedScans:
    """Write the results of each scan to ``scan-001``, ``scan-002``, ... below ``output``.

    A scan whose results are there gets their folder, another one that of its number in ``scans``
    or, if that is taken, the next free one. ``inputs.csv`` is updated after each scan,
    ``index.html`` and ``results.csv`` at the end. When the disk is full, no further scan is
    started.

    Raises:
      Refusal: ``output-busy`` if another process writes to the folder; ``disk-full``,
        ``output-unwritable`` if the table cannot be created.
    """
    with held_alone(output):
        return _predict_alone(
            *(cascade, scans, output, settings, made_by, on_outcome, reading, progress)
        )


def _predict_alone(
    cascade: Cascade,
    scans: Sequence[NamedScan],
    output: Path,
    settings: ResultSettings,
    made_by: AlgorithmIdentity | None,
    on_outcome: Callable[[ScanOutcome], None],
    reading: ReadingSettings,
    progress: Progress,
) -> PredictedScans:
    with write_errors_as_refusals(output):
        table = InputsCsv(output, scans, with_paths=settings.paths_in_table)
    outcomes: list[ScanOutcome] = []
    begun = 0
    for scan in progress(scans):
        begun += 1
        results, refusal = None, None
        try:
            results = _predict_one(cascade, scan.path, output, table, settings, made_by, reading)
        except Exception as error:  # of any kind: the remaining scans are processed
            refusal = refusal_of(error, scan.path, output)
        outcome = ScanOutcome(table.add(results, refusal), results, refusal)
        outcomes.append(outcome)
        try:
            table.save()
        except OSError as error:
            outcomes.append(ScanOutcome(table.path.name, refusal=write_refusal(output, error)))
        on_outcome(outcome)  # after the entry: whether it can be shown does not decide
        if any(each.refusal and each.refusal.code == "disk-full" for each in outcomes[-2:]):
            break
    listed = 0
    try:
        listed = write_worklist(output, table.rows)
    except OSError as error:
        outcomes.append(ScanOutcome(INDEX, refusal=write_refusal(output, error)))
    return PredictedScans(tuple(outcomes), len(scans), begun, listed)


def _predict_one(
    cascade: Cascade,
    path: Path,
    output: Path,
    table: InputsCsv,
    settings: ResultSettings,
    made_by: AlgorithmIdentity | None,
    reading: ReadingSettings,
) -> ScanResults:
    scan = read_scan(path, reading)
    return predict_open_scan(cascade, scan, output / table.next_name(scan), settings, made_by)

"""The transfer study end to end: split one real scan, fine-tune, evaluate, write the report.

Networks pre-trained on phantoms (all protocols and controls) and networks from scratch are trained
on the same slices, and tested at the other end of the liver. The scan is of ONE PATIENT.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from absl import app

from liver_tf import run_files
from liver_tf.atomic_files import write_text
from liver_tf.quiet_tensorflow import import_tensorflow
from liver_tf.records.manifest import Manifest, load_manifest
from liver_tf.report.page.page_parts import Picture
from liver_tf.report.page.render_markdown import render_markdown
from liver_tf.results.stored_results import has_results, load_results
from liver_tf.studies.command_chain import PHANTOM_KEY, ChainStep, run_chain
from liver_tf.studies.process_engine import ProcessEngine
from liver_tf.studies.protocol_files import ProtocolFile
from liver_tf.studies.scheduler import run_remaining
from liver_tf.studies.study_plan import LiverStudyInputs, StudyDesign, StudyPlan, plan_study
from liver_tf.studies.transfer import slice_cases
from liver_tf.studies.transfer.dice_plot import draw_dice_plot
from liver_tf.studies.transfer.overlay_sheet import draw_overlays
from liver_tf.studies.transfer.scan_split import ENDS, HEAD, ScanSplit, SplitDistances, split_scan
from liver_tf.studies.transfer.transfer_page import networks_csv, transfer_page
from liver_tf.studies.transfer.transfer_results import BEFORE, load_transfer

DATA = "CT_SET_3 of the CHAOS challenge, a contrast-enhanced CT of a healthy liver"
SOURCE = (
    "CHAOS: A. E. Kavur et al., CHAOS Challenge - combined (CT-MR) healthy abdominal organ "
    "segmentation, Medical Image Analysis 69 (2021), arXiv 2001.06535. Data: A. E. Kavur, M. A. "
    "Selver, O. Dicle, M. Barış, N. S. Gezer, doi 10.5281/zenodo.3362844, under CC BY-NC-SA 4.0 "
    "(https://creativecommons.org/licenses/by-nc-sa/4.0/) by the challenge's rules. The overlays "
    "are derived from the data (HU windowed, slices cropped, outlines drawn) and are under that "
    "licence, not under the licence of this program; the data are not part of this program."
)

# In the study's folder.
_SLICES, _RECORDS, _FOLDS = "pieces", "tfrecords", "folds.json"

_CHAIN = "the study"

#: The phantoms' key, so that the leakage guard can compare patients with those of pre-training.
_KEY = PHANTOM_KEY.encode()


@dataclass(frozen=True)
class TransferStudy:
    """What the study trains and where.

    Attributes:
      folder: for everything but the report. output: for the report.
      volume, segmentation: the scan as a NIfTI pair.
      pretrained: run of the liver network that was trained on phantoms.
      protocols: as read from their flag files.
      settings: training flags that all runs share, by file.
      seeds: training seeds. counts: sizes of the training sets.
      ends: ends of the liver used for training; the other end can be added later.
      distances, validation_slices: as in ``split_scan``.
      workers: networks trained at a time.
    """

    folder: Path
    output: Path
    volume: Path
    segmentation: Path
    pretrained: Path
    protocols: Sequence[ProtocolFile]
    settings: dict[str, tuple[str, ...]]
    seeds: Sequence[int] = (0, 1, 2)
    counts: Sequence[int] = (4, 8, 16)
    ends: Sequence[str] = (HEAD,)
    distances: SplitDistances = field(default_factory=SplitDistances)
    validation_slices: int = 3
    workers: int = 2


def run_transfer_study(study: TransferStudy, *, report_only: bool = False) -> bool:
    """Run what is not done and write the report; returns whether all runs succeeded.

    Args:
      study: what to run.
      report_only: train nothing; report the finished runs.

    Raises:
      UsageError: the scan cannot be split as asked.
      Refusal: the scan cannot be read, or the study was started with other settings.
    """
    splits, manifest = _prepare_records(study)
    folds = slice_cases.folds_of(splits)
    plan = plan_study(
        study.folder,
        LiverStudyInputs(study.folder / _RECORDS, study.folder / _FOLDS, study.pretrained),
        StudyDesign(
            study.protocols,
            study.seeds,
            [number for number, (split, _) in enumerate(folds) if split.end in study.ends],
            study.settings,
        ),
    )
    failed = []
    if not report_only:
        print(f"\n== fine-tune and evaluate: {len(plan.jobs)} networks", flush=True)
        failed = run_remaining(plan.jobs, plan.work, lambda: ProcessEngine(study.workers))
    if failed:
        names = ", ".join(result.name for result in failed)
        print(f"\n{len(failed)} network(s) FAILED: {names}. The same command retries them.")
    _evaluate_before(study, manifest, splits)
    _write_report(study, manifest, plan)
    return not failed


def _prepare_records(study: TransferStudy) -> tuple[list[ScanSplit], Manifest]:
    """Split the scan, convert its slices, write the folds and check them for leakage."""
    folder, records, folds = study.folder, study.folder / _RECORDS, study.folder / _FOLDS
    try:
        pair = slice_cases.read_pair(study.volume, study.segmentation)
        splits = [
            split_scan(
                pair.positions_mm,
                pair.with_liver,
                end,
                counts=study.counts,
                validation_slices=study.validation_slices,
                distances=study.distances,
            )
            for end in ENDS  # both in any case, so that the other end can be added later
        ]
    except ValueError as error:
        raise app.UsageError(str(error)) from None
    slice_cases.write_slices(pair, slice_cases.used_slices(splits), folder / _SLICES)
    convert = (
        *("data_prep.build_tfrecords", "--source=lits", f"--input={folder / _SLICES}"),
        f"--output={records}",
    )
    step = ChainStep("convert", "convert the slices", convert, 10, always=True)
    run_chain([step], folder, _CHAIN)
    manifest = load_manifest(records)
    slice_cases.write_folds(folds, manifest, splits, _KEY)
    slice_cases.write_layout(folder, splits, _KEY)
    check = ("data_prep.check_leakage", f"--records={records}", f"--folds_file={folds}")
    step = ChainStep("guard", "compare the parts", check, 5, always=True)
    run_chain([step], folder, _CHAIN)
    return splits, manifest


def _evaluate_before(study: TransferStudy, manifest: Manifest, splits: Sequence[ScanSplit]) -> None:
    """Evaluate the network of phantoms on every test part, unless that is done."""
    import_tensorflow()
    from liver_tf.assessment.evaluate_liver import evaluate_liver
    from liver_tf.model.weights_file import stored_hash

    weights = stored_hash(study.pretrained / run_files.WEIGHTS)
    made_of = {"records": manifest.fingerprint, "weights": weights}
    for split in splits:
        output = study.folder / BEFORE / split.end
        cases = [slice_cases.case_of(number, _KEY) for number in split.test]
        if has_results(output, "test"):
            before = load_results(output)
            same_cases = cases == [result.case for result in before.results]
            if same_cases and made_of.items() <= dict(before.made_of).items():
                continue
        evaluate_liver(
            study.pretrained, output, cases, study.folder / _RECORDS, manifest, fold=split.end
        )


def _write_report(study: TransferStudy, manifest: Manifest, plan: StudyPlan) -> None:
    results = load_transfer(study.folder, [protocol.name for protocol in study.protocols])
    if not results.runs:
        print("no report: no network was evaluated")
        return
    output, records = study.output, study.folder / _RECORDS
    plot = draw_dice_plot(results, output / "transfer_dice.png")
    pictures = [Picture(plot, "Each point is a network: its mean Dice over the test slices")]
    for end in results.ends:
        path = output / f"transfer_{end}.png"
        fewest = results.counts[0]
        if draw_overlays(study.folder, results, records, manifest, end, fewest, path):
            caption = (
                f"Trained at the {end} end: worst, median and best test slice of the network "
                "trained only on phantoms, and of three protocols the seed with the median Dice. "
                "CHAOS, CC BY-NC-SA 4.0, see Data"
            )
            pictures.append(Picture(path, caption))
    settings = [flag for flags in study.settings.values() for flag in flags]
    page = transfer_page(
        results,
        data=DATA,
        source=SOURCE,
        command="python -m trainers.transfer_study",
        settings=settings,
        pictures=pictures,
        missing=[job.name for job in plan.missing()],
    )
    write_text(output / "transfer.md", render_markdown(page, output))
    write_text(output / "transfer.csv", networks_csv(results))
    print(
        f"\nreport: {output / 'transfer.md'}, transfer.csv and {len(pictures)} pictures beside it"
    )

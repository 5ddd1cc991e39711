"""The transfer study end to end: split one real scan, fine-tune, evaluate, write the report.

Networks pre-trained on phantoms (all protocols and controls) and networks from scratch are trained
on the same slices, and tested at the other end of the liver. The scan is of ONE PATIENT.
"""

from collections.abc import Sequence

from liver_tf import run_files
from liver_tf.atomic_files import replaced_together, write_text
from liver_tf.command_line.invocation import show_next
from liver_tf.folder_lock import held_alone
from liver_tf.options import OptionError
from liver_tf.quiet_tensorflow import import_tensorflow
from liver_tf.records.manifest import Manifest, load_manifest
from liver_tf.report.foreign_files import refuse_foreign_page
from liver_tf.report.page.page_parts import Picture
from liver_tf.report.page.render_markdown import render_markdown
from liver_tf.results.stored_results import has_results, load_results
from liver_tf.studies.command_chain import PHANTOM_KEY, ChainStep, run_steps
from liver_tf.studies.protocol_files import read_protocols, read_settings
from liver_tf.studies.scheduler import ProcessEngine, run_remaining
from liver_tf.studies.study_plan import StudyDesign, StudyInputs, StudyPlan, plan_study
from liver_tf.studies.transfer import slice_cases
from liver_tf.studies.transfer.dice_plot import draw_dice_plot
from liver_tf.studies.transfer.scan_split import ENDS, ScanSplit, split_scan
from liver_tf.studies.transfer.transfer_page import networks_csv, transfer_page
from liver_tf.studies.transfer.transfer_results import BEFORE, load_transfer
from liver_tf.studies.transfer.transfer_settings import TransferSettings

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

#: The key of the phantoms, so that the leakage guard can compare patients with those of
#: pre-training.
_KEY = PHANTOM_KEY.encode()


def run_transfer_study(settings: TransferSettings) -> bool:
    """Train what is not done and write the report; returns whether all runs succeeded.

    Raises:
      OptionError: the scan is missing or cannot be split as requested, or a flag file is wrong.
      Refusal: the scan cannot be read, or the study was started with other settings;
        ``output-busy`` if another process uses the study or the report.
    """
    with held_alone(settings.folder, settings.output):
        return _run_alone(settings)


def _run_alone(settings: TransferSettings) -> bool:
    folder = settings.folder
    protocols = read_protocols(settings.protocols)
    shared = read_settings([settings.settings])
    splits, manifest = _prepare_records(settings)
    ends = [split.end for split, _ in slice_cases.folds_of(splits)]
    folds = [number for number, end in enumerate(ends) if end in settings.ends]
    inputs = StudyInputs(folder / _RECORDS, folder / _FOLDS, settings.pretrained)
    design = StudyDesign(protocols, settings.seeds, folds, shared)
    plan = plan_study(folder, inputs, design)
    failed = []
    if not settings.report_only:
        print(f"\n== fine-tune and evaluate: {len(plan.jobs)} networks", flush=True)
        failed = run_remaining(plan.jobs, plan.work, lambda: ProcessEngine(settings.workers))
    _evaluate_before(settings, manifest, splits)
    _write_report(settings, manifest, plan, design)
    return not failed


def _prepare_records(settings: TransferSettings) -> tuple[list[ScanSplit], Manifest]:
    """Split the scan, convert its slices, write the folds and check them for leakage."""
    folder, records, folds = settings.folder, settings.folder / _RECORDS, settings.folder / _FOLDS
    try:
        pair = slice_cases.read_pair(*settings.scan_files())
        splits = [
            split_scan(
                pair.positions_mm,
                pair.with_liver,
                end,
                counts=list(dict.fromkeys(settings.slices)),
                validation_slices=settings.validation_slices,
                distances=settings.distances,
            )
            for end in ENDS  # both in any case, so that the other end can be added later
        ]
    except ValueError as error:
        raise OptionError(None, str(error)) from None
    slice_cases.write_slices(pair, slice_cases.used_slices(splits), folder / _SLICES)
    options = {"source": "lits", "input": folder / _SLICES, "output": records}
    convert = "convert", "convert the slices", 10, "data_prep.build_tfrecords", options
    run_steps([ChainStep(*convert, always=True)], folder, "the study")
    manifest = load_manifest(records)
    slice_cases.write_folds(folds, manifest, splits, _KEY)
    slice_cases.write_layout(folder, splits, _KEY)
    options = {"records": records, "folds_file": folds}
    guard = "guard", "compare the parts", 5, "data_prep.check_leakage", options
    run_steps([ChainStep(*guard, always=True)], folder, "the study")
    return splits, manifest


def _evaluate_before(
    settings: TransferSettings, manifest: Manifest, splits: Sequence[ScanSplit]
) -> None:
    """Evaluate the network trained only on phantoms on every test part, unless that is done."""
    import_tensorflow()
    from liver_tf.assessment.evaluate_liver import evaluate_liver
    from liver_tf.model.weights_file import stored_hash

    weights = stored_hash(settings.pretrained / run_files.WEIGHTS)
    made_of = {"records": manifest.fingerprint, "weights": weights}
    for split in splits:
        output = settings.folder / BEFORE / split.end
        cases = [*slice_cases.cases_of(split.test, _KEY)]
        if has_results(output, "test"):
            before = load_results(output)
            same_cases = cases == [result.case for result in before.results]
            if same_cases and made_of.items() <= dict(before.made_of).items():
                continue
        evaluate_liver(
            settings.pretrained, output, cases, settings.folder / _RECORDS, manifest, fold=split.end
        )


def _write_report(
    settings: TransferSettings, manifest: Manifest, plan: StudyPlan, design: StudyDesign
) -> None:
    from liver_tf.studies.transfer.overlay_sheet import draw_overlays

    results = load_transfer(settings.folder, [protocol.name for protocol in design.protocols])
    if not results.runs:
        print("no report: no network was evaluated")
        return
    records = settings.folder / _RECORDS
    with replaced_together(settings.output) as output:
        plot = draw_dice_plot(results, output / "transfer_dice.png")
        pictures = [Picture(plot, "Each point is a network: its mean Dice over the test slices")]
        for end in results.ends:
            path = output / f"transfer_{end}.png"
            fewest = results.counts[0]
            if draw_overlays(settings.folder, results, records, manifest, end, fewest, path):
                caption = (
                    f"Trained at the {end} end: worst, median and best test slice of the network "
                    "trained only on phantoms, and of three protocols the seed with the median "
                    "Dice. CHAOS, CC BY-NC-SA 4.0, see Data"
                )
                pictures.append(Picture(path, caption))
        page = transfer_page(
            results,
            data=DATA,
            source=SOURCE,
            command="python -m trainers.transfer_study",
            settings=design.shared_flags,
            pictures=pictures,
            missing=[job.name for job in plan.missing()],
        )
        refuse_foreign_page(settings.output / "transfer.md", page)
        write_text(output / "transfer.md", render_markdown(page, output))
        write_text(output / "transfer.csv", networks_csv(results))
    files = (
        f"{settings.output / 'transfer.md'}, transfer.csv and {len(pictures)} pictures beside it"
    )
    print(f"\nreport: {files}")
    show_next(f"open {settings.output / 'transfer.md'}")

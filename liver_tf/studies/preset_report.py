"""The report of the preset study: presets side by side with their cost, and the ablation.

Figures come from the stored results of runs and ensembles; intervals and paired differences are
those of ``statistics``. The complete reports of each preset are beside it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from liver_tf import run_files
from liver_tf.atomic_files import write_text
from liver_tf.csv_text import csv_text
from liver_tf.measures.measure_registry import all_measures, measure_title, measures_by_size
from liver_tf.measures.measure_sums import MeasureSums
from liver_tf.measures.slice_result import SliceResult
from liver_tf.report.foreign_files import refuse_foreign_page
from liver_tf.report.page.page_parts import DataLabel, Page, Paragraph, Section, Table
from liver_tf.report.page.render_html import render_html
from liver_tf.report.page.render_markdown import render_markdown
from liver_tf.report.tables.paper_table import ABSENT, format_interval
from liver_tf.results.pool_runs import pool_runs
from liver_tf.results.stored_results import load_results
from liver_tf.results.training_history import read_cycles
from liver_tf.statistics.bootstrap_intervals import Interval, Resamples, resample
from liver_tf.studies.phantom_study import DATA_LABEL
from liver_tf.studies.preset_study import (
    PRESETS,
    PresetStudySettings,
    StudyArm,
    ablation_arms,
    arm_of,
)

#: Size of lesions in the last column of figures.
SMALL = "10_to_20_mm"
_RECALL = "lesion_recall_iou10"

#: The columns of both tables.
MEASURES = (
    *("dice2", "success", "accuracy", "healthy_false_positive_rate", "dice1"),
    *("pooled_dice_lesion", "case_dice_liver", "lesion_average_precision", SMALL),
)

#: The columns of the ablation, each with the difference from the row above.
_ABLATED = MEASURES[:4]

COST = (
    "Core-minutes: processor time of training and validation over all cores, without conversion "
    "and evaluation. Pre-training: of both networks; a dash for the networks in the package, which "
    "the recommended preset starts from. Fine-tuning: of one seed; of all seeds for an "
    "ensemble. Intervals: 95 %, bootstrap over patients and, for single networks, over seeds. Raw "
    "argmax: the same networks, every pixel its most likely class, without post-processing."
)
STEPS_TEXT = (
    "From the paper's preset to the recommended one; each row adds a change to the row above. "
    "Differences from the row above are paired: same patients and seeds, 95 % intervals. Every row "
    "was trained with all seeds."
)


@dataclass(frozen=True)
class ReportRow:
    """Figures of one arm, or of its ensemble.

    Attributes:
      decided, argmax: resamples of ``MEASURES``, by the run's decision and by argmax; the latter is
        None if it was not stored.
      core_minutes: of pre-training, None for the networks in the package; and of the fine-tuning of
        one seed or of all of an ensemble.
      networks: seeds, or 1 for an ensemble.
    """

    name: str
    decided: Resamples[str]
    argmax: Resamples[str] | None
    core_minutes: tuple[float | None, float]
    networks: int


def write_preset_report(study: PresetStudySettings, output: Path) -> Path:
    """Write ``report.html``, ``report.md`` and ``report.csv``; returns the first.

    Raises:
      Refusal: as ``load_results`` and ``pool_runs``.
    """
    presets = [
        row
        for preset in PRESETS
        for protocol in study.protocols
        for row in _rows(study, f"{preset}: {protocol}", arm_of(study, preset, protocol))
    ]
    steps = [(arm, _rows(study, arm.name, arm)) for arm in ablation_arms(study)]
    patients = len(presets[0].decided.units.patients)
    sections = [
        Section("Presets", (Paragraph(COST), _preset_table(presets))),
        Section("Ablation", (Paragraph(STEPS_TEXT), _ablation_table(steps))),
    ]
    page = Page(
        "Paper's and recommended settings",
        (
            DataLabel(
                f"All figures were measured on {DATA_LABEL}.",
                f"One test cohort of {patients} phantoms that no network was trained on; "
                f"{len(study.seeds)} seeds.",
            ),
        ),
        tuple(sections if study.ablation else sections[:1]),
    )
    refuse_foreign_page(output / "report.md", page)
    write_text(output / "report.md", render_markdown(page, output))
    # The first and the last row of the ablation are presets.
    between = [row for _, rows in steps[1:-1] for row in rows]
    write_text(output / "report.csv", _csv([*presets, *between]))
    write_text(output / "report.html", render_html(page))
    return output / "report.html"


def _rows(study: PresetStudySettings, name: str, arm: StudyArm) -> list[ReportRow]:
    """The row of single networks, and that of their ensemble if there are several."""
    runs = arm.runs(study.seeds)
    before = None
    if arm.pretrained is not None:
        before = _core_minutes(arm.pretrained / "runs", ("liver", "lesion"))
    each = [_core_minutes(run.parent, (run.name,)) for run in runs]
    rows = [_row(study, name, runs, (before, sum(each) / len(each)), len(runs))]
    if len(runs) > 1:
        ensemble = [run_files.ensemble_folder(runs[0])]
        title = f"{name}, ensemble of {len(runs)} seeds"
        rows.append(_row(study, title, ensemble, (before, sum(each)), 1))
    return rows


def _core_minutes(folder: Path, runs: Sequence[str]) -> float:
    return sum(c.core_seconds for run in runs for c in read_cycles(folder / run)) / 60


def _row(
    study: PresetStudySettings,
    name: str,
    folders: Sequence[Path],
    core_minutes: tuple[float | None, float],
    networks: int,
) -> ReportRow:
    results = [load_results(folder) for folder in folders]
    (slices,) = pool_runs(results).values()
    raw = [s for r in results for s in r.by_argmax or ()]
    complete = all(r.by_argmax is not None for r in results)
    argmax = _resampled(raw, study.samples) if complete else None
    return ReportRow(name, _resampled(slices, study.samples), argmax, core_minutes, networks)


def _resampled(slices: Sequence[SliceResult], samples: int) -> Resamples[str]:
    of_all: dict[str, MeasureSums] = {**all_measures(slices)}
    of_all[SMALL] = measures_by_size(slices)[SMALL][_RECALL]
    chosen = {measure: of_all[measure] for measure in MEASURES if measure in of_all}
    return resample(slices, chosen, samples=samples)


def _title(measure: str) -> str:
    return "Recall of lesions of 10 to 20 mm" if measure == SMALL else measure_title(measure)


def _figure(of: Resamples[str] | None, measure: str) -> str:
    if of is None or measure not in of.observed:
        return ABSENT
    return format_interval(of.interval(measure))


def _preset_table(rows: Sequence[ReportRow]) -> Table:
    lines = []
    for row in rows:
        cost = tuple(ABSENT if each is None else f"{each:.1f}" for each in row.core_minutes)
        for decision, of in (("run's", row.decided), ("raw argmax", row.argmax)):
            figures = (_figure(of, measure) for measure in MEASURES)
            lines.append((row.name, decision, *figures, *cost))
    headers = ("preset and protocol", "decision", *map(_title, MEASURES))
    return Table((*headers, "pre-training, core-min", "fine-tuning, core-min"), tuple(lines))


def _ablation_table(steps: Sequence[tuple[StudyArm, Sequence[ReportRow]]]) -> Table:
    (_, first), *between, (last, final) = steps
    single = [
        ("paper's preset", ABSENT, first[0]),
        *((arm.name, _changes(arm), rows[0]) for arm, rows in between),
        ("recommended preset", _changes(last), final[0]),
    ]
    previous = [None, *(row for _, _, row in single)]
    lines = [_ablation_line(*each, before) for each, before in zip(single, previous, strict=False)]
    for row in final[1:]:
        name = row.name.replace(last.name, "recommended preset")
        lines.append(_ablation_line(name, "average of the seeds", row, None))
    headers = [header for m in _ABLATED for header in (_title(m), "difference")]
    return Table(("step", "changed flags of fine-tuning", *headers, "core-min"), tuple(lines))


def _changes(arm: StudyArm) -> str:
    return ", ".join(flag.replace("--", "") for flag in arm.changed) or "the pre-trained networks"


def _ablation_line(
    name: str, changed: str, row: ReportRow, previous: ReportRow | None
) -> tuple[str, ...]:
    cells = []
    for measure in _ABLATED:
        gain = None
        if previous is not None and measure in row.decided.observed:
            gain = row.decided.minus(previous.decided, measure)
        cells += [_figure(row.decided, measure), format_interval(gain, signed=True)]
    return (name, changed, *cells, f"{sum(each or 0 for each in row.core_minutes):.1f}")


def _csv(rows: Sequence[ReportRow]) -> str:
    lines: list[tuple[object, ...]] = [
        ("row", "decision", "measure", "value", "low", "high", "networks")
    ]
    for row in rows:
        for decision, of in (("run", row.decided), ("argmax", row.argmax)):
            for measure, interval in _intervals(of):
                ends = (interval.value, interval.low, interval.high)
                numbers = ("" if end is None else f"{end:.6g}" for end in ends)
                lines.append((row.name, decision, measure, *numbers, row.networks))
        for name, minutes in zip(("pre-training", "fine-tuning"), row.core_minutes, strict=True):
            if minutes is not None:
                lines.append((row.name, "", f"core_minutes {name}", f"{minutes:.4g}", "", "", ""))
    return csv_text(lines)


def _intervals(of: Resamples[str] | None) -> Iterator[tuple[str, Interval]]:
    if of is not None:
        yield from ((measure, of.interval(measure)) for measure in of.observed)

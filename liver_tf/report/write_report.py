"""The report of an evaluation: Markdown, CSV, JSON, and one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from liver_tf.atomic_files import write_json, write_text
from liver_tf.measures.slice_result import SliceResult
from liver_tf.refusals import Refusal
from liver_tf.report import provenance
from liver_tf.report.figures_csv import measures_csv
from liver_tf.report.figures_json import measures_json
from liver_tf.report.findings import Findings, evaluate_protocols
from liver_tf.report.overlays.example_sheets import draw_example_sheets
from liver_tf.report.page.page_parts import Picture
from liver_tf.report.page.render_html import render_html
from liver_tf.report.page.render_markdown import render_markdown
from liver_tf.report.plots.cycle_plot import draw_cycles
from liver_tf.report.plots.forest_plot import draw_forest
from liver_tf.report.plots.reliability_plot import draw_reliability
from liver_tf.report.plots.training_curves import draw_curves
from liver_tf.report.sections import report_page
from liver_tf.report.tables.paper_table import PUBLISHED, format_interval, render_text
from liver_tf.report.tables.protocol_tables import cycles_by_protocol
from liver_tf.results.leakage_audit import LeakageAudit, audit_leakage
from liver_tf.results.stored_results import cautions, images_csv, label_of, pooled
from liver_tf.results.study_inventory import StudyRun, measured, read_run, read_study
from liver_tf.statistics.bootstrap_intervals import SAMPLES, Interval
from liver_tf.statistics.protocol_comparisons import CONTROLS

PICTURES = "pictures"


@dataclass(frozen=True)
class ReportFiles:
    """Where the report lies, and the figures in it."""

    markdown: Path
    csv: Path
    json: Path
    html: Path
    findings: Findings


def write_report(
    folder: Path | str,
    results: Mapping[str, Sequence[SliceResult]],
    data_label: str,
    *,
    cells: Sequence[StudyRun] = (),
    leaks: LeakageAudit | None = None,
    title: str = "Liver lesions: segmentation and type",
    facts: Mapping[str, str] | None = None,
    cautions: Sequence[str] = (),
    samples: int = SAMPLES,
    seed: int = 0,
) -> ReportFiles:
    """Writes ``report.html``, ``report.md``, ``report.csv``, ``measures.json``, ``pictures/``.

    Args:
      folder: made if missing; every file in it is written whole or not at all.
      results, data_label, title, facts, cautions, samples, seed: as in ``evaluate_protocols``.
      cells: the runs behind the results, for training curves, outlines and the list of runs.
      leaks: what ``leaks_of_runs.audit_leakage`` has found.

    Returns:
      Paths and figures. The HTML file holds its pictures itself; the Markdown links to them.

    Raises:
      ValueError: as ``evaluate_protocols``.
    """
    folder = Path(folder)
    findings = evaluate_protocols(
        results,
        data_label,
        title=title,
        facts=facts,
        cautions=cautions,
        cells=cells,
        samples=samples,
        seed=seed,
    )
    findings = replace(
        findings,
        leaks=leaks,
        plots=_plots(findings, folder / PICTURES),
        sheets=tuple(draw_example_sheets(cells, folder / PICTURES)),
    )
    files = ReportFiles(
        markdown=folder / "report.md",
        csv=folder / "report.csv",
        json=folder / "measures.json",
        html=folder / "report.html",
        findings=findings,
    )
    page = report_page(findings)
    write_text(files.markdown, render_markdown(page, folder))
    write_text(files.csv, measures_csv(findings))
    write_json(files.json, measures_json(findings))
    write_text(files.html, render_html(page))
    return files


def _plots(findings: Findings, folder: Path) -> dict[str, Picture]:
    """All plots for which there are figures."""
    cycles = cycles_by_protocol(findings.cells)
    data = findings.data_label
    found = {}
    if any(d.interval.value is not None for d in findings.differences):
        path = draw_forest(findings.differences, folder / "differences.png")
        found["forest"] = Picture(
            path,
            f"Paired differences with 95 % intervals, p after Holm's correction; {data}. Filled: "
            "shown; open and grey: no difference shown",
        )
    if cycles:
        path = draw_cycles(cycles, folder / "cycles.png")
        found["cycles"] = Picture(
            path, f"From cycle to cycle, on the validation patients of each run; {data}"
        )
    if any(cycle.epochs for own in cycles.values() for run in own for cycle in run):
        path = draw_curves(cycles, folder / "training_curves.png")
        found["curves"] = Picture(path, f"Training curves; a grey line starts a cycle; {data}")
    if any(one.slices for curves in findings.reliability.values() for one in curves[0]):
        path = draw_reliability(findings.reliability, folder / "reliability.png")
        found["reliability"] = Picture(
            path, f"Reliability: how often a type given with some confidence is right; {data}"
        )
    return found


#: The terminal's table.
TABLE = "table.txt"

#: The paper's protocols in the order of its table, then their controls; others follow by name.
_ORDER = (*PUBLISHED, *CONTROLS)


def write_study_report(
    study: Path,
    output: Path,
    *,
    data_label: str,
    planned: Sequence[Path] = (),
    samples: int = SAMPLES,
    seed: int = 0,
) -> list[Path]:
    """The report of a study: every cell that was measured, and which are missing or failed.

    Args:
      study: folder with ``finetune/fold<F>/seed<S>/<protocol>/`` (``study.read_study``).
      output: where ``report.html``, ``report.md``, ``report.csv``, ``measures.json``,
        ``images.csv`` (a row per slice and run), ``table.txt`` and ``pictures/`` go; made if
        missing.
      data_label: what was measured on, e.g. ``PHANTOM data (not patients)``.
      planned: folders of the runs that the study is to have, whether they are there or not.
      samples, seed: of bootstrap and permutations.

    Returns:
      The files written, ``report.html`` first.

    Raises:
      Refusal: ``no-study``, ``nothing-measured``, ``runs-not-one-study``.
    """
    return _write(read_study(study, planned), study, output, data_label, samples, seed)


def write_runs_report(
    runs: Sequence[Path], output: Path, *, data_label: str, samples: int = SAMPLES, seed: int = 0
) -> list[Path]:
    """The same report of some runs, wherever they lie; arguments as in ``write_study_report``."""
    cells = tuple(read_run(run) for run in runs)
    return _write(cells, None, output, data_label, samples, seed)


def _write(
    cells: Sequence[StudyRun],
    study: Path | None,
    output: Path,
    data_label: str,
    samples: int,
    seed: int,
) -> list[Path]:
    cells = sorted(cells, key=_place)
    stored = measured(cells)
    if not stored:
        raise Refusal(
            "nothing-measured",
            study,
            expected="at least one run that was measured on its test fold",
            found=f"{len(cells)} runs, none of them measured",
            remedy="Measure the runs with trainers.evaluate, or let the study go on.",
        )
    results = pooled(stored)
    leaks = audit_leakage(cells)
    files = write_report(
        output,
        results,
        label_of(stored, data_label),
        cells=cells,
        leaks=leaks,
        facts=provenance.facts(cells),
        cautions=(*cautions(stored), *leaks.cautions(), *provenance.cautions_of(cells)),
        samples=samples,
        seed=seed,
    )
    write_text(output / "images.csv", images_csv(stored))
    write_text(output / TABLE, table_text(files.findings))
    pictures = [*files.findings.plots.values(), *files.findings.sheets]
    _remove_others(output / PICTURES, {picture.path.name for picture in pictures})
    return [
        *(files.html, files.markdown, files.csv, files.json),
        *(output / "images.csv", output / TABLE),
        *(picture.path for picture in pictures),
    ]


def table_text(findings: Findings) -> str:
    """The paper's table for a terminal, with cautions above and healthy slices below."""
    text = "".join(f"CAUTION. {caution}\n" for caution in findings.cautions)
    text += render_text(findings.measured, findings.data_label, findings.differences)
    return text + _healthy_text(findings.measured)


def _healthy_text(own: Mapping[str, Mapping[str, Interval]]) -> str:
    """Lines on healthy slices, without which Success cannot be judged."""
    lines = ["", "healthy slices with a lesion reported (where all are, Success says little):"]
    for name, measures in own.items():
        lines.append(f"  {name}: {format_interval(measures.get('healthy_false_positive_rate'))}")
    return "\n".join(lines) + "\n"


def _place(cell: StudyRun) -> tuple:
    known = _ORDER.index(cell.protocol) if cell.protocol in _ORDER else len(_ORDER)
    return known, cell.protocol, cell.validation, cell.fold, cell.seed


def _remove_others(folder: Path, kept: set[str]) -> None:
    """Pictures of an earlier report that this one no longer has would be taken for its own."""
    for path in folder.glob("*.png"):
        if path.name not in kept:
            path.unlink()

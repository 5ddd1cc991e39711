"""The report of an evaluation: Markdown, CSV, JSON, and one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from liver_tf.atomic_files import write_json, write_text
from liver_tf.measures.image_result import ImageResult
from liver_tf.report.curves import draw_curves
from liver_tf.report.cycle_plot import draw_cycles
from liver_tf.report.findings import Findings, Picture, evaluate_protocols
from liver_tf.report.forest_plot import draw_forest
from liver_tf.report.reliability_plot import draw_reliability
from liver_tf.report.report_csv import measures_csv
from liver_tf.report.report_json import measures_json
from liver_tf.report.report_pages import html_page, markdown_page
from liver_tf.report.report_tables import cycles_by_protocol
from liver_tf.report.shown_sheets import draw_sheets
from liver_tf.results.leaks_of_runs import LeakCheck
from liver_tf.results.study import Cell
from liver_tf.statistics.bootstrap import SAMPLES

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
    results: Mapping[str, Sequence[ImageResult]],
    data_label: str,
    *,
    cells: Sequence[Cell] = (),
    leaks: LeakCheck | None = None,
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
      leaks: what ``leaks_of_runs.check_runs`` has found.

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
        sheets=tuple(draw_sheets(cells, folder / PICTURES)),
    )
    files = ReportFiles(
        markdown=folder / "report.md",
        csv=folder / "report.csv",
        json=folder / "measures.json",
        html=folder / "report.html",
        findings=findings,
    )
    write_text(files.markdown, markdown_page(findings, folder))
    write_text(files.csv, measures_csv(findings))
    write_json(files.json, measures_json(findings))
    write_text(files.html, html_page(findings))
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

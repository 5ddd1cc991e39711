"""The report of an evaluation: Markdown, CSV, JSON, and one HTML file that needs nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from liver_tf.atomic_files import write_json, write_text, written_whole
from liver_tf.evaluation.bootstrap import SAMPLES
from liver_tf.evaluation.curves import History, draw_curves
from liver_tf.evaluation.findings import Findings, Picture, evaluate_protocols
from liver_tf.evaluation.image_result import ImageResult
from liver_tf.evaluation.reliability_plot import draw_reliability
from liver_tf.evaluation.report_csv import measures_csv
from liver_tf.evaluation.report_json import measures_json
from liver_tf.evaluation.report_pages import html_page, markdown_page

_CURVES, _RELIABILITY = "training_curves.png", "reliability.png"


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
    histories: Mapping[str, Sequence[History]] | None = None,
    sheets: Sequence[Picture] = (),
    title: str = "Liver lesions: segmentation and type",
    facts: Mapping[str, str] | None = None,
    cautions: Sequence[str] = (),
    samples: int = SAMPLES,
    seed: int = 0,
) -> ReportFiles:
    """Writes ``report.html``, ``report.md``, ``measures.csv``, ``measures.json``, ``pictures/``.

    Args:
      folder: made if missing; every file in it is written whole or not at all.
      results, data_label, title, facts, cautions, samples, seed: as in ``evaluate_protocols``.
      histories: protocol -> cycles -> rows per epoch (``curves.draw_curves``); None for no curves.
      sheets: PNG pictures to show, typically of ``overlays.draw_sheet``; copied to ``pictures/``.

    Returns:
      Paths and figures. The HTML file holds its pictures itself; the Markdown links to them.

    Raises:
      ValueError: as ``evaluate_protocols``. FileNotFoundError: a sheet is missing.
    """
    folder = Path(folder)
    pictures = _copied(sheets, folder / "pictures")
    if histories and any(cycle for cycles in histories.values() for cycle in cycles):
        path = draw_curves(histories, folder / "pictures" / _CURVES)
        pictures.append(Picture(path, "Training curves; a grey line starts the next cycle"))
    findings = evaluate_protocols(
        results,
        data_label,
        title=title,
        facts=facts,
        cautions=cautions,
        pictures=pictures,
        samples=samples,
        seed=seed,
    )
    if any(one.slices for curves in findings.reliability.values() for one in curves[0]):
        path = draw_reliability(findings.reliability, folder / "pictures" / _RELIABILITY)
        caption = "Reliability: how often a type given with some confidence is right"
        findings = replace(findings, pictures=(*findings.pictures, Picture(path, caption)))
    files = ReportFiles(
        markdown=folder / "report.md",
        csv=folder / "measures.csv",
        json=folder / "measures.json",
        html=folder / "report.html",
        findings=findings,
    )
    write_text(files.markdown, markdown_page(findings, folder))
    write_text(files.csv, measures_csv(findings))
    write_json(files.json, measures_json(findings))
    write_text(files.html, html_page(findings))
    return files


def _copied(sheets: Sequence[Picture], folder: Path) -> list[Picture]:
    """Copies of the sheets; a name that is taken gets the sheet's number before it."""
    taken = {_CURVES, _RELIABILITY}
    copies = []
    for number, sheet in enumerate(sheets, 1):
        name = sheet.path.name
        while name in taken:
            name = f"{number}_{name}"
        taken.add(name)
        with written_whole(folder / name) as temporary:
            shutil.copyfile(sheet.path, temporary)
        copies.append(Picture(folder / name, sheet.caption))
    return copies

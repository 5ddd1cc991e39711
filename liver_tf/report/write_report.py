"""Write a report: HTML, Markdown, CSV, JSON and pictures.

``write_study_report`` and ``write_runs_report`` start from run folders, ``write_report`` from
``Findings``. Neither networks nor records are needed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from liver_tf.atomic_files import replaced_together, write_json, write_text
from liver_tf.measures.measure_registry import measure_title
from liver_tf.refusals import Refusal
from liver_tf.report import provenance
from liver_tf.report.decision_cautions import decision_cautions
from liver_tf.report.figures_csv import measures_csv
from liver_tf.report.figures_json import measures_json
from liver_tf.report.findings import Findings, compute_findings
from liver_tf.report.foreign_files import MEASURES, PICTURES, TABLE, refuse_foreign_report
from liver_tf.report.overlays.example_sheets import draw_example_sheets
from liver_tf.report.page.page_parts import Picture
from liver_tf.report.page.render_html import render_html
from liver_tf.report.page.render_markdown import render_markdown
from liver_tf.report.plots.cycle_plot import draw_cycles
from liver_tf.report.plots.forest_plot import draw_brief_forest, draw_forest
from liver_tf.report.plots.froc_plot import draw_froc
from liver_tf.report.plots.reliability_plot import draw_reliability
from liver_tf.report.plots.training_curves import draw_curves
from liver_tf.report.sections import report_page
from liver_tf.report.tables.paper_table import PUBLISHED, format_interval, render_text
from liver_tf.report.tables.protocol_tables import cycles_by_protocol
from liver_tf.results.leakage_audit import audit_leakage
from liver_tf.results.pool_runs import cautions_of_runs, data_label_of, pool_argmax, pool_runs
from liver_tf.results.results_csv import results_csv
from liver_tf.results.study_inventory import (
    StudyRun,
    evaluated,
    evaluated_ensembles,
    read_run,
    read_study,
)
from liver_tf.statistics.protocol_comparisons import CONTROLS
from liver_tf.statistics.resample_count import SAMPLES

#: The paper's protocols in the order of its table, then their controls; others follow by name.
_ORDER = (*PUBLISHED, *CONTROLS)


@dataclass(frozen=True)
class ReportFiles:
    """The files of a report, and its figures."""

    markdown: Path
    csv: Path
    json: Path
    html: Path
    pictures: tuple[Path, ...]
    findings: Findings


def write_study_report(
    study: Path,
    output: Path,
    *,
    data_label: str,
    planned: Sequence[Path] = (),
    samples: int = SAMPLES,
    seed: int = 0,
) -> list[Path]:
    """Write the report of a study: all evaluated runs, and a list of missing and failed ones.

    Args:
      study: folder with ``finetune/fold<F>/seed<S>/<protocol>/``.
      output: folder for ``report.html``, ``report.md``, ``report.csv``, ``measures.json``,
        ``images.csv`` (a row per slice and run), ``table.txt`` and ``pictures/``; created if
        missing.
      data_label: name of the data, e.g. ``PHANTOM data (not patients)``.
      planned: folders of all runs of the study, whether they exist or not.
      samples: number of bootstrap resamples and of permutations; ``seed`` is that of both.

    Returns:
      The files written, ``report.html`` first.

    Raises:
      Refusal: ``no-study``, ``nothing-measured``, ``runs-not-one-study``, ``output-foreign``.
    """
    runs = read_study(study, planned)
    return _write(runs, study, output, data_label, samples, seed)


def write_runs_report(
    runs: Sequence[Path], output: Path, *, data_label: str, samples: int = SAMPLES, seed: int = 0
) -> list[Path]:
    """Write the report of runs in any folders; arguments as in ``write_study_report``."""
    return _write([read_run(run) for run in runs], None, output, data_label, samples, seed)


def write_report(
    folder: Path, findings: Findings, others: Mapping[str, str] | None = None
) -> ReportFiles:
    """Write ``report.html``, ``report.md``, ``report.csv``, ``measures.json``, ``pictures/``.

    The HTML file contains its pictures; the Markdown links to them. All files take their places in
    ``folder``, which is created if missing, when the last one is complete: a report never holds
    figures of two computations.

    Args:
      others: texts of further files by name.
    """
    with replaced_together(folder) as new:
        drawn = replace(
            findings,
            plots=_plots(findings, new / PICTURES),
            sheets=tuple(draw_example_sheets(findings.runs, new / PICTURES)),
        )
        page = report_page(drawn)
        write_text(new / "report.md", render_markdown(page, new))
        write_text(new / "report.csv", measures_csv(findings))
        write_json(new / MEASURES, measures_json(findings))
        write_text(new / "report.html", render_html(page))
        for name, text in (others or {}).items():
            write_text(new / name, text)
        pictures = [p.path.relative_to(new) for p in (*drawn.plots.values(), *drawn.sheets)]
    return ReportFiles(
        *(folder / "report.md", folder / "report.csv"),
        *(folder / MEASURES, folder / "report.html"),
        tuple(folder / picture for picture in pictures),
        findings,
    )


def table_text(findings: Findings) -> str:
    """The paper's table for a terminal, with warnings above and healthy slices below."""
    rate = "healthy_false_positive_rate"
    lines = [
        *(f"CAUTION. {caution}" for caution in findings.cautions),
        render_text(findings.measured, findings.data_label, findings.differences),
        f"{measure_title(rate)} (near 1, Success is not informative):",
        *(
            f"  {name}: {format_interval(measured.get(rate))}"
            for name, measured in findings.measured.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def _write(
    runs: Sequence[StudyRun],
    study: Path | None,
    output: Path,
    data_label: str,
    samples: int,
    seed: int,
) -> list[Path]:
    refuse_foreign_report(output)
    runs = sorted(runs, key=_sort_key)
    stored = evaluated(runs)
    if not stored:
        raise Refusal(
            "nothing-measured",
            study,
            expected="at least one run that was evaluated on its test fold",
            found=f"{len(runs)} runs, none of them evaluated",
            remedy="Evaluate the runs with liver-tf evaluate, or resume the study.",
        )
    ensembles = evaluated_ensembles(runs)
    leaks = audit_leakage(runs)
    findings = compute_findings(
        pool_runs([*stored, *ensembles]),
        data_label_of(stored, data_label),
        runs=runs,
        ensembles=ensembles,
        argmax=pool_argmax([*stored, *ensembles]),
        facts=provenance.facts(runs),
        cautions=(*cautions_of_runs(stored), *leaks.cautions(), *provenance.cautions_of(runs)),
        samples=samples,
        seed=seed,
    )
    cautions = (*findings.cautions, *decision_cautions(findings))
    findings = replace(findings, leaks=leaks, cautions=cautions)
    others = {"images.csv": results_csv([*stored, *ensembles]), TABLE: table_text(findings)}
    files = write_report(output, findings, others)
    for old in {*(output / PICTURES).glob("*.png")} - {*files.pictures}:
        old.unlink()
    texts = [output / name for name in others]
    return [files.html, files.markdown, files.csv, files.json, *texts, *files.pictures]


def _plots(findings: Findings, folder: Path) -> dict[str, Picture]:
    """All plots for which there are figures."""
    cycles = cycles_by_protocol(findings.runs)
    data = findings.data_label
    plots = {}
    if any(d.interval.value is not None for d in findings.differences):
        plots["forest_brief"] = Picture(
            draw_brief_forest(findings.differences, folder / "differences_brief.png"),
            "First minus second protocol, with 95 % intervals. Filled: difference shown; open and "
            f"blue: observed in fewer than three trainings; grey: not shown; {data}",
        )
        plots["forest"] = Picture(
            draw_forest(findings.differences, folder / "differences.png"),
            f"Paired differences with 95 % intervals, p after Holm's correction; {data}. Filled: "
            "difference shown; open and blue: observed in fewer than three trainings; open and "
            "grey: no difference shown",
        )
    if any(curve for curves in findings.froc.values() for curve in curves):
        plots["froc"] = Picture(
            draw_froc(findings.froc, folder / "froc.png"),
            f"Free-response curves with 95 % bootstrap bands; {data}",
        )
    if cycles:
        plots["cycles"] = Picture(
            draw_cycles(cycles, folder / "cycles.png"),
            f"Cycle by cycle, on the validation patients of each run; {data}",
        )
    if any(cycle.epochs for networks in cycles.values() for run in networks for cycle in run):
        plots["curves"] = Picture(
            draw_curves(cycles, folder / "training_curves.png"),
            f"Training curves; grey lines separate cycles; {data}",
        )
    if any(b.slices for curves in findings.reliability.values() for b in curves[0]):
        plots["reliability"] = Picture(
            draw_reliability(findings.reliability, folder / "reliability.png"),
            f"Reliability: proportion of correct types by confidence; {data}",
        )
    return plots


def _sort_key(run: StudyRun) -> tuple[int, str, str, str, int]:
    known = _ORDER.index(run.protocol) if run.protocol in _ORDER else len(_ORDER)
    return known, run.protocol, run.validation, run.fold, run.seed

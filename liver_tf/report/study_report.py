"""From the folders of runs to their report: no network, no records, only what the runs kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from liver_tf.atomic_files import write_text
from liver_tf.refusals import Refusal
from liver_tf.report import provenance
from liver_tf.report.findings import Findings
from liver_tf.report.paper_table import PUBLISHED, format_interval, render_text
from liver_tf.report.report import PICTURES, write_report
from liver_tf.results.leaks_of_runs import check_runs
from liver_tf.results.stored_results import cautions, images_csv, label_of, pooled
from liver_tf.results.study import Cell, measured, read_cell, read_study
from liver_tf.statistics.bootstrap import SAMPLES, Interval
from liver_tf.statistics.comparisons import CONTROLS

#: The terminal's table.
TABLE = "table.txt"

#: The paper's protocols in the order of its table, then their controls; others follow by name.
_ORDER = (*PUBLISHED, *CONTROLS)


def write_study(
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


def write_runs(
    runs: Sequence[Path], output: Path, *, data_label: str, samples: int = SAMPLES, seed: int = 0
) -> list[Path]:
    """The same report of some runs, wherever they lie; arguments as in ``write_study``."""
    cells = tuple(read_cell(run) for run in runs)
    return _write(cells, None, output, data_label, samples, seed)


def _write(
    cells: Sequence[Cell],
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
    leaks = check_runs(cells)
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


def _place(cell: Cell) -> tuple:
    known = _ORDER.index(cell.protocol) if cell.protocol in _ORDER else len(_ORDER)
    return known, cell.protocol, cell.validation, cell.fold, cell.seed


def _remove_others(folder: Path, kept: set[str]) -> None:
    """Pictures of an earlier report that this one no longer has would be taken for its own."""
    for path in folder.glob("*.png"):
        if path.name not in kept:
            path.unlink()

"""The report of an evaluation: Markdown, CSV, and one HTML file that needs nothing else."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from liver_tf.atomic_files import write_text, written_whole
from liver_tf.evaluation.bootstrap import (
    SAMPLES,
    Interval,
    PairedDifference,
    intervals,
    paired_difference,
)
from liver_tf.evaluation.confusion import Confusion, confusion_matrix
from liver_tf.evaluation.curves import History, draw_curves
from liver_tf.evaluation.image_result import ImageResult
from liver_tf.evaluation.measure_names import PAPER_MEASURES, measure_title
from liver_tf.evaluation.measures import summarise
from liver_tf.evaluation.paper_table import (
    EARLIER_WORK,
    PUBLISHED,
    PUBLISHED_DATA,
    format_interval,
    measured_label,
)
from liver_tf.evaluation.report_pages import html_page, markdown_page
from liver_tf.evaluation.tables import Table

#: The protocol that the others are compared with.
REFERENCE = "baseline"

_CURVES = "training_curves.png"


@dataclass(frozen=True)
class Picture:
    """A PNG of the report and what it shows."""

    path: Path
    caption: str


@dataclass(frozen=True)
class Findings:
    """All that a report says, before it is laid out.

    Attributes:
      title: heading of the report.
      data_label: what was measured on, e.g. ``PHANTOM data (not patients)``.
      counts: protocol -> images, lesion_images, healthy_images, patients.
      measured: protocol -> measure -> Interval.
      differences: Dice2 of each protocol against the baseline, paired by patient.
      confusions: protocol -> confusion matrix over types.
      facts: what else a reader must know (seeds, versions, fingerprint), by name.
      pictures: sheets and curves, in the order in which they are shown.
    """

    title: str
    data_label: str
    counts: Mapping[str, Mapping[str, int]]
    measured: Mapping[str, Mapping[str, Interval]]
    differences: tuple[PairedDifference, ...]
    confusions: Mapping[str, Confusion]
    facts: Mapping[str, str] = field(default_factory=dict)
    pictures: tuple[Picture, ...] = ()

    def counts_table(self) -> Table:
        """Images and patients by protocol."""
        names = ("images", "lesion_images", "healthy_images", "patients")
        rows = tuple((p, *(str(c[n]) for n in names)) for p, c in self.counts.items())
        return Table(("protocol", "slices", "with lesion", "healthy", "patients"), rows)

    def other_measures_table(self) -> Table:
        """The measures the paper does not give: a row each, a column per protocol."""
        measures = dict.fromkeys(m for own in self.measured.values() for m in own)
        rows = tuple(
            (measure_title(m), *(format_interval(own.get(m)) for own in self.measured.values()))
            for m in measures
            if m not in PAPER_MEASURES
        )
        return Table(("measure", *self.measured), rows)

    def confusion_table(self, protocol: str) -> Table:
        """Slices by true (rows) and predicted (columns) diagnosis."""
        confusion = self.confusions[protocol]
        rows = tuple(
            (name, *(str(n) for n in counts))
            for name, counts in zip(confusion.true_names, confusion.counts, strict=True)
        )
        width = len(confusion.predicted_names)
        return Table(("truth", *confusion.predicted_names), rows, (("", 1), ("predicted", width)))


@dataclass(frozen=True)
class ReportFiles:
    """Where the report lies, and the figures in it."""

    markdown: Path
    csv: Path
    html: Path
    findings: Findings


def evaluate_protocols(
    results: Mapping[str, Sequence[ImageResult]],
    data_label: str,
    *,
    title: str = "Liver lesions: segmentation and type",
    facts: Mapping[str, str] | None = None,
    pictures: Sequence[Picture] = (),
    samples: int = SAMPLES,
    seed: int = 0,
) -> Findings:
    """Turns slice results into figures with intervals, paired differences and confusions.

    Args:
      results: protocol -> its slices. Protocols other than the baseline are compared with it
        where there is one; they must have predicted the same slices.
      data_label, title, facts, pictures: as in ``Findings``.
      samples, seed: of the bootstrap; the same for all protocols, so that they share resamples.

    Raises:
      ValueError: no protocol, a protocol without slices, unequal slices, or an empty label.
    """
    measured_label(data_label)
    empty = [name for name, own in results.items() if not own]
    if not results or empty:
        raise ValueError(
            f"expected results of at least one slice per protocol; got "
            f"{'none for ' + ', '.join(empty) if empty else 'no protocol'}"
        )
    count_names = ("images", "lesion_images", "healthy_images", "patients")
    differences = [
        paired_difference(
            results[REFERENCE],
            own,
            reference_name=REFERENCE,
            other_name=name,
            samples=samples,
            seed=seed,
        )
        for name, own in results.items()
        if REFERENCE in results and name != REFERENCE
    ]
    summaries = {name: summarise(own) for name, own in results.items()}
    return Findings(
        title=title,
        data_label=data_label,
        counts={p: {n: int(s[n]) for n in count_names} for p, s in summaries.items()},
        measured={p: intervals(own, samples=samples, seed=seed) for p, own in results.items()},
        differences=tuple(differences),
        confusions={p: confusion_matrix(own) for p, own in results.items()},
        facts={"bootstrap": f"{samples} resamples of patients, seed {seed}"} | dict(facts or {}),
        pictures=tuple(pictures),
    )


def write_report(
    folder: Path | str,
    results: Mapping[str, Sequence[ImageResult]],
    data_label: str,
    *,
    histories: Mapping[str, Sequence[History]] | None = None,
    sheets: Sequence[Picture] = (),
    title: str = "Liver lesions: segmentation and type",
    facts: Mapping[str, str] | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
) -> ReportFiles:
    """Writes ``report.md``, ``measures.csv``, ``report.html`` and ``pictures/`` into ``folder``.

    Args:
      folder: made if missing; every file in it is written whole or not at all.
      results, data_label, title, facts, samples, seed: as in ``evaluate_protocols``.
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
        pictures=pictures,
        samples=samples,
        seed=seed,
    )
    files = ReportFiles(
        markdown=folder / "report.md",
        csv=folder / "measures.csv",
        html=folder / "report.html",
        findings=findings,
    )
    write_text(files.markdown, markdown_page(findings, folder))
    write_text(files.csv, measures_csv(findings))
    write_text(files.html, html_page(findings))
    return files


def _copied(sheets: Sequence[Picture], folder: Path) -> list[Picture]:
    """Copies of the sheets; a name that is taken gets the sheet's number before it."""
    taken = {_CURVES}
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


def measures_csv(findings: Findings) -> str:
    """All figures in long form: source, data, protocol, measure, value, low, high, samples.

    ``source`` is ``measured``, ``measured difference`` or ``published``; undefined is empty.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ("source", "data", "protocol", "measure", "value", "low", "high", "bootstrap_samples")
    )

    def row(source: str, data: str, protocol: str, measure: str, figure: Interval) -> None:
        ends = ("" if v is None else f"{v:.6g}" for v in (figure.value, figure.low, figure.high))
        writer.writerow((source, data, protocol, measure, *ends, figure.samples or ""))

    for protocol, own in findings.measured.items():
        for measure, interval in own.items():
            row("measured", findings.data_label, protocol, measure, interval)
    for d in findings.differences:
        protocol = f"{d.protocol} - {d.reference}"
        row("measured difference", findings.data_label, protocol, d.measure, d.interval)
    published = PUBLISHED | {"earlier work": EARLIER_WORK}
    for protocol, figures in published.items():
        for measure, value in figures.items():
            row("published", PUBLISHED_DATA, protocol, measure, Interval(value, None, None, 0))
    return out.getvalue()

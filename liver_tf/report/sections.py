"""What a report says, section by section; ``report_pages`` lays it out as HTML and Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liver_tf import run_files
from liver_tf.report import provenance
from liver_tf.report.page.page_parts import (
    Alert,
    Bullets,
    Collapsible,
    DataLabel,
    Page,
    Paragraph,
    Part,
    Section,
    SideBySide,
    Table,
    TitledTable,
)
from liver_tf.report.summary import summary
from liver_tf.report.tables import protocol_tables
from liver_tf.report.tables.paper_table import (
    FEW,
    PUBLISHED_DATA,
    SOURCE,
    measured_label,
    paper_table,
)
from liver_tf.results.stored_results import LOOSE
from liver_tf.results.study_inventory import MEASURED
from liver_tf.statistics.bootstrap_intervals import LEAST_PATIENTS

if TYPE_CHECKING:
    from liver_tf.report.findings import Findings

#: What the figures mean.
NOTES = (
    "Success: share of slices with a true lesion in which the prediction overlaps it.",
    "Dice1: Dice of lesion against rest, mean over slices with overlap. Dice2: the same over all "
    "slices with a true lesion, a miss counting 0.",
    "Accuracy: the majority class among a slice's predicted lesion pixels against the true type, "
    "over all slices with a true lesion; a slice without a detection counts as wrong.",
    "Intervals: 95 %, percentile bootstrap over patients, and over the networks of each fold "
    "where there are several. One of width zero means that all patients agree, not that the "
    "measure is certain. "
    f"{FEW}: of fewer than {LEAST_PATIENTS} patients none is shown, as resamples of few are so "
    "alike that it comes out too narrow, down to [1.00, 1.00].",
    "Sensitivity and specificity: a type against all other slices, healthy ones included. ROC "
    "area: by the mean probability of the type over the predicted lesion pixels, among slices "
    "with a lesion. Calibration error: ten bins of equal width; with few slices it is too high "
    "even for a perfect network.",
    "Distances are means over the slices in which both outlines exist: a missed lesion has none.",
    "Every measure, its empty cases and its source: docs/measures.md.",
    "A dash stands where a measure is undefined on these data or was not measured or published.",
    "Research use; not a medical device.",
)

DIFFERENCES = (
    "Differences on the same patients. Shown is one whose interval leaves zero out and whose p "
    "(patients exchanged between the two protocols), after Holm's correction over the comparisons "
    "of a measure, is below 0.05. All others: no difference shown, which is not the same as no "
    "difference. Of healthy slices with a lesion reported less is better. Patients are those who "
    "carry the measure."
)
SHEETS = (
    "Worst, median and best slice with a lesion by lesion Dice, cut to the liver. Solid lines are "
    "predictions, coloured by type; white dotted lines are the truth. Of slices with the same "
    "Dice the larger lesion counts as the worse. Window -160 to 240 HU."
)
TYPES = (
    "A slice's type is the majority class among its predicted lesion pixels; without a detection "
    "it is called no type."
)
SIZES = (
    "A lesion's size is the diameter of the circle of its area. Slices go by their largest true "
    "lesion, lesions found by their own size, precision by that of the predicted lesion. Healthy "
    f"slices are in no bin. {FEW}: fewer than {LEAST_PATIENTS} patients have such a lesion."
)
CONFUSION = "Slices, once for every network that predicted them; truth in rows."
RELIABILITY = (
    "Confidence is the highest score of a type in a slice. Below the diagonal the network claims "
    "more than it keeps. Scaled: after the temperature fitted for each run (how, stands below)."
)
SEEDS = "Every seed by itself, its folds together; no interval, so that only their spread is read."
CURVES = (
    "Cycles one after the other, each as wide as its longest; numbers above count them. One line "
    "per network. The training loss is the mean over an epoch, with augmentation, while the "
    "weights move; the validation loss is that of the weights at its end."
)
CYCLES = (
    "Of what each run was validated on, at the epoch whose weights each cycle kept and the next "
    "began from. "
)
CYCLES_CLEAN = (
    "That are validation patients. The test fold is measured once, after the last cycle: how its "
    "measures would move from cycle to cycle is not known, and looking would spoil it."
)
SPANS = "Mean over the networks; in brackets the least and the greatest."
CLEAN = "In no run did the test patients take part in any choice."


def report_page(findings: Findings) -> Page:
    """The page of a report; protocols and runs validated on the test fold are red in it."""
    return Page(
        findings.title,
        opening(findings),
        tuple(sections_of(findings)),
        highlight=(LOOSE, run_files.VALIDATED_ON_TEST),
    )


def sections_of(findings: Findings) -> list[Section]:
    """All sections but the summary, in their order; those without content are left out."""
    label = measured_label(findings.data_label)
    found = [
        _paper(findings),
        _differences(findings, label),
        Section(f"Outlines, {label}", (Paragraph(SHEETS), *findings.sheets))
        if findings.sheets
        else None,
        _types(findings, label),
        _sizes(findings, label),
        Section(
            f"Further measures, {label}",
            (Collapsible("All further measures, a row each", (findings.other_measures_table(),)),),
        ),
        Section(
            f"Seeds, {label}",
            (
                Paragraph(SEEDS),
                Collapsible(
                    "Seeds one by one, and their standard deviation", (findings.seed_table(),)
                ),
            ),
        ),
        _training(findings),
        _runs(findings),
        _origin(findings),
        Section("Notes", (Bullets(NOTES),)),
    ]
    return [section for section in found if section]


def opening(findings: Findings) -> tuple[Part, ...]:
    """What stands above everything: cautions, the data, the summary."""
    label = measured_label(findings.data_label)
    return (
        *(Alert(caution) for caution in findings.cautions),
        DataLabel(
            f"All measured figures: {label}.",
            "Published figures are from other data and stand beside them for orientation only.",
        ),
        Bullets(tuple(summary(findings))),
    )


def _paper(findings: Findings) -> Section:
    return Section(
        "The paper's table",
        (
            Paragraph(
                f"Published: {PUBLISHED_DATA}; {SOURCE}; no intervals given. Measured: on "
                f"{findings.data_label}; in brackets 95 % intervals, bootstrap over patients."
            ),
            paper_table(findings.measured, findings.data_label),
            TitledTable("What stands behind it", findings.counts_table()),
        ),
    )


def _differences(findings: Findings, label: str) -> Section | None:
    if not findings.differences:
        return None
    parts: list[Part] = [Paragraph(DIFFERENCES)]
    if "forest" in findings.plots:
        parts.append(findings.plots["forest"])
    parts.append(Collapsible("The same as a table", (findings.difference_table(),)))
    return Section(f"Paired differences, {label}", tuple(parts))


def _types(findings: Findings, label: str) -> Section:
    parts: list[Part] = [
        TitledTable("Healthy slices", protocol_tables.healthy_table(findings)),
        TitledTable("Types", protocol_tables.types_table(findings)),
        Paragraph(TYPES),
        Collapsible(
            "Confusion of types",
            (
                Paragraph(CONFUSION),
                SideBySide(
                    tuple(TitledTable(p, findings.confusion_table(p)) for p in findings.confusions)
                ),
            ),
        ),
    ]
    if "reliability" in findings.plots:
        parts.append(
            Collapsible(
                "Reliability curves", (Paragraph(RELIABILITY), findings.plots["reliability"])
            )
        )
    return Section(f"Healthy slices and types of lesions, {label}", tuple(parts))


def _sizes(findings: Findings, label: str) -> Section:
    return Section(
        f"By size of lesion, {label}",
        (
            Paragraph(SIZES),
            TitledTable("Dice2 (slices)", protocol_tables.sizes_table(findings, "dice2")),
            TitledTable(
                "Lesions found, IoU 10 % or more (lesions)",
                protocol_tables.sizes_table(findings, "lesion_recall_iou10"),
            ),
            Collapsible(
                "All measures by size, a table per protocol",
                tuple(TitledTable(p, findings.size_table(p)) for p in findings.by_size),
            ),
        ),
    )


def _training(findings: Findings) -> Section | None:
    if not any(cell.cycles for cell in findings.cells):
        return None
    parts: list[Part] = []
    if "cycles" in findings.plots:
        clean = _all_clean(findings)
        parts += [Paragraph(CYCLES + CYCLES_CLEAN * clean), findings.plots["cycles"]]
    if "curves" in findings.plots:
        parts += [Paragraph(CURVES), findings.plots["curves"]]
    table = protocol_tables.cycles_table(findings.cells)
    parts.append(Collapsible("Every cycle", (Paragraph(SPANS), table)))
    return Section(f"Training, cycle by cycle, on {findings.data_label}", tuple(parts))


def _runs(findings: Findings) -> Section | None:
    cells = findings.cells
    if not cells:
        return None
    rest = tuple(f"{cell.name}: {cell.state}" for cell in cells if cell.state != MEASURED)
    done = len(cells) - len(rest)
    parts: list[Part] = [Paragraph(f"{done} of {len(cells)} measured.")]
    if rest:
        parts.append(Bullets(rest))
    if _all_clean(findings):
        parts.append(Paragraph(CLEAN))
    parts.append(Collapsible("Every run", (protocol_tables.cells_table(cells),)))
    return Section("Runs", tuple(parts))


def _all_clean(findings: Findings) -> bool:
    return all(cell.results.clean for cell in findings.cells if cell.results is not None)


def _origin(findings: Findings) -> Section:
    facts = dict(findings.facts)
    if findings.leaks is not None:
        facts = {"leakage check": findings.leaks.text()} | facts
    rows = tuple((name, value) for name, value in facts.items())
    parts: list[Part] = [Table(("", ""), rows, words=True)]
    if any(cell.identity for cell in findings.cells):
        parts.append(
            Collapsible(
                "Protocols and arguments of training",
                (
                    provenance.protocols_table(findings.cells),
                    provenance.arguments_table(findings.cells),
                ),
            )
        )
    return Section("How the figures came about", tuple(parts))

"""The page of a report: its sections, their texts and their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liver_tf import run_files
from liver_tf.measures.free_response import AVERAGE_PRECISION, RATES
from liver_tf.measures.measure_registry import measure_title
from liver_tf.report import provenance
from liver_tf.report.glossary import GLOSSARY, definition
from liver_tf.report.page.page_parts import (
    Alert,
    Bullets,
    Collapsible,
    DataLabel,
    Note,
    Page,
    Paragraph,
    Part,
    Section,
    SideBySide,
    Table,
    TitledTable,
)
from liver_tf.report.summary import summary
from liver_tf.report.tables import protocol_tables as tables
from liver_tf.report.tables.made_labels_table import made_labels_table
from liver_tf.report.tables.paper_table import (
    FEW,
    PUBLISHED_DATA,
    SOURCE,
    measured_label,
    paper_table,
    table_ii,
)
from liver_tf.report.verdict import verdict
from liver_tf.results.run_results import LOOSE
from liver_tf.results.study_inventory import EVALUATED
from liver_tf.statistics.bootstrap_intervals import LEAST_PATIENTS

if TYPE_CHECKING:
    from liver_tf.report.findings import Findings

METHODS = (
    "Every network predicts the complete slices of its test patients: liver, region of interest, "
    "lesions, types. Measures are computed from one row of numbers per slice.",
    "Intervals: 95 % percentile bootstrap over patients and, with several seeds, over the networks "
    "of each fold. An interval of width zero means that all patients agree, not that the measure "
    f"is certain. {FEW}: fewer than {LEAST_PATIENTS} patients; no interval is shown, because the "
    "bootstrap interval of a small sample is too narrow, down to [1.00, 1.00].",
    "A dash marks a measure that is undefined on these data, was not evaluated, or was not "
    "published.",
    "Empty cases and sources of all measures: docs/measures.md.",
    "For research use only; not a medical device.",
)

#: Shown below a table that contains such a value.
FEW_NOTE = f"{FEW}: fewer than {LEAST_PATIENTS} patients, so no interval is shown."

ENSEMBLES = (
    "Ensemble: the mean of the class probabilities of all seeds of a fold, evaluated as one "
    "network. Its settings are the median of those of its networks, or those of most of them. Its "
    "intervals cover patients, not other trainings. Ensembles are not among the paired differences."
)
DIFFERENCES = (
    "Paired differences on the same patients. A difference counts as shown if its 95 % interval "
    "excludes zero, its p value (permutation test over patients, Holm's correction over all "
    "comparisons of this report) is below 0.05, and both protocols have three trainings (seeds) of "
    "each fold in common. With fewer, it is reported as observed in one or two trainings: another "
    "training might not repeat it. Otherwise no difference is shown, which is not evidence of "
    "equality. For false positives on healthy slices, lower is better. Only patients who "
    "contribute to the measure are counted."
)
FROC = (
    "Lesions are ranked by score: the mean over their pixels of the probability of any lesion "
    "type. Above a threshold, a true lesion is found if its match (IoU of at least 10 %) remains; "
    "every other lesion is false. Curves end, with a mark, where every predicted lesion is "
    "reported: a decision rule removes lesions before they are ranked. Bands: 95 % bootstrap "
    "intervals. Dashed: the rates of the tables. If a protocol predicts fewer false lesions, its "
    "sensitivity is that of all its lesions."
)
SENSITIVITIES = (
    "True lesions of each size and type; the threshold is that for all lesions. A lesion is found "
    "whatever type is predicted."
)
ARGMAX = (
    "Run's decision: the decision rule and post-processing of each run, as in all tables without "
    "'raw argmax'. "
    "Raw argmax: the same networks, every pixel its most likely class, without post-processing "
    "(the paper's rule). Both were evaluated together. A dash: an earlier version evaluated the "
    "run and did not store it."
)
MADE = (
    "Means over the networks. Neighbours: unlabelled slices next to training slices, labelled by a "
    "network; used are those with a lesion on the annotated one, and those of healthy slices. The "
    "labels are compared with the true ones, which exist for phantoms only. Wrong types: share of "
    "the slices with a true lesion and a labelled one in which most labelled pixels have another "
    "type."
)
SHEETS = (
    "Worst, median and best slice with a lesion by lesion Dice, cropped to the liver. Solid lines "
    "are predictions, coloured by type; dotted white lines are the truth. Among slices of the same "
    "Dice, the one with the larger lesion counts as worse. Window -160 to 240 HU."
)
TYPES = (
    "The predicted type of a slice is the majority class among its predicted lesion pixels; a "
    "slice without a detection is not classified as any type."
)
SIZES = (
    "The size of a lesion is the diameter of the circle of the same area. Slices are assigned by "
    "their largest true lesion; lesion recall is assigned by the true lesion, lesion precision by "
    f"the predicted lesion. Healthy slices belong to no bin. {FEW}: fewer than {LEAST_PATIENTS} "
    "patients have a lesion of this size."
)
CONFUSION = "Number of slices, counted once for each network that predicted them; truth in rows."
RELIABILITY = (
    "Confidence is the highest type score of a slice. Below the diagonal, the network is "
    "overconfident. Scaled: after temperature scaling, fitted for each run (see Provenance)."
)
SEEDS = "Results of each seed with all folds pooled, to show the spread; without intervals."
CURVES = (
    "Cycles from left to right, numbered at the top; the width of a cycle is its largest number of "
    "epochs among the networks. One line per network. The training loss is the mean over an epoch, "
    "with augmentation and changing weights; the validation loss is that of the weights at the end "
    "of the epoch."
)
CYCLES = "Validation results of the epoch whose weights each cycle kept and the next started from. "
CYCLES_CLEAN = (
    "The validation patients differ from the test patients: the test fold is evaluated once, after "
    "the last cycle, so that no choice can depend on it."
)
RANGES = "Mean over the networks; minimum and maximum in parentheses."
CLEAN = "No run used its test patients for any choice."

#: Names of facts on the page, where they differ from those in ``measures.json``.
_FACT_TITLES = {
    "records measured on, fingerprint": "evaluated records, fingerprint",
    "records trained on, fingerprint": "training records, fingerprint",
    "liver network trained on": "training records of the liver network, fingerprint",
    "training": "wall time, training",
    "machine in training": "machine and processor, training",
    "machine in reporting": "machine and processor, report",
    "temperature of the type": "temperature scaling",
    "versions in training": "versions, training",
    "versions in measuring": "versions, evaluation",
    "versions in reporting": "versions, report",
}


def report_page(findings: Findings) -> Page:
    """The page of a report; protocols and runs validated on the test fold are red.

    Its first screen holds the verdict, the measures in brief and a small forest plot.
    """
    label = measured_label(findings.data_label)
    parts: dict[str, list[Part]] = {
        "Cautions": [Alert(caution) for caution in findings.cautions],
        "Summary": [
            Bullets(tuple(summary(findings))),
            DataLabel(
                f"All figures were {label}, unless marked as published.",
                "Published figures are from other data and are given for orientation only.",
            ),
        ],
        "Comparison with the paper": _paper(findings),
        f"Paired differences, {label}": _differences(findings),
        f"Outlines, {label}": [Paragraph(SHEETS), *findings.sheets] if findings.sheets else [],
        f"Healthy slices and lesion types, {label}": _types(findings),
        f"Lesion size, {label}": _sizes(findings),
        f"Free response, {label}": _free_response(findings),
        f"Further measures, {label}": [
            Collapsible("All further measures", (tables.further_measures_table(findings),))
        ],
        f"Seeds, {label}": [
            Paragraph(SEEDS),
            Collapsible("Results by seed", (tables.seed_table(findings),)),
        ],
        f"Training, on {findings.data_label}": _training(findings),
        f"Sample sizes, {label}": [tables.counts_table(findings)],
        "Methods": [Bullets(_methods(findings))],
        "Glossary": [Table(("", ""), tuple(GLOSSARY.items()), words=True)],
        "Runs": _runs(findings),
        "Provenance": _provenance(findings),
    }
    return Page(
        findings.title,
        _opening(findings),
        tuple(Section(title, tuple(content)) for title, content in parts.items() if content),
        highlight=(LOOSE, run_files.VALIDATED_ON_TEST),
        definition=definition,
    )


def _opening(findings: Findings) -> tuple[Part, ...]:
    cautions = len(findings.cautions)
    note = "Not a medical device."
    if cautions:
        note = f"{cautions} caution{'s' * (cautions > 1)} below. {note}"
    if notice := provenance.learned_from(findings.runs):
        note = f"{notice} {note}"
    brief = tables.brief_table(findings)
    few = any(FEW in cell for row in brief.rows for cell in row)
    return (
        DataLabel(verdict(findings), note),
        brief,
        *([Note(FEW_NOTE)] if few else []),
        *([findings.plots["forest_brief"]] if "forest_brief" in findings.plots else []),
    )


def _methods(findings: Findings) -> tuple[str, ...]:
    return (
        *METHODS[:2],
        *([DIFFERENCES] if findings.differences else []),
        *([ENSEMBLES] if findings.ensembles else []),
        *METHODS[2:],
    )


def _paper(findings: Findings) -> list[Part]:
    return [
        Paragraph(
            f"Published: {PUBLISHED_DATA}; {SOURCE}; no intervals given. Measured: on "
            f"{findings.data_label}, with 95 % bootstrap intervals over patients in brackets."
        ),
        paper_table(findings.measured, findings.data_label),
        *_anatomical(findings),
        TitledTable("By the run's decision and by raw argmax", tables.argmax_table(findings)),
        Paragraph(ARGMAX),
    ]


def _anatomical(findings: Findings) -> list[Part]:
    comparison = table_ii(findings.measured, findings.data_label)
    if comparison is None:
        return []
    parts: list[Part] = [TitledTable("Table II: anatomical data augmentation", comparison)]
    labels = made_labels_table(findings.runs)
    if labels is not None:
        parts += [TitledTable("Generated labels of neighbours", labels), Paragraph(MADE)]
    return parts


def _differences(findings: Findings) -> list[Part]:
    if not findings.differences:
        return []
    return [
        *([findings.plots["forest"]] if "forest" in findings.plots else []),
        Collapsible("Differences as a table", (tables.difference_table(findings),)),
    ]


def _plot(findings: Findings, name: str, text: str) -> list[Part]:
    return [Paragraph(text), findings.plots[name]] if name in findings.plots else []


def _types(findings: Findings) -> list[Part]:
    confusions = tuple(
        TitledTable(protocol, tables.confusion_table(findings, protocol))
        for protocol in findings.confusions
    )
    curves = _plot(findings, "reliability", RELIABILITY)
    return [
        TitledTable("Healthy slices", tables.healthy_table(findings)),
        TitledTable("Lesion types", tables.types_table(findings)),
        Paragraph(TYPES),
        Collapsible("Confusion matrices", (Paragraph(CONFUSION), SideBySide(confusions))),
        *([Collapsible("Reliability curves", tuple(curves))] if curves else []),
    ]


def _sizes(findings: Findings) -> list[Part]:
    recall = tables.sizes_table(findings, "lesion_recall_iou10")
    by_protocol = tuple(
        TitledTable(protocol, tables.size_table(findings, protocol))
        for protocol in findings.by_size
    )
    return [
        Paragraph(SIZES),
        TitledTable("Dice2 (slices)", tables.sizes_table(findings, "dice2")),
        TitledTable("Lesion recall at IoU 10 % (lesions)", recall),
        Collapsible("All measures by lesion size", by_protocol),
    ]


def _free_response(findings: Findings) -> list[Part]:
    known = (*findings.measured.values(), *findings.argmax.values())
    if not any(AVERAGE_PRECISION in measured for measured in known):
        return []
    return [
        *_plot(findings, "froc", FROC),
        TitledTable("Sensitivity by false lesions per slice", tables.froc_table(findings)),
        Paragraph(SENSITIVITIES),
        *(
            TitledTable(measure_title(measure), tables.sensitivity_table(findings, measure))
            for measure in RATES
        ),
    ]


def _training(findings: Findings) -> list[Part]:
    if not any(run.cycles for run in findings.runs):
        return []
    table = tables.cycles_table(findings.runs)
    return [
        *_plot(findings, "cycles", CYCLES + CYCLES_CLEAN * _all_clean(findings)),
        *_plot(findings, "curves", CURVES),
        Collapsible("All cycles", (Paragraph(RANGES), table)),
    ]


def _runs(findings: Findings) -> list[Part]:
    runs = findings.runs
    if not runs:
        return []
    rest = tuple(f"{run.name}: {run.state}" for run in runs if run.state != EVALUATED)
    return [
        Paragraph(f"{len(runs) - len(rest)} of {len(runs)} runs evaluated."),
        *([Bullets(rest)] if rest else []),
        *([Paragraph(CLEAN)] if _all_clean(findings) else []),
        Collapsible("All runs", (tables.runs_table(runs),)),
    ]


def _all_clean(findings: Findings) -> bool:
    return all(run.results.clean for run in findings.runs if run.results is not None)


def _provenance(findings: Findings) -> list[Part]:
    runs = findings.runs
    facts = dict(findings.facts)
    if findings.leaks is not None:
        facts = {"leakage check": findings.leaks.text()} | facts
    rows = tuple((_FACT_TITLES.get(name, name), value) for name, value in facts.items())
    parts: list[Part] = [Table(("", ""), rows, words=True)]
    if any(run.identity for run in runs):
        details = provenance.protocols_table(runs), provenance.arguments_table(runs)
        parts.append(Collapsible("Protocols and training arguments", details))
    return parts

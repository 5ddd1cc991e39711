"""The report of the order study: effects with intervals and margins, figures, CSV."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from liver_tf.atomic_files import write_text
from liver_tf.csv_text import csv_text
from liver_tf.measures.measure_registry import measure_title
from liver_tf.report.foreign_files import refuse_foreign_page
from liver_tf.report.page.page_parts import DataLabel, Page, Paragraph, Picture, Section, Table
from liver_tf.report.page.render_html import render_html
from liver_tf.report.page.render_markdown import render_markdown
from liver_tf.report.plots import plot_style
from liver_tf.report.tables.paper_table import format_p
from liver_tf.statistics.paired_t import (
    LEVEL,
    PairedT,
    detectable_difference,
    power_of_difference,
    power_of_equivalence,
)
from liver_tf.studies.order.order_arms import SECONDARY_ARMS, primary_arms
from liver_tf.studies.order.order_effects import (
    PRIMARY_COMPARISONS,
    SECONDARY_COMPARISONS,
    Effect,
    change_per_doubling,
    effects,
    read_values,
)
from liver_tf.studies.order.order_runs import (
    BY_TYPE,
    MEASURES,
    REPORTED,
    Values,
    read_runs,
    runs_text,
)
from liver_tf.studies.order.order_settings import OrderStudySettings
from liver_tf.studies.phantom_study import DATA_LABEL

#: Half the width of the forest plot, in margins of equivalence.
SHOWN = 4
#: The difference for which power is reported.
PLANNED = 0.03

_HOW = (
    "First minus second arm, mean over replicates, each a new training cohort, pre-training seed "
    "and training seed; the same test patients. Intervals: paired t, 95 %, not corrected. p: Holm "
    "over the table. Equivalence: two one-sided tests, Holm over the table. Power: of the observed "
    f"SD, without correction; for a true difference of {PLANNED}, and for equivalence if there is "
    "no difference. Detectable: the difference shown with 80 % power."
)


def write_order_report(study: OrderStudySettings) -> Path:
    """Write ``order.html``, Markdown, figures and CSV into ``report/``; returns the first."""
    output = study.folder / "report"
    output.mkdir(parents=True, exist_ok=True)
    values, margin = read_values(study), study.margin
    primary = effects(values, PRIMARY_COMPARISONS, study.patients, margin)
    secondary = effects(values, SECONDARY_COMPARISONS, study.patients, margin)
    by_size = {
        size: effects(values, PRIMARY_COMPARISONS, size, margin) for size in sorted(study.sizes)
    }
    of_sizes = [effect for found in by_size.values() for effect in found]
    pictures = []
    if primary:
        path = draw_effects([*primary, *secondary], margin, output / "order_effects.png")
        caption = (
            "Effects with 95 % intervals (thin) and 90 % intervals (thick; equivalence is tested "
            "with these); blue: primary comparisons; filled: a difference after correction; grey "
            "band: margin of equivalence; n: replicates"
        )
        pictures.append(Picture(path, caption))
    sections = [
        Section("Primary comparisons", (Paragraph(_HOW), _effect_table(primary, margin))),
        Section("Secondary comparisons", (_effect_table(secondary, margin),)),
        Section(
            "Arms",
            (
                _arm_table(values, study.patients, REPORTED),
                _arm_table(values, study.patients, BY_TYPE),
            ),
        ),
    ]
    if study.other_patients and of_sizes:
        path = draw_sizes(of_sizes, margin, output / "order_sizes.png")
        picture = Picture(path, "Gain against the number of training patients, 95 % intervals")
        parts = (picture, _effect_table(of_sizes, margin), _slope_table(values, study))
        sections.insert(1, Section("Number of training patients", parts))
    origin = []
    if study.earlier_runs is not None:
        earlier = len(read_runs(study.earlier_runs))
        text = f"{earlier} of {len(values)} runs are from an earlier study (--earlier_runs)."
        origin.append(Paragraph(text))
    page = Page(
        "Does the order of freezing matter?",
        (DataLabel(DATA_LABEL, f"{study.test_patients} test patients"), *origin, *pictures),
        tuple(sections),
    )
    refuse_foreign_page(output / "order.md", page)
    write_text(output / "order.md", render_markdown(page, output))
    write_text(output / "order_runs.csv", runs_text(values))
    families = ("primary", primary), ("secondary", secondary), ("patients", of_sizes)
    write_text(output / "order_effects.csv", csv_text(_effect_rows(families, margin)))
    write_text(output / "order.html", render_html(page))
    return output / "order.html"


def draw_effects(found: Sequence[Effect], margin: float, path: Path) -> Path:
    """A forest plot with a panel per measure, and the margin of equivalence as a band.

    Means beyond ``SHOWN`` margins are written at the edge.
    """
    figure = plot_style.new_figure(1.0 + 0.3 * len(found) / len(MEASURES))
    axes = figure.subplots(1, len(MEASURES), sharey=True)
    limit = SHOWN * margin
    questions = list(dict.fromkeys(effect.comparison.question for effect in found))
    for axis, measure in zip(axes, MEASURES, strict=True):
        axis.axvspan(-margin, margin, color=plot_style.PALE, alpha=0.5, lw=0)
        axis.axvline(0, color="#444444", lw=0.9)
        for effect in (effect for effect in found if effect.measure == measure):
            row, test = questions.index(effect.comparison.question), effect.test
            primary = effect.comparison in PRIMARY_COMPARISONS
            colour = plot_style.BLUE if primary else plot_style.GREY
            axis.plot([test.low, test.high], [row, row], color=colour, lw=1.2)
            axis.plot([test.low_90, test.high_90], [row, row], color=colour, lw=3.6)
            filled = colour if effect.p_holm < LEVEL else "white"
            if abs(test.mean) < limit:
                axis.plot(test.mean, row, marker="o", ms=6, color=colour, mfc=filled)
            else:
                side, text = ("right", "{:+.2f} →") if test.mean > 0 else ("left", "← {:+.2f}")
                place = np.copysign(limit, test.mean), row - 0.12
                axis.annotate(text.format(test.mean), place, ha=side, fontsize=8.5)
        axis.set_title(measure_title(measure), fontsize=10, loc="left", fontweight="bold")
        axis.set_xlabel("first minus second arm", fontsize=9)
        axis.set_xlim(-limit, limit)
        axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.grid(axis="x", alpha=0.25, lw=0.6)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(labelsize=8.5)
    replicates = {effect.comparison.question: effect.test.replicates for effect in found}
    named = [f"{question} (n = {replicates[question]})" for question in questions]
    axes[0].set_yticks(range(len(questions)), named)
    axes[0].set_ylim(len(questions) - 0.5, -0.5)
    return plot_style.save(figure, path)


def draw_sizes(found: Sequence[Effect], margin: float, path: Path) -> Path:
    """The primary differences against the number of training patients."""
    figure = plot_style.new_figure(3.6)
    axes = figure.subplots(1, len(MEASURES), sharey=True)
    colours = plot_style.BLUE, plot_style.ORANGE
    for axis, measure in zip(axes, MEASURES, strict=True):
        axis.axhspan(-margin, margin, color=plot_style.PALE, alpha=0.5, lw=0)
        axis.axhline(0, color="#444444", lw=0.9)
        for place, comparison in enumerate(PRIMARY_COMPARISONS):
            shown = [e for e in found if (e.comparison, e.measure) == (comparison, measure)]
            x = [effect.patients * (1 + 0.03 * (place - 0.5)) for effect in shown]
            means = [effect.test.mean for effect in shown]
            half = [effect.test.high - effect.test.mean for effect in shown]
            style = {"marker": "o", "ms": 5, "capsize": 3, "label": comparison.question}
            axis.errorbar(x, means, half, color=colours[place], **style)
        axis.set_xscale("log", base=2)
        ticks = sorted({effect.patients for effect in found})
        axis.set_xticks(ticks, [str(tick) for tick in ticks])
        axis.set_title(measure_title(measure), fontsize=10, loc="left", fontweight="bold")
        axis.set_xlabel("training patients", fontsize=9)
        axis.grid(axis="y", alpha=0.25, lw=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("difference", fontsize=9)
    plot_style.legend_above(figure, [axes[0]])
    return plot_style.save(figure, path)


def _interval(test: PairedT) -> str:
    return f"{test.mean:+.3f} [{test.low:+.3f}, {test.high:+.3f}]"


def _power(test: PairedT, margin: float) -> tuple[float, float, float]:
    """Power for ``PLANNED``, detectable difference and power of equivalence at the observed SD."""
    sd = max(test.sd, 1e-6)
    return (
        power_of_difference(PLANNED, sd, test.replicates),
        detectable_difference(sd, test.replicates),
        power_of_equivalence(margin, sd, test.replicates),
    )


def _effect_table(found: Sequence[Effect], margin: float) -> Table:
    headers = (
        *("question", "measure", "patients", "replicates", "difference", "SD", "p"),
        *("p of equivalence", "outcome", "power", "detectable", "power of equivalence"),
    )
    rows = []
    for effect in found:
        test = effect.test
        power, detectable, equivalence = _power(test, margin)
        rows.append(
            (
                effect.comparison.question,
                measure_title(effect.measure),
                f"{effect.patients}",
                f"{test.replicates}",
                _interval(test),
                f"{test.sd:.3f}",
                format_p(effect.p_holm),
                format_p(effect.p_equivalence_holm),
                effect.verdict,
                f"{power:.2f}",
                f"{detectable:.3f}",
                f"{equivalence:.2f}",
            )
        )
    return Table(headers, tuple(rows))


def _arm_table(values: Values, patients: int, measures: Sequence[str]) -> Table:
    """Mean and SD of every arm over its replicates."""
    rows = []
    for arm in (*primary_arms(0), *SECONDARY_ARMS):
        runs = [v for (n, _, name), v in values.items() if (n, name) == (patients, arm.name)]
        cells = []
        for measure in measures:
            known = [run[measure] for run in runs if measure in run]
            spread = f" ± {np.std(known, ddof=1):.3f}" if len(known) > 1 else ""
            cells.append(f"{np.mean(known):.3f}{spread}" if known else "–")
        rows.append((arm.name, arm.title, f"{len(runs)}", *cells))
    return Table(("arm", "", "replicates", *map(measure_title, measures)), tuple(rows))


def _slope_table(values: Values, study: OrderStudySettings) -> Table:
    rows = []
    for comparison in PRIMARY_COMPARISONS:
        for measure in MEASURES:
            test = change_per_doubling(values, comparison, measure, study.sizes, study.margin)
            if test is not None:
                cells = f"{test.replicates}", _interval(test), format_p(test.p)
                rows.append((comparison.question, measure_title(measure), *cells))
    headers = ("question", "measure", "replicates", "change per doubling of the patients", "p")
    return Table(headers, tuple(rows))


def _effect_rows(
    families: Sequence[tuple[str, Sequence[Effect]]], margin: float
) -> list[tuple[object, ...]]:
    """A row for each effect; the columns after the names are those of ``PairedT``."""
    fields = tuple(PairedT.__dataclass_fields__)
    rows: list[tuple[object, ...]] = [
        (
            *("family", "first", "second", "measure", "patients", *fields, "p_holm"),
            *("p_equivalence_holm", "outcome", "power", "detectable", "power_of_equivalence"),
        )
    ]
    for family, found in families:
        for effect in found:
            numbers = [getattr(effect.test, name) for name in fields]
            numbers += [effect.p_holm, effect.p_equivalence_holm]
            power = (f"{number:.6g}" for number in _power(effect.test, margin))
            rows.append(
                (
                    *(family, effect.comparison.first, effect.comparison.second),
                    *(effect.measure, effect.patients),
                    *(f"{number:.6g}" for number in numbers),
                    *(effect.verdict, *power),
                )
            )
    return rows

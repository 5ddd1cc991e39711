"""The paper's table of results beside measured figures, each labelled with its data."""

from collections.abc import Mapping, Sequence

from liver_tf.measures.measure_registry import MEASURE_TITLES, PAPER_MEASURES, measure_title
from liver_tf.report.page.page_parts import Table
from liver_tf.statistics.bootstrap_intervals import LEAST_PATIENTS, Interval
from liver_tf.statistics.paired_difference import PairedDifference

SOURCE = (
    "Heker, Ben-Cohen, Greenspan: Hierarchical Fine-Tuning for joint Liver Lesion Segmentation "
    "and Lesion Classification in CT, arXiv 1907.13409 (2019)"
)
PUBLISHED_DATA = "Sheba, 332 slices"
PUBLISHED_LABEL = f"published ({PUBLISHED_DATA})"

#: Protocol -> measure -> published figure. The paper gives no intervals.
PUBLISHED: dict[str, dict[str, float]] = {
    "baseline": {"dice1": 0.49, "dice2": 0.44, "success": 0.89, "accuracy": 0.56},
    "no_freezing": {"dice1": 0.57, "dice2": 0.55, "success": 0.94, "accuracy": 0.64},
    "hier_freeze": {"dice1": 0.65, "dice2": 0.60, "success": 0.93, "accuracy": 0.68},
    "freeze_encoder": {"dice1": 0.57, "dice2": 0.54, "success": 0.94, "accuracy": 0.63},
    "hier_unfreeze": {"dice1": 0.64, "dice2": 0.60, "success": 0.94, "accuracy": 0.73},
}

#: Earlier work that the paper cites, on the same data; no Dice is given.
EARLIER_WORK: dict[str, float] = {"success": 0.80, "accuracy": 0.61}
EARLIER_WORK_TITLE = "earlier work (cited in the paper)"

#: Protocols of the paper's Table II in its order, with their titles; the last ones are not in it.
ANATOMICAL, COMBINED = "anatomical", "hier_unfreeze_anatomical"
_TABLE_II = {
    "hier_unfreeze": "hierarchical unfreezing",
    ANATOMICAL: "anatomical data augmentation",
    COMBINED: "both combined (not in the paper)",
    "baseline": "from scratch, without neighbours (not in Table II)",
}

#: Placeholder of a missing figure.
ABSENT = "–"

#: Placeholder of an interval of fewer than ``LEAST_PATIENTS`` patients.
FEW = "(few)"

Measured = Mapping[str, Mapping[str, Interval]]


def format_interval(interval: Interval | None, *, signed: bool = False) -> str:
    """``0.57 [0.50, 0.63]``; the value alone without an interval; a dash if undefined.

    ``0.57 (few)`` if fewer than ``LEAST_PATIENTS`` patients contribute.
    """
    if interval is None or interval.value is None:
        return ABSENT
    form = "+.2f" if signed else ".2f"
    if interval.low is None or interval.high is None:
        return f"{interval.value:{form}}"
    if interval.of_few:
        return f"{interval.value:{form}} {FEW}"
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}]"


def format_p(p: float | None) -> str:
    """``0.012``, ``< 0.001``, or a dash without a p value."""
    if p is None:
        return ABSENT
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def measured_label(data_label: str) -> str:
    """Heading of the measured columns; raises ``ValueError`` for an empty data label."""
    if not data_label.strip():
        raise ValueError(
            "expected data_label to name the data, for example 'PHANTOM data (not patients)'; "
            "found an empty text"
        )
    return f"measured on {data_label}"


def paper_table(measured: Measured, data_label: str) -> Table:
    """The paper's rows with published and measured columns, then all other protocols."""
    titles = tuple(MEASURE_TITLES[m] for m in PAPER_MEASURES)
    return Table(
        ("protocol", *titles, *titles),
        tuple((name, *_published(paper), *_measured(own)) for name, paper, own in _rows(measured)),
        (("", 1), (PUBLISHED_LABEL, len(titles)), (measured_label(data_label), len(titles))),
        brief=("", "published", "measured"),
    )


def table_ii(measured: Measured, data_label: str) -> Table | None:
    """The paper's comparison with anatomical data augmentation; None if that was not measured."""
    if not {ANATOMICAL, COMBINED} & set(measured):
        return None
    measures = ("success", "accuracy")
    published = {"hier_unfreeze": PUBLISHED["hier_unfreeze"], ANATOMICAL: EARLIER_WORK}
    rows = [
        (
            title,
            *(f"{published[name][m]:.2f}" if name in published else ABSENT for m in measures),
            *(format_interval(measured.get(name, {}).get(m)) for m in measures),
        )
        for name, title in _TABLE_II.items()
        if name in measured or name in published
    ]
    titles = tuple(MEASURE_TITLES[m] for m in measures)
    return Table(
        ("method", *titles, *titles),
        tuple(rows),
        (("", 1), (PUBLISHED_LABEL, 2), (measured_label(data_label), 2)),
        brief=("", "published", "measured"),
    )


def render_text(
    measured: Measured, data_label: str, differences: Sequence[PairedDifference] = ()
) -> str:
    """The table for a terminal of 80 columns: published above measured figures."""
    label = measured_label(data_label)
    lines = [
        f"published: {PUBLISHED_DATA}, arXiv 1907.13409",
        f"measured:  {label.removeprefix('measured ')}; 95 % intervals over patients",
        f"           {FEW}: fewer than {LEAST_PATIENTS} patients, no interval",
        "",
        _text_line("", [MEASURE_TITLES[m] for m in PAPER_MEASURES]),
    ]
    for name, published, figures in _rows(measured):
        lines.append(name)
        if published:
            lines.append(_text_line("  published", _published(published)))
        if figures is not None:
            lines.append(_text_line("  measured", _measured(figures)))
    if differences:
        lines += ["", f"paired differences, {label}", "(p values after Holm's correction):"]
        if any(d.brief.endswith("observed") for d in differences):
            lines[-1] = "(p values after Holm's correction; observed: fewer than three trainings):"
        lines += _difference_text(differences)
    return "\n".join(lines) + "\n"


def _difference_text(differences: Sequence[PairedDifference]) -> list[str]:
    """Differences by measure for a terminal of 80 columns."""
    lines = []
    for measure in dict.fromkeys(d.measure for d in differences):
        lines.append(f"  {measure_title(measure)}")
        for d in differences:
            if d.measure == measure:
                shown = d.brief
                if shown.startswith("no diff"):
                    # The reason is in the report; here only if the interval suggests a difference.
                    shown = "no difference shown"
                    if not d.interval.holds_zero:
                        shown = f"not shown, p {format_p(d.p_holm)}"
                text = _short(format_interval(d.interval, signed=True))
                name = f"{d.protocol} - {d.reference}"
                if len(name) > 36:
                    lines.append(f"    {name}")
                    name = ""
                lines.append(f"    {name:<37}{text:<18}{shown}")
    return lines


def _rows(
    measured: Measured,
) -> list[tuple[str, Mapping[str, float], Mapping[str, Interval] | None]]:
    return [
        *((name, PUBLISHED[name], measured.get(name)) for name in PUBLISHED),
        (EARLIER_WORK_TITLE, EARLIER_WORK, None),
        *((name, {}, figures) for name, figures in measured.items() if name not in PUBLISHED),
    ]


def _published(published: Mapping[str, float]) -> list[str]:
    return [f"{published[m]:.2f}" if m in published else ABSENT for m in PAPER_MEASURES]


def _measured(figures: Mapping[str, Interval] | None) -> list[str]:
    return [format_interval(figures.get(m) if figures else None) for m in PAPER_MEASURES]


def _text_line(name: str, cells: Sequence[str]) -> str:
    # Without leading zeros and the space in intervals, four columns fit into 80 characters.
    return (f"{name:<12}" + "".join(f"{_short(cell):<17}" for cell in cells)).rstrip()


def _short(cell: str) -> str:
    return cell.replace("0.", ".").replace(", ", ",")

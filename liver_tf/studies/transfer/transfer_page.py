"""The transfer study's report as Markdown, and a table of all its networks as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from math import comb

import numpy as np

from liver_tf.report.page.page_parts import Table
from liver_tf.report.page.render_markdown import markdown_table
from liver_tf.results.stored_results import RunResults
from liver_tf.studies.transfer.transfer_results import (
    TransferStudy,
    slice_dice,
    surface_mm,
    volume_dice,
)
from liver_tf.studies.transfer.transfer_summary import (
    CLAIMS,
    PHANTOM_ONLY,
    by_chance,
    comparisons,
    summary,
)

_NONE = "–"


def report_text(
    study: TransferStudy,
    *,
    data: str,
    source: str,
    command: str,
    settings: Sequence[str],
    pictures: Mapping[str, str],
    lacking: Sequence[str] = (),
) -> str:
    """The whole page.

    Args:
      data: what the scan is, in a phrase. source: its origin and licence, in sentences.
      command: that makes the page. settings: flags that all trainings share.
      pictures: caption by file name, relative to the page.
      lacking: cells that are planned and not measured.
    """
    holds, does_not = summary(study)
    networks = sum(map(len, study.runs.values()))
    caution = (
        f"**One patient.** {data}. All training, validation and test slices are of this one scan, "
        "so nothing on this page is an estimate for other patients. It shows the method on real "
        "pixels. For research; not a medical device."
    )
    parts = [
        "# Transfer to real CT, within one patient",
        f"{caution}\n\n{networks} networks. The page is made by `{command}`; its sentences are "
        "written by rule from the figures.",
        *(
            [f"**Not complete:** {len(lacking)} networks are missing: {_first(lacking)}."]
            if lacking
            else []
        ),
        "## What these networks show\n\n" + _bullets(holds or ["None of what was asked."]),
        "## What they do not show\n\n" + _bullets(does_not or ["All that was asked was shown."]),
        "## What cannot be known from this\n\n" + _bullets(_limits(study)),
        *(f"![{caption}]({name})\n\n*{caption}*" for name, caption in pictures.items()),
        "## Dice on the test slices\n\n"
        "Mean over the test slices, then over seeds; in brackets the lowest and the highest seed.",
        *(_section(study, end, _dice_cell) for end in study.ends),
        *_other_ends(study),
        "## How far slices differ\n\nThe worst and the best test slice, each the mean over seeds.",
        *(_section(study, end, _slices_cell) for end in study.ends),
        "## Distance of the outlines\n\n"
        "Average surface distance in mm, mean over slices and seeds. Slices in which a network "
        "found nothing have none and are left out; their count is in brackets.",
        *(_section(study, end, _surface_cell) for end in study.ends),
        "## How it was done\n\n" + _method(study, settings),
        "## Data\n\n" + source,
    ]
    return "\n\n".join(parts) + "\n"


def networks_csv(study: TransferStudy) -> str:
    """A row per network: its fold, and what it found in the test slices."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            *("trained_end", "training_slices", "protocol", "seed", "test_slices"),
            *("dice_mean", "dice_worst_slice", "dice_best_slice", "dice_all_slices_together"),
            *("surface_distance_mm", "slices_without_distance"),
        ]
    )
    for end, run in study.phantom_only.items():
        writer.writerow([end, 0, PHANTOM_ONLY, "", *_figures(run)])
    for (end, count, protocol), own in study.runs.items():
        for seed, run in sorted(own.items()):
            writer.writerow([end, count, protocol, seed, *_figures(run)])
    return text.getvalue()


def _figures(run: RunResults) -> list[str]:
    dice = slice_dice(run)
    distance, without = surface_mm(run)
    values = (np.mean(dice), min(dice), max(dice), volume_dice(run))
    return [
        *(str(len(dice)), *(f"{value:.4f}" for value in values)),
        *("" if distance is None else f"{distance:.2f}", str(without)),
    ]


def _first(names: Sequence[str], count: int = 6) -> str:
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _limits(study: TransferStudy) -> list[str]:
    between, before = (
        [
            one
            for claim in CLAIMS
            if (claim.reference == PHANTOM_ONLY) == wanted
            for one in comparisons(study, claim)
        ]
        for wanted in (False, True)
    )
    lines = [
        "How it goes with another patient, scanner or contrast phase: the test slices are the "
        "other end of the same liver.",
        "How sure a difference is: the test slices are neighbours, so no test and no interval is "
        "made of their number. What is shown is how far trainings with other seeds differ.",
    ]
    if between:
        fewest = min(
            between, key=lambda one: comb(len(one.seeds) + len(one.reference), len(one.seeds))
        )
        lines.append(
            "Whether a small difference is luck: two protocols are told apart only where all seeds "
            "of one lie above all of the other, which happens to equal protocols "
            f"{by_chance(len(fewest.seeds), len(fewest.reference))} times; {len(between)} such "
            "comparisons are made here."
        )
    if before:
        lines.append(
            "What another pre-training would give: all pre-trained networks start from the same "
            "one, whatever their seed, and the network that has seen phantoms alone is that one."
        )
    return lines


def _other_ends(study: TransferStudy) -> list[str]:
    """A sentence for every end that no network was trained at."""
    return [
        f"The other way round (to be trained at the {end}) nothing was fine-tuned; the network of "
        f"phantoms alone has a Dice of {_dice_cell([run])} on those test slices."
        for end, run in study.phantom_only.items()
        if end not in study.ends
    ]


def _section(study: TransferStudy, end: str, cell) -> str:
    return f"Trained at the {end} end:\n\n{markdown_table(_table(study, end, cell))}"


def _table(study: TransferStudy, end: str, cell) -> Table:
    headers = ("protocol", *(f"{count} slices" for count in study.counts))
    rows = []
    if end in study.phantom_only:
        text = cell([study.phantom_only[end]])
        rows.append((f"{PHANTOM_ONLY} (no slice)", *([text] * len(study.counts))))
    for protocol in study.protocols:
        runs = [study.runs.get((end, count, protocol), {}) for count in study.counts]
        rows.append(
            (
                protocol,
                *(cell([own[seed] for seed in sorted(own)]) if own else _NONE for own in runs),
            )
        )
    return Table(headers, tuple(rows))


def _dice_cell(runs: Sequence[RunResults]) -> str:
    means = [float(np.mean(slice_dice(run))) for run in runs]
    if len(means) == 1:
        return f"{means[0]:.3f}"
    return f"{np.mean(means):.3f} ({min(means):.3f} to {max(means):.3f})"


def _slices_cell(runs: Sequence[RunResults]) -> str:
    by_slice = np.mean([slice_dice(run) for run in runs], axis=0)
    return f"{by_slice.min():.3f} to {by_slice.max():.3f}"


def _surface_cell(runs: Sequence[RunResults]) -> str:
    found = [surface_mm(run) for run in runs]
    distances = [distance for distance, _ in found if distance is not None]
    without = sum(count for _, count in found)
    text = f"{np.mean(distances):.1f}" if distances else _NONE
    return f"{text} ({without} without)" if without else text


def _method(study: TransferStudy, settings: Sequence[str]) -> str:
    rows = []
    for end in study.ends:
        for count in study.counts:
            fold = study.fold(end, count)
            rows.append(
                (
                    f"{end}, {count} slices",
                    _stretch(fold.training_mm),
                    f"{len(fold.validation_mm)} at {_stretch(fold.validation_mm)}",
                    f"{len(fold.test_mm)} at {_stretch(fold.test_mm)}",
                    f"{fold.validation_apart_mm:.0f}",
                    f"{fold.test_apart_mm:.0f}",
                )
            )
    headers = ("trained at the", "training, mm", "validation, mm", "test, mm")
    apart = ("training to validation, mm", "test to all else, mm")
    table = markdown_table(Table((*headers, *apart), tuple(rows)))
    return (
        "Places along the scan, from its lowest slice; the training slices are spread evenly over "
        "their part, so that a larger set is not a nearer one. Validation slices decide on early "
        "stopping. Test slices are looked at once, after the training; they are those with liver.\n"
        f"\n{table}\n\n"
        "The program never divides a patient. For this study alone the scan was cut into slices "
        "under numbers of their own; the leakage guard compared their pixels, with no pair "
        "allowed, and found no near-duplicates between the parts, nor of the phantoms in the "
        "test.\n\n"
        "The network is that of the phantom study"
        + (", its last layer kept, as the classes are the same" if "--head=old" in settings else "")
        + ". The liver found in the test slices is the "
        "largest 3-D component, measured on the pixels of the scan. All trainings share "
        f"`{' '.join(settings)}`; the protocols are the flag files in the project's root and "
        "`flags/study/baseline_long.flags`, the control from scratch with four times the epochs "
        "and a higher rate."
    )


def _stretch(places_mm: Sequence[float]) -> str:
    return f"{min(places_mm):.0f} to {max(places_mm):.0f}"

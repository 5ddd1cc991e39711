"""The transfer study's report as a page, and all its networks as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from math import comb

import numpy as np

from liver_tf.report.findings import Picture
from liver_tf.report.page.page_parts import Caution, Items, Label, Part, Section, Text, Titled
from liver_tf.report.page.table import Table
from liver_tf.results.stored_results import RunResults
from liver_tf.studies.transfer.claims import (
    CLAIMS,
    PHANTOM_ONLY,
    chance_of_difference,
    comparisons,
    sort_claims,
)
from liver_tf.studies.transfer.transfer_results import (
    TransferResults,
    slice_dice,
    surface_mm,
    volume_dice,
)

TITLE = "Transfer to real CT, within one patient"

_NONE = "–"

#: The text of a table's cell from the results of all seeds.
_Cell = Callable[[Sequence[RunResults]], str]


def transfer_sections(
    results: TransferResults,
    *,
    source: str,
    settings: Sequence[str],
    pictures: Sequence[Picture],
) -> list[Section]:
    """The sections of the page.

    Args:
      results: of the study.
      source: origin and licence of the scan, in sentences.
      settings: flags that all trainings share.
      pictures: shown below the claims.
    """
    shown, not_shown = sort_claims(results)
    return [
        Section("What these networks show", (Items(tuple(shown or ["None of the claims."])),)),
        Section("What they do not show", (Items(tuple(not_shown or ["All claims were shown."])),)),
        Section("What this study cannot show", (Items(tuple(_limits(results))), *pictures)),
        Section(
            "Dice on the test slices",
            (
                Text(
                    "Mean over the test slices, then over seeds; in brackets the lowest and the "
                    "highest seed."
                ),
                *_tables(results, _dice_cell),
                *_other_ends(results),
            ),
        ),
        Section(
            "Variation between slices",
            (
                Text("The worst and the best test slice, each the mean over seeds."),
                *_tables(results, _slices_cell),
            ),
        ),
        Section(
            "Distance between outlines",
            (
                Text(
                    "Average surface distance in mm, mean over slices and seeds. Slices without a "
                    "predicted liver have no distance and are left out; their number is in "
                    "brackets."
                ),
                *_tables(results, _surface_cell),
            ),
        ),
        Section("Method", tuple(_method(results, settings))),
        Section("Data", (Text(source),)),
    ]


def transfer_opening(
    results: TransferResults, *, data: str, command: str, missing: Sequence[str]
) -> list[Part]:
    """The parts above the first section.

    Args:
      results: of the study.
      data: what the scan is, as a noun phrase.
      command: that writes the page.
      missing: names of planned runs without results.
    """
    networks = sum(map(len, results.runs.values()))
    parts: list[Part] = [
        Label(
            "One patient.",
            f"{data}. All training, validation and test slices are from this one scan, so nothing "
            "on this page is an estimate for other patients. It shows the method on real pixels. "
            "For research; not a medical device.",
        ),
        Text(f"{networks} networks. Written by {command}; the sentences follow rules."),
    ]
    if missing:
        parts.append(
            Caution(f"Study not complete: {len(missing)} networks are missing: {_first(missing)}.")
        )
    return parts


def networks_csv(results: TransferResults) -> str:
    """One row for each network: its fold, and its results on the test slices."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            *("trained_end", "training_slices", "protocol", "seed", "test_slices"),
            *("dice_mean", "dice_worst_slice", "dice_best_slice", "dice_all_slices_together"),
            *("surface_distance_mm", "slices_without_distance"),
        ]
    )
    for end, run in results.phantom_only.items():
        writer.writerow([end, 0, PHANTOM_ONLY, "", *_figures(run)])
    for (end, count, protocol), runs in results.runs.items():
        for seed, run in sorted(runs.items()):
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


def _limits(results: TransferResults) -> list[str]:
    between_protocols, with_phantoms = (
        [
            comparison
            for claim in CLAIMS
            if (claim.reference == PHANTOM_ONLY) == phantoms
            for comparison in comparisons(results, claim)
        ]
        for phantoms in (False, True)
    )
    lines = [
        "Results for another patient, scanner or contrast phase: the test slices are the other end "
        "of the same liver.",
        "The uncertainty of a difference: the test slices are neighbours, so the page has no tests "
        "and no intervals. It shows how far trainings with different seeds differ.",
    ]
    if between_protocols:
        # The comparison with the fewest seeds is the most likely to differ by chance.
        chance = min(
            ((len(one.seeds), len(one.reference)) for one in between_protocols),
            key=lambda seeds: comb(sum(seeds), seeds[0]),
        )
        lines.append(
            "Whether a small difference is due to chance: two protocols differ only if all "
            "seeds of one are above all seeds of the other. For equal protocols this happens "
            f"{chance_of_difference(*chance)} times; the page makes {len(between_protocols)} such "
            "comparisons."
        )
    if with_phantoms:
        lines.append(
            "The effect of another pre-training: all pre-trained networks start from the same "
            "weights, whatever their seed: those of the network trained only on phantoms."
        )
    return lines


def _tables(results: TransferResults, cell: _Cell) -> list[Titled]:
    return [Titled(f"Trained at the {end} end", _table(results, end, cell)) for end in results.ends]


def _table(results: TransferResults, end: str, cell: _Cell) -> Table:
    rows = []
    if end in results.phantom_only:
        text = cell([results.phantom_only[end]])
        rows.append((f"{PHANTOM_ONLY} (no slice)", *([text] * len(results.counts))))
    for protocol in results.protocols:
        runs = [results.by_seed(end, count, protocol) for count in results.counts]
        rows.append((protocol, *(cell(seeds) if seeds else _NONE for seeds in runs)))
    headers = ("protocol", *(f"{count} slices" for count in results.counts))
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
    surfaces = [surface_mm(run) for run in runs]
    distances = [distance for distance, _ in surfaces if distance is not None]
    without = sum(count for _, count in surfaces)
    text = f"{np.mean(distances):.1f}" if distances else _NONE
    return f"{text} ({without} without)" if without else text


def _other_ends(results: TransferResults) -> list[Text]:
    """A sentence for every end at which no network was trained."""
    return [
        Text(
            f"No network was trained at the {end} end. On the test slices of that split, the "
            f"network trained only on phantoms has a Dice of {_dice_cell([run])}."
        )
        for end, run in results.phantom_only.items()
        if end not in results.ends
    ]


def _method(results: TransferResults, settings: Sequence[str]) -> list[Part]:
    head = ", its last layer kept because the classes are the same"
    return [
        Text(
            "Positions are measured along the scan from its lowest slice. The training slices are "
            "spread evenly over their part, so a larger set is not nearer to the test. Validation "
            "slices decide on early stopping. The test slices are all slices with liver in their "
            "part; they are evaluated once, after training."
        ),
        _parts_table(results),
        Text(
            "Everywhere else the program refuses to split a patient. Only for this study the scan "
            "was cut into slices with numbers of their own. The leakage guard compared their "
            "pixels, with no pair exempt, and found no near-duplicates between the parts, nor "
            "between phantoms and test slices."
        ),
        Text(
            f"The network is that of the phantom study{head if '--head=old' in settings else ''}. "
            "The predicted liver is the largest 3-D component in the test slices, measured on the "
            f"pixels of the scan. All trainings share {' '.join(settings)}; the protocols are the "
            "flag files in the project's root and flags/study/baseline_long.flags, the control "
            "from scratch with four times the epochs and a higher learning rate."
        ),
    ]


def _parts_table(results: TransferResults) -> Table:
    headers = (
        *("trained at the", "training, mm", "validation, mm", "test, mm"),
        *("training to validation, mm", "test to all other parts, mm"),
    )
    rows = []
    for end in results.ends:
        for count in results.counts:
            fold = results.fold(end, count)
            rows.append(
                (
                    f"{end}, {count} slices",
                    _range(fold.training_mm),
                    f"{len(fold.validation_mm)} at {_range(fold.validation_mm)}",
                    f"{len(fold.test_mm)} at {_range(fold.test_mm)}",
                    f"{fold.validation_apart_mm:.0f}",
                    f"{fold.test_apart_mm:.0f}",
                )
            )
    return Table(headers, tuple(rows))


def _range(positions_mm: Sequence[float]) -> str:
    return f"{min(positions_mm):.0f} to {max(positions_mm):.0f}"

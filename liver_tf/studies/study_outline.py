"""Runs, cycles, epochs and steps of a study, even before records and networks exist."""

from collections.abc import Iterable, Sequence

from liver_tf.command_line.flags_of_options import parse
from liver_tf.counted import counted
from liver_tf.default_paths import FOLDS
from liver_tf.model.blocks import format_blocks
from liver_tf.records.folds import Split, load_folds, validate_on_test
from liver_tf.records.manifest import load_manifest
from liver_tf.refusals import Refusal
from liver_tf.run_files import TEST_FOLD
from liver_tf.studies.finetune_and_evaluate import LesionRunSettings
from liver_tf.studies.protocol_files import (
    epochs_by_cycle,
    new_epochs,
    read_protocols,
    read_settings,
)
from liver_tf.studies.study_plan import chosen_folds
from liver_tf.studies.study_settings import ReproduceSettings
from liver_tf.training.cycle_settings import CycleSettings
from liver_tf.training.protocol import PRETRAINED

#: Codes of the refusals of inputs that do not exist yet.
_NOT_MADE = ("no-manifest", "no-folds")


def study_outline(settings: ReproduceSettings) -> str:
    """Runs, cycles, epochs and, if records and folds exist, training steps of a study.

    Epochs and steps are upper limits: a cycle may stop early. Cycles that a run copies from
    another protocol's run are not counted.

    Raises:
      OptionError: A fold that the study does not have, or flags that no run could read.
      Refusal: Records or folds exist and cannot be used.
    """
    protocols = read_protocols(settings.protocols)
    shared = read_settings(settings.settings)
    epochs = new_epochs(protocols, epochs_by_cycle(protocols, shared))
    flags = [flag for of_file in shared.values() for flag in of_file]
    folds, slices, notes = _training_slices(settings)
    seeds = len(set(settings.seeds))
    rows, totals = [], [0, 0, 0]
    for protocol in protocols:
        run = parse(LesionRunSettings, [*protocol.arguments, *flags])
        cycles = run.parsed_protocol().cycles
        new = epochs[protocol.name]
        counts = [
            sum(map(bool, new)) * folds * seeds,
            sum(new) * folds * seeds,
            sum(_steps(cycles, new, count) for count in slices) * seeds,
        ]
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
        start = "" if run.start == PRETRAINED else f"from {run.start}: "
        rows.append([protocol.name, start + _cycles(cycles, new), *_shown(counts, slices)])
        if not run.sampling.resolved().shows_all:
            notes.append(f"{protocol.name}: {run.sampling.resolved().in_words()}")
        if run.neighbour_labels is not None:
            notes.append(f"{protocol.name}: steps on the labelled neighbours are not counted")
    rows.append(["total", "", *_shown(totals, slices)])
    names = ["protocol", "frozen blocks per cycle", "cycles", "epochs", "steps"]
    runs = counted(folds * len(protocols) * seeds, "run")
    grid = (counted(folds, "fold"), counted(len(protocols), "protocol"), counted(seeds, "seed"))
    legend = "totals of all runs; epochs and steps are upper limits"
    if any(0 in each for each in epochs.values()):
        legend += "; cycles in brackets are copied from runs of earlier protocols"
    return "\n".join(
        [
            f"{' x '.join(grid)}: {runs}, in {settings.output}",
            *notes,
            *_table([names if slices else names[:-1], *rows]),
            legend,
        ]
    )


def _training_slices(settings: ReproduceSettings) -> tuple[int, list[int], list[str]]:
    """Number of folds, training slices of each (if known), and notes on assumptions."""
    try:
        manifest = load_manifest(settings.roi_records)
        splits = load_folds(settings.folds_file, manifest)
    except Refusal as refusal:
        if refusal.code not in _NOT_MADE:
            raise
        folds = len(set(settings.folds)) if settings.folds else FOLDS
        source = "--folds" if settings.folds else "the default of liver-tf build_tfrecords"
        count = f"{counted(folds, 'fold')} ({source})"
        note = f"assumed: {count}; {refusal.path} does not exist, so the steps are unknown"
        return folds, [], [note]
    slices_of = {entry.case: entry.records for entry in manifest.cases}
    chosen = [splits[fold] for fold in dict.fromkeys(chosen_folds(settings.folds, splits))]
    if settings.validation == TEST_FOLD:
        chosen = [validate_on_test(split) for split in chosen]
    return len(chosen), [_slices(split, slices_of) for split in chosen], []


def _slices(split: Split, slices_of: dict[str, int]) -> int:
    return sum(slices_of[case] for case in split.training)


def _steps(cycles: Sequence[CycleSettings], epochs: Sequence[int], slices: int) -> int:
    """Batches of all new cycles of a run."""
    return sum(
        count * -(-slices // cycle.batch_size) for cycle, count in zip(cycles, epochs, strict=True)
    )


def _cycles(cycles: Sequence[CycleSettings], epochs: Sequence[int]) -> str:
    """The frozen blocks of each cycle; in brackets if another run trains it."""
    names = (format_blocks(cycle.fixed) for cycle in cycles)
    return "; ".join(
        name if count else f"({name})" for name, count in zip(names, epochs, strict=True)
    )


def _shown(counts: Sequence[int], slices: Sequence[int]) -> list[str]:
    return [f"{count:,}" for count in (counts if slices else counts[:-1])]


def _table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Lines with two left-aligned text columns, then right-aligned numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells)

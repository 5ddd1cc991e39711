"""Training curves: a panel per protocol, cycle after cycle, a line per network."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, chain, pairwise
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from liver_tf.report.plots import plot_style
from liver_tf.results.training_history import FinishedCycle

#: Columns of the history, in the upper and the lower axes.
_LINES = (
    (
        ("loss", "training loss", plot_style.BLUE, "-"),
        ("val_loss", "validation loss", plot_style.ORANGE, (0, (4, 1.5))),
    ),
    (
        ("val_dice", "validation Dice, mean over lesion types", plot_style.GREEN, "-"),
        (
            *("val_dice_any_lesion", "validation Dice, lesion of any type"),
            *(plot_style.PURPLE, (0, (4, 1.5))),
        ),
    ),
)


def draw_curves(runs: Mapping[str, Sequence[Sequence[FinishedCycle]]], path: Path | str) -> Path:
    """Write one PNG: a panel per protocol, losses above, validation Dice below.

    Args:
      runs: protocol -> networks -> cycles. Each cycle is as wide as its longest among the networks,
        so that cycles start at the same position for all.

    Raises:
      ValueError: no run has any epoch.
    """
    drawn = {
        name: [cycles for cycles in networks if any(cycle.epochs for cycle in cycles)]
        for name, networks in runs.items()
    }
    drawn = {name: networks for name, networks in drawn.items() if networks}
    if not drawn:
        raise ValueError("expected the history of at least one epoch; found none")
    labels = ("loss (weighted\ncross-entropy)", "validation Dice")
    figure, panels = plot_style.protocol_panels([*drawn], labels, 3.7, above=15)
    for networks, axes in zip(drawn.values(), panels, strict=True):
        starts = _cycle_starts(networks)
        for axis, lines in zip(axes, _LINES, strict=True):
            _draw(axis, networks, lines, starts)
        _number_cycles(axes[0], starts)
        axes[1].set_xlabel("epoch, over all cycles", fontsize=8.5)
    for level, most in ((0, None), (1, 1.0)):
        plot_style.scale_from_zero([axes[level] for axes in panels], most)
    plot_style.legend_above(figure, [axis for axes in panels for axis in axes])
    return plot_style.save(figure, path)


def _cycle_starts(networks: Sequence[Sequence[FinishedCycle]]) -> list[int]:
    """Epochs before each cycle and, last, in all: cycles are as wide as their longest network."""
    widths: dict[int, int] = {}
    for cycles in networks:
        for cycle in cycles:
            widths[cycle.number] = max(widths.get(cycle.number, 0), len(cycle.epochs))
    return [0, *accumulate(widths[number] for number in sorted(widths))]


def _draw(
    axis: Axes,
    networks: Sequence[Sequence[FinishedCycle]],
    lines: Sequence[tuple[str, str, str, object]],
    starts: Sequence[int],
) -> None:
    for start in starts[1:-1]:
        axis.axvline(start + 0.5, color=plot_style.PALE, lw=0.8)
    points = {"marker": ".", "ms": 3}
    look = {"lw": 1.3, **points} if len(networks) == 1 else {"lw": 0.8, "alpha": 0.65}
    for key, title, colour, dashes in lines:
        style = {"color": colour, "ls": dashes, "gid": plot_style.DATA, **look}
        label = title
        for cycle in chain.from_iterable(networks):
            values = {n: row[key] for n, row in enumerate(cycle.epochs, 1) if key in row}
            if values:
                epochs = [starts[cycle.number - 1] + n for n in values]
                # A line through a single point is invisible.
                more = points if len(values) == 1 else {}
                axis.plot(epochs, [*values.values()], label=label, **style | more)
                label = None
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _number_cycles(axis: Axes, starts: Sequence[int]) -> None:
    if len(starts) > 2:
        look = {"ha": "center", "fontsize": 7.5, "color": plot_style.GREY}
        for number, (start, end) in enumerate(pairwise(starts), 1):
            middle = (start + end) / 2 + 0.5
            axis.text(middle, 1.02, f"{number}", transform=axis.get_xaxis_transform(), **look)

"""Training curves: a panel per protocol, its cycles one after the other, a line per network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from liver_tf.report.plots import plot_style
from liver_tf.results.training_history import FinishedCycle

#: What is drawn of every epoch: above, below.
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
    """Writes one PNG: a panel per protocol, losses above, validation Dice below.

    Args:
      runs: protocol -> its networks -> their cycles. Cycles stand one after the other, each as
        wide as its longest among the networks, so that they begin at the same place in all.
      path: where the PNG goes.

    Raises:
      ValueError: no run has any epoch.
    """
    drawn = {
        name: [cycles for cycles in own if any(cycle.epochs for cycle in cycles)]
        for name, own in runs.items()
    }
    drawn = {name: own for name, own in drawn.items() if own}
    if not drawn:
        raise ValueError("expected the history of at least one epoch; got none")
    rows = -(-len(drawn) // plot_style.COLUMNS)
    figure = plot_style.new_figure(0.4 + 3.7 * rows)
    panels = plot_style.stacked_grid(figure, len(drawn), (1.0, 1.0))
    for place, ((name, own), axes) in enumerate(zip(drawn.items(), panels, strict=True)):
        plot_style.name_panel(axes[0], name, above=15)
        for axis, lines in zip(axes, _LINES, strict=True):
            _draw(axis, own, lines)
        _number_cycles(axes[0], _widths(own))
        axes[1].set_xlabel("epoch, over all cycles", fontsize=8.5)
        if place % plot_style.COLUMNS == 0:
            axes[0].set_ylabel("loss (weighted\ncross-entropy)", fontsize=9)
            axes[1].set_ylabel("validation Dice", fontsize=9)
    for level, most in ((0, None), (1, 1.0)):
        plot_style.scale_from_zero([axes[level] for axes in panels], most)
    plot_style.legend_above(figure, [axis for axes in panels for axis in axes])
    return plot_style.save(figure, path)


def _widths(own: Sequence[Sequence[FinishedCycle]]) -> list[int]:
    """Epochs of the longest cycle of each number."""
    return [
        max((len(cycles[k].epochs) for cycles in own if k < len(cycles)), default=0)
        for k in range(max(map(len, own)))
    ]


def _draw(
    axis: Axes,
    own: Sequence[Sequence[FinishedCycle]],
    lines: Sequence[tuple[str, str, str, object]],
) -> None:
    widths = _widths(own)
    for k in range(1, len(widths)):
        axis.axvline(sum(widths[:k]) + 0.5, color=plot_style.PALE, lw=0.8)
    alone = len(own) == 1
    look = {"lw": 1.3, "marker": ".", "ms": 3} if alone else {"lw": 0.8, "alpha": 0.65}
    for key, title, colour, dashes in lines:
        label = title
        for cycles in own:
            for k, cycle in enumerate(cycles):
                points = [
                    (sum(widths[:k]) + n, row[key])
                    for n, row in enumerate(cycle.epochs, 1)
                    if row.get(key) is not None
                ]
                if not points:
                    continue
                # A cycle of a single epoch would have no line at all.
                more = {"marker": ".", "ms": 3} if len(points) == 1 else {}
                axis.plot(
                    *zip(*points, strict=True),
                    color=colour,
                    ls=dashes,
                    label=label,
                    gid=plot_style.DATA,
                    **look | more,
                )
                label = None
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _number_cycles(axis: Axes, widths: Sequence[int]) -> None:
    if len(widths) < 2:
        return
    for k, width in enumerate(widths):
        axis.text(
            sum(widths[:k]) + width / 2 + 0.5,
            1.02,
            f"{k + 1}",
            transform=axis.get_xaxis_transform(),
            ha="center",
            fontsize=7.5,
            color=plot_style.GREY,
        )

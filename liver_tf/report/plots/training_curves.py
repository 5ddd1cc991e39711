"""Training curves: a panel per protocol, cycle after cycle, a line per network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
      path: PNG file.

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
    figure, panels = plot_style.protocol_panels([*drawn], 3.7, (1.0, 1.0), above=15)
    for networks, axes in zip(drawn.values(), panels, strict=True):
        for axis, lines in zip(axes, _LINES, strict=True):
            _draw(axis, networks, lines)
        _number_cycles(axes[0], _widths(networks))
        axes[1].set_xlabel("epoch, over all cycles", fontsize=8.5)
    labels = ("loss (weighted\ncross-entropy)", "validation Dice")
    plot_style.label_first_column(panels, labels)
    for level, most in ((0, None), (1, 1.0)):
        plot_style.scale_from_zero([axes[level] for axes in panels], most)
    plot_style.legend_above(figure, [axis for axes in panels for axis in axes])
    return plot_style.save(figure, path)


def _widths(networks: Sequence[Sequence[FinishedCycle]]) -> list[int]:
    """Width of each cycle: its largest number of epochs among the networks."""
    return [
        max((len(cycles[k].epochs) for cycles in networks if k < len(cycles)), default=0)
        for k in range(max(map(len, networks)))
    ]


def _draw(
    axis: Axes,
    networks: Sequence[Sequence[FinishedCycle]],
    lines: Sequence[tuple[str, str, str, object]],
) -> None:
    widths = _widths(networks)
    for k in range(1, len(widths)):
        axis.axvline(sum(widths[:k]) + 0.5, color=plot_style.PALE, lw=0.8)
    alone = len(networks) == 1
    look = {"lw": 1.3, "marker": ".", "ms": 3} if alone else {"lw": 0.8, "alpha": 0.65}
    for key, title, colour, dashes in lines:
        label = title
        for cycles in networks:
            for k, cycle in enumerate(cycles):
                points = [
                    (sum(widths[:k]) + n, row[key])
                    for n, row in enumerate(cycle.epochs, 1)
                    if row.get(key) is not None
                ]
                if not points:
                    continue
                # A line through a single point is invisible.
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

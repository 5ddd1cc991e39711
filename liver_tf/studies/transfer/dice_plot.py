"""Plot of the Dice on the test slices by number of training slices, one point for each seed."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from liver_tf.report.plots import plot_style
from liver_tf.studies.transfer.claims import PHANTOM_ONLY, mean_dice_by_seed
from liver_tf.studies.transfer.scan_split import FEET, HEAD
from liver_tf.studies.transfer.transfer_results import TransferResults

#: Colour, marker, filled. Grey: from scratch; open markers: controls; filled in the same colour:
#: the protocol with that control.
_STYLES = {
    "baseline": (plot_style.GREY, "s", True),
    "baseline_long": (plot_style.GREY, "s", False),
    "no_freezing": (plot_style.BLUE, "o", True),
    "freeze_encoder": (plot_style.PURPLE, "o", True),
    "no_freezing_5_cycles": (plot_style.ORANGE, "^", False),
    "hier_freeze": (plot_style.ORANGE, "^", True),
    "no_freezing_6_cycles": (plot_style.GREEN, "v", False),
    "hier_unfreeze": (plot_style.GREEN, "v", True),
}


def draw_dice_plot(results: TransferResults, path: Path | str) -> Path:
    """Write a PNG with one panel for each end used for training; returns ``path``.

    A point is a seed's mean Dice over the test slices, a bar the mean over seeds; the dotted line
    is the network trained only on phantoms.
    """
    figure = plot_style.new_figure(5.0)
    axes = figure.subplots(1, len(results.ends), squeeze=False, sharey=True)[0]
    for axis, end in zip(axes, results.ends, strict=True):
        _draw_end(axis, results, end)
        other = FEET if end == HEAD else HEAD
        axis.set_title(f"trained at the {end} end, tested at the {other} end", fontsize=10)
        axis.set_xlabel("training slices", fontsize=9)
    axes[0].set_ylabel("liver Dice, mean over the test slices", fontsize=9)
    plot_style.legend_above(figure, [axes[0]], columns=5)
    return plot_style.save(figure, path)


def _draw_end(axis: Axes, results: TransferResults, end: str) -> None:
    protocols = [name for name in _STYLES if name in results.protocols]
    protocols += [name for name in results.protocols if name not in _STYLES]
    step = 0.8 / len(protocols)
    for place, protocol in enumerate(protocols):
        colour, marker, filled = _STYLES.get(protocol, ("black", "x", True))
        style = {"ls": "", "marker": marker, "ms": 5, "mfc": colour if filled else "white"}
        for column, count in enumerate(results.counts):
            seeds = mean_dice_by_seed(results, end, count, protocol)
            if not seeds:
                continue
            x = column + (place - (len(protocols) - 1) / 2) * step
            axis.plot([x] * len(seeds), seeds, color=colour, label=protocol, **style)
            bar = [x - 0.4 * step, x + 0.4 * step]
            axis.plot(bar, [np.mean(seeds)] * 2, color=colour, lw=1.2)
    if before := mean_dice_by_seed(results, end, 0, PHANTOM_ONLY):
        axis.axhline(before[0], color="black", lw=1, ls=":", label=PHANTOM_ONLY)
    axis.set_xticks(range(len(results.counts)), [str(count) for count in results.counts])
    axis.grid(axis="y", alpha=0.25, lw=0.6)
    axis.spines[["top", "right"]].set_visible(False)

"""Training curves of a protocol, its cycles one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from liver_tf.atomic_files import written_whole

#: One row per epoch: ``epoch`` and any of ``loss``, ``val_loss``, ``val_dice``.
History = Sequence[Mapping[str, float]]

_LOSS_LINES = (("loss", "training loss", "#377eb8"), ("val_loss", "validation loss", "#e41a1c"))
_DICE_LINES = (("val_dice", "validation Dice", "#4daf4a"),)


def draw_curves(histories: Mapping[str, Sequence[History]], path: Path | str) -> Path:
    """Writes one PNG: a column per protocol, losses above, validation Dice below.

    Args:
      histories: protocol -> its cycles in order -> rows per epoch. A value that is missing or
        None is left out; a cycle without epochs is left out. Epochs are counted through:
        the second cycle goes on where the first ended, a thin line between them.
      path: where the PNG goes.

    Raises:
      ValueError: no protocol has any epoch.
    """
    drawn = {name: [c for c in cycles if c] for name, cycles in histories.items()}
    drawn = {name: cycles for name, cycles in drawn.items() if cycles}
    if not drawn:
        raise ValueError("expected the history of at least one epoch; got none")
    figure = Figure(figsize=(3.6 * len(drawn) + 0.6, 5.0), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(drawn), squeeze=False, sharex="col", sharey="row")
    for column, (name, cycles) in enumerate(drawn.items()):
        axes[0, column].set_title(name, fontsize=10)
        _draw(axes[0, column], cycles, _LOSS_LINES)
        _draw(axes[1, column], cycles, _DICE_LINES)
        axes[1, column].set_xlabel("epoch, counted through all cycles", fontsize=8)
        axes[1, column].set_ylim(0.0, 1.0)
    axes[0, 0].set_ylabel("loss")
    axes[1, 0].set_ylabel("Dice")
    for row in axes:
        if row[0].get_legend_handles_labels()[0]:
            row[0].legend(fontsize=8, frameon=False)
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
    return Path(path)


def _draw(axis: Axes, cycles: Sequence[History], lines: Sequence[tuple[str, str, str]]) -> None:
    start = 0
    named: set[str] = set()
    for number, cycle in enumerate(cycles):
        if number:
            axis.axvline(start + 0.5, color="#bbbbbb", linewidth=0.8)
        for key, title, colour in lines:
            points = [
                (start + k, row[key]) for k, row in enumerate(cycle, 1) if row.get(key) is not None
            ]
            if points:
                epochs, values = zip(*points, strict=True)
                label = None if key in named else title
                named.add(key)
                # A dot for each epoch: a cycle of one epoch would have no line at all.
                axis.plot(epochs, values, ".-", color=colour, label=label, lw=1.2, ms=3.5)
        start += len(cycle)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(alpha=0.25)
    axis.tick_params(labelsize=8)

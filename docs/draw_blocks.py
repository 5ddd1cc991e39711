"""Draw docs/images/blocks.png: the network's blocks by name, with sizes and channels.

python docs/draw_blocks.py
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

OUTPUT = Path(__file__).parent / "images" / "blocks.png"
FILTERS, SIDE, LEVELS = 32, 256, 5
ENCODER, DECODER, HEAD, INK = "#cfe0f3", "#d6ecd2", "#f9dfc0", "#222222"
WIDTH, HEIGHT = 1.5, 0.62


def main() -> None:
    figure = Figure(figsize=(10, 5.4), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.3, 14.3), ylim=(-5.35, 1.35))
    axes.set_axis_off()
    left = [(1.0 + 1.05 * level, -1.05 * level) for level in range(LEVELS)]
    right = [(13.3 - 2.1 - 1.05 * level, -1.05 * level) for level in range(LEVELS - 1)]
    for level, (x, y) in enumerate(left):
        _block(axes, x, y, f"enc{level + 1}", _size(level), ENCODER)
        if level:
            before = left[level - 1]
            _arrow(axes, (before[0] + 0.4, before[1] - HEIGHT / 2), (x + 0.1, y + HEIGHT / 2))
    for level, (x, y) in enumerate(right):
        _block(axes, x, y, f"dec{level + 1}", _size(level), DECODER)
        start = left[level][0] + WIDTH / 2
        _arrow(axes, (start, y), (x - WIDTH / 2, y), dashed=True)
        axes.text((start + x - WIDTH / 2) / 2, y + 0.09, "skip", ha="center", fontsize=9, color=INK)
        if level:
            _arrow(
                axes, (x + 0.1, y + HEIGHT / 2), (right[level - 1][0] - 0.4, -1.05 * level + 0.74)
            )
    deepest, last = left[-1], right[-1]
    _arrow(axes, (deepest[0] + WIDTH / 2, deepest[1]), (last[0] - 0.3, last[1] - HEIGHT / 2))
    _block(axes, 13.3, 0.0, "head", "1 x 1, classes", HEAD)
    _arrow(axes, (right[0][0] + WIDTH / 2, 0.0), (13.3 - WIDTH / 2, 0.0))
    _arrow(axes, (left[0][0], 1.0), (left[0][0], HEIGHT / 2))
    axes.text(0.25, 1.06, "HU of a slice, standardised", fontsize=9.5, color=INK)
    _arrow(axes, (13.3, HEIGHT / 2), (13.3, 1.0))
    axes.text(13.3, 1.06, "logits", ha="center", fontsize=9.5, color=INK)
    axes.text(
        -0.1,
        -5.15,
        "enc, dec: twice (3 x 3 convolution, ReLU, batch normalisation). Down: 2 x 2 max pooling. "
        "Up: 2 x 2 transposed convolution.",
        fontsize=9.5,
        color=INK,
    )
    figure.savefig(OUTPUT)


def _size(level: int) -> str:
    side = SIDE // 2**level
    return f"{side} x {side}, {FILTERS * 2**level}"


def _block(axes, x: float, y: float, name: str, size: str, colour: str) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (x - WIDTH / 2, y - HEIGHT / 2),
            WIDTH,
            HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=colour,
            edgecolor=INK,
            linewidth=1,
        )
    )
    axes.text(x, y + 0.11, name, ha="center", va="center", fontsize=12, weight="bold", color=INK)
    axes.text(x, y - 0.16, size, ha="center", va="center", fontsize=8, color=INK)


def _arrow(axes, start, end, *, dashed: bool = False) -> None:
    style = {"arrowstyle": "-|>", "color": INK, "shrinkA": 0, "shrinkB": 0, "linewidth": 1.1}
    axes.annotate("", end, start, arrowprops=style | ({"linestyle": (0, (4, 3))} if dashed else {}))


if __name__ == "__main__":
    main()

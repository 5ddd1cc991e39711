"""Colours and line styles of classes and plots, distinguishable by colour-blind readers.

The colours are those of Okabe and Ito, "Color Universal Design" (2008). Each class also has a dash
pattern, and lines on CT slices have a dark halo: on bright liver no saturated colour has enough
contrast of its own.

Contrast, by WCAG 2.2: each colour has more than 3:1 to the halo, and the halo to liver. Between the
five classes of results 3:1 is impossible: white to black has 21:1, so five colours have at most
21 ** (1 / 4) = 2.1 between each pair. They differ by at least 18 in CIEDE2000 instead, also as seen
with deuteranopia and protanopia, and by their dashes; legend, table and numbers name them. The best
five of these colours reach 20.7, freely chosen ones about 30.
"""

BLUE, SKY, GREEN, YELLOW = "#0072B2", "#56B4E9", "#009E73", "#F0E442"
VERMILLION, ORANGE, PURPLE = "#D55E00", "#E69F00", "#CC79A7"
WHITE, HALO = "#FFFFFF", "#000000"

#: Of the classes of a label set from 1 (liver); repeated after the last one.
CLASSES = (GREEN, SKY, YELLOW, VERMILLION, PURPLE, ORANGE, BLUE)
INDETERMINATE = WHITE

#: Lengths of dash, gap, dash, ... in line widths, of the same classes; empty for a solid line.
DASHES: tuple[tuple[float, ...], ...] = (
    *((), (5, 2.5), (2, 2), (6, 2, 1.5, 2)),
    *((9, 3), (3, 4), (9, 2, 2, 2, 2, 2)),
)
INDETERMINATE_DASHES = (1.2, 2.2)


def class_colour(label: int) -> str:
    """Hex colour of a class, ``label`` from 1."""
    return CLASSES[(label - 1) % len(CLASSES)]


def class_dashes(label: int) -> tuple[float, ...]:
    """Dash pattern of a class; classes that share a colour differ in it."""
    turn, place = divmod(label - 1, len(CLASSES))
    return DASHES[(place + turn) % len(DASHES)]

"""Small charts as inline SVG: text that can be read and printed at any size, no script."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

_WIDTH, _HEIGHT = 300, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 38, 14, 20, 32


def histogram_svg(
    title: str,
    shares: Sequence[float],
    low: float,
    high: float,
    *,
    unit: str,
    colour: str,
    reference: Sequence[float] | None = None,
    shade: tuple[float, float] | None = None,
    percent: bool = True,
) -> str:
    """Bars of equal width from ``low`` to ``high``.

    Args:
      title: above the chart.
      shares: of each bar; counts where ``percent`` is false.
      unit: of the horizontal axis.
      colour: hex, of the bars.
      reference: another distribution over the same bars, drawn as a grey line.
      shade: a range to mark on the axis, e.g. the window.
      percent: whether the vertical axis is in percent.
    """
    top = max([*shares, *(reference or ()), 1e-12])
    across, up = _across(low, high), _up(top)
    step = (high - low) / len(shares)
    parts = _frame(title, low, high, unit, shade)
    for number, share in enumerate(shares):
        if share:
            left, right = across(low + number * step), across(low + (number + 1) * step)
            parts.append(
                f'<rect x="{left:.1f}" y="{up(share):.1f}" width="{right - left:.1f}" '
                f'height="{up(0) - up(share):.1f}" fill="{colour}"/>'
            )
    if reference is not None:
        line = []
        for number, share in enumerate(reference):
            left, right = across(low + number * step), across(low + (number + 1) * step)
            line += [f"{left:.1f} {up(share):.1f}", f"{right:.1f} {up(share):.1f}"]
        parts.append(f'<path d="M{"L".join(line)}" fill="none" stroke="#777"/>')
    label = f"{top:.0%}" if percent and top >= 0.1 else f"{top:.1%}" if percent else f"{top:g}"
    parts.append(_text(_LEFT - 4, up(top) + 4, label, "end"))
    parts.append(_text(_LEFT - 4, up(0), "0", "end"))
    return _svg(title, parts)


def dots_svg(
    title: str,
    values: Sequence[tuple[float, bool]],
    low: float,
    high: float,
    *,
    unit: str,
    shade: tuple[float, float] | None = None,
) -> str:
    """A dot for each value, stacked where they meet; flagged ones are red.

    Args:
      title: above the chart.
      values: (value, flagged); what lies outside is drawn at the end of the axis.
      low, high, unit, shade: as :func:`histogram_svg`.
    """
    across = _across(low, high)
    places: dict[int, int] = {}
    # Flagged ones last: they lie on top.
    dots = []
    for value, flagged in sorted(values, key=lambda pair: pair[1]):
        place = round(across(min(max(value, low), high)) / 5)
        places[place] = places.get(place, 0) + 1
        dots.append((place * 5, places[place], flagged))
    base = _HEIGHT - _BOTTOM
    gap = min(6.0, (base - _TOP - 6) / max([*places.values(), 1]))
    parts = _frame(title, low, high, unit, shade)
    parts += [
        f'<circle cx="{x}" cy="{base - 4 - (height - 1) * gap:.1f}" r="2.6" '
        f'fill="{"#d00000" if flagged else "#4a6fa5"}"/>'
        for x, height, flagged in dots
    ]
    return _svg(title, parts)


def nice_step(span: float) -> float:
    """The least of 1, 2, 5 times a power of ten of which at most six cover a span."""
    step = 1e-3
    while True:
        for factor in (1, 2, 5):
            if span / (step * factor) <= 6:
                return step * factor
        step *= 10


def _frame(title: str, low: float, high: float, unit: str, shade) -> list[str]:
    across, base = _across(low, high), _HEIGHT - _BOTTOM
    parts = [f'<text x="{_LEFT}" y="12" class="t">{html.escape(title)}</text>']
    if shade is not None:
        left, right = across(max(shade[0], low)), across(min(shade[1], high))
        parts.append(
            f'<rect x="{left:.1f}" y="{_TOP}" width="{right - left:.1f}" '
            f'height="{base - _TOP}" fill="#eef3f8"/>'
        )
    parts.append(f'<path d="M{_LEFT} {base}H{_WIDTH - _RIGHT}" stroke="#555" fill="none"/>')
    step = nice_step(high - low)
    for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1):
        place = across(number * step)
        parts.append(f'<path d="M{place:.1f} {base}v3" stroke="#555"/>')
        parts.append(_text(place, base + 13, f"{round(number * step, 6):g}", "middle"))
    parts.append(_text(_WIDTH - _RIGHT, base + 27, unit, "end"))
    return parts


def _across(low: float, high: float):
    return lambda value: _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)


def _up(top: float):
    return lambda value: _HEIGHT - _BOTTOM - value / top * (_HEIGHT - _BOTTOM - _TOP)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _svg(title: str, parts: list[str]) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{html.escape(title)}">{"".join(parts)}</svg>'
    )

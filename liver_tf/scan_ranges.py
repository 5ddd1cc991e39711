"""Ranges of the scans that a network learned from, and whether another scan lies inside them."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

Range = tuple[float, float]
#: Of one scan: values by the names of ``ScanRanges``; None where unknown.
ScanValues = Mapping[str, float | None]

#: Only values above these ranges count: the networks see slices one by one, reduced to their own
#: grid, so finer pixels and closer slices are not new to them.
_COARSER_ONLY = frozenset(("pixel_mm", "slice_mm"))

#: A scan is outside a range beyond this share of its larger end: spacings are stored rounded.
TOLERANCE = 0.01
_TITLES = {
    "pixel_mm": ("pixel spacing", "mm"),
    "slice_mm": ("distance of slices", "mm"),
    "liver_hu": ("mean of the liver", "HU"),
    "liver_ml": ("liver volume", "ml"),
}


@dataclass(frozen=True)
class ScanRanges:
    """Smallest and largest value over the training scans; None if no scan states it.

    Attributes:
      pixel_mm: Pixel spacing, the larger of both directions.
      slice_mm: Distance of slices; for slices without neighbours their thickness.
      liver_hu: Mean HU of the liver without its lesions, inside the window of the records.
      liver_ml: Volume of the liver with its lesions; of whole volumes only.

    Raises:
      ValueError: A range is not two finite numbers in order.
    """

    pixel_mm: Range | None = None
    slice_mm: Range | None = None
    liver_hu: Range | None = None
    liver_ml: Range | None = None

    def __post_init__(self) -> None:
        for name, ends in vars(self).items():
            if ends is not None and not (-math.inf < ends[0] <= ends[1] < math.inf):
                raise ValueError(f"{name}: expected two numbers in order, found {ends}")

    @classmethod
    def of_scans(cls, scans: Iterable[ScanValues]) -> "ScanRanges":
        """The ranges of several scans."""
        scans = list(scans)
        known = {
            each.name: [value for scan in scans if (value := scan.get(each.name)) is not None]
            for each in fields(cls)
        }
        return cls(
            **{
                name: (round(min(values), 3), round(max(values), 3))
                for name, values in known.items()
                if values
            }
        )

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "ScanRanges":
        """The inverse of ``asdict``."""
        pairs = {name: ends and (float(ends[0]), float(ends[1])) for name, ends in value.items()}
        return cls(**pairs)

    def joined(self, other: "ScanRanges") -> "ScanRanges":
        """Of the scans of both. Unknown where one is; the volume may be that of one of them."""
        ranges = {}
        for name, ends in vars(self).items():
            others = getattr(other, name)
            if ends and others:
                ranges[name] = (min(ends[0], others[0]), max(ends[1], others[1]))
            elif name == "liver_ml":
                ranges[name] = ends or others
        return ScanRanges(**ranges)

    def outside(self, scan: ScanValues) -> dict[str, Range]:
        """The ranges outside of which a scan lies, by name; finer spacing is not outside."""
        found = {}
        for name, ends in vars(self).items():
            value = scan.get(name)
            if ends is None or value is None:
                continue
            slack = TOLERANCE * max(map(abs, ends))
            low = -math.inf if name in _COARSER_ONLY else ends[0] - slack
            if not low <= value <= ends[1] + slack:
                found[name] = ends
        return found

    def text(self) -> str:
        """The known ranges in one line; empty if none is known."""
        return "; ".join(
            f"{_TITLES[name][0]} {_words(name, ends)}"
            for name, ends in asdict(self).items()
            if ends is not None
        )


def outside_text(networks: Mapping[str, ScanRanges | None], scan: ScanValues) -> str:
    """What of a scan lies outside the training data of which network; empty for nothing.

    For example ``distance of slices 12.5 mm (liver network: 3 to 11 mm)``; the network is left out
    if the range is that of every network. A network without ranges is reported as unknown.
    """
    found = {name: ranges.outside(scan) for name, ranges in networks.items() if ranges}
    parts = []
    for quantity, (title, unit) in _TITLES.items():
        outside = {
            name: _words(quantity, ranges[quantity])
            for name, ranges in found.items()
            if quantity in ranges
        }
        same = len(outside) == len(networks) and len(set(outside.values())) == 1
        if outside:
            outside |= {name: "range unknown" for name, ranges in networks.items() if not ranges}
            stated = set(outside.values()) if same else map(": ".join, outside.items())
            value = scan[quantity]
            assert value is not None
            parts.append(f"{title} {_number(value, unit)} {unit} ({', '.join(stated)})")
    return "; ".join(parts)


def _words(quantity: str, ends: Range) -> str:
    unit = _TITLES[quantity][1]
    return f"{_number(ends[0], unit)} to {_number(ends[1], unit)} {unit}"


def _number(value: float, unit: str) -> str:
    return f"{value:.3g}" if unit == "mm" else f"{value:,.0f}"

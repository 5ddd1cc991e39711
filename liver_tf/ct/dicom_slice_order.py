"""Slices of one series put in order by where they lie; their pixels are read one slice at a time.

File names and instance numbers tell nothing reliable about order; positions do (DICOM PS3.3
C.7.6.2). What cannot be stacked without a guess is refused.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liver_tf.ct.dicom_file import read_dataset
from liver_tf.ct.dicom_geometry import (
    axial_axes,
    directions_of,
    oblique_caution,
    stored_affine_of,
    upward_normal,
)
from liver_tf.ct.dicom_hu import HuRange, stored_hu
from liver_tf.ct.dicom_slice_header import SliceHeader
from liver_tf.ct.orientation import canonical_affine, spacing_of, to_canonical
from liver_tf.ct.scan import SourceGrid
from liver_tf.refusals import Caution, Refusal

#: Positions are stored with few decimals, so gaps may differ a little: by this share of the gap,
#: and at least by this many mm.
_GAP_TOLERANCE = 0.05
_GAP_TOLERANCE_MM = 0.06
#: How far such differences may add up, as a share of the gap: a slice must stay nearest to its own
#: place on the even grid that the affine describes.
_GRID_TOLERANCE = 0.25
#: Drift of the slices across their normal, per mm along it (0.5 degrees), and at least in mm.
_DRIFT_PER_MM = 0.0087
_DRIFT_MM = 0.1
_SAME_DIRECTION = 1e-3


@dataclass(frozen=True)
class SliceStack:
    """A series whose headers are known and whose pixels are still in its files.

    Attributes:
      headers: of the slices, from the feet to the head.
      source, affine, spacing_mm, cautions, details: as in :class:`liver_tf.ct.scan.Scan`.
    """

    headers: tuple[SliceHeader, ...]
    source: SourceGrid
    affine: np.ndarray
    spacing_mm: tuple[float, float, float]
    cautions: tuple[Caution, ...]
    details: dict[str, str]

    def slices(self) -> Iterator[np.ndarray]:
        """HU of one slice after the other, canonical [rows, columns], from the feet to the head.

        int16 where all values of the slice are whole HU, else float32. Whether the HU of the
        series are plausible is known only when the iteration has ended.

        Raises:
          Refusal: as :func:`liver_tf.ct.dicom_slice.read_dicom_slice`.
        """
        seen = HuRange()
        for header in self.headers:
            hu, padding = stored_hu(read_dataset(header.path), header)
            seen.add(hu, padding)
            yield to_canonical(hu[np.newaxis], self.source)[0]
        seen.refuse_implausible(self.source.path)


def stack_slices(headers: Sequence[SliceHeader], place: Path) -> SliceStack:
    """Put the slices of one series in order; a single stray one is left out with a caution.

    Args:
      headers: at least one, in any order.
      place: the folder, or one file of the series, that refusals name.

    Cautions: those of the slices, ``series-stray-slice``, and ``series-rescale``.

    Raises:
      Refusal: ``series-mixed``, ``series-no-geometry``, ``series-duplicate-position``,
        ``series-spacing``, ``series-tilted``, ``dicom-not-axial``.
    """
    headers, strays = _one_series(headers, place)
    headers, step = _sorted_by_position(headers, place)
    first = headers[0]
    grid = SourceGrid(
        "dicom-series",
        place,
        (len(headers), *first.shape),
        *axial_axes(first, place),
        files=tuple(header.path for header in headers),
        series_uid=first.series_uid,
        instance_uids=tuple(header.instance_uid for header in headers),
        positions=np.stack([header.position for header in headers]),
    )
    affine = canonical_affine(stored_affine_of(first, slice_step=step), grid)
    cautions = [note for header in headers for note in header.cautions + oblique_caution(header)]
    return SliceStack(
        headers=tuple(headers),
        source=grid,
        affine=affine,
        spacing_mm=spacing_of(affine),
        cautions=tuple(dict.fromkeys(cautions)) + strays + _rescale_cautions(headers),
        details=first.details,
    )


def _rescale_cautions(headers: Sequence[SliceHeader]) -> tuple[Caution, ...]:
    """CT has one scale from the first slice to the last; a slice of another may be off by 1000 HU.

    The mean over a series would not show it.
    """
    scales = Counter((header.slope, header.intercept) for header in headers)
    others = len(headers) - scales.most_common(1)[0][1]
    if not others:
        return ()
    note = f"{others} slice(s) with another rescale slope or intercept than the other slices"
    return (Caution("series-rescale", note),)


def _one_series(
    headers: Sequence[SliceHeader], place: Path
) -> tuple[list[SliceHeader], tuple[Caution, ...]]:
    """The one group of slices that belong together; single others are strays."""
    groups: dict[tuple, list[SliceHeader]] = defaultdict(list)
    for header in headers:
        directions = np.concatenate(directions_of(header))
        key = (
            header.series_uid,
            header.shape,
            header.pixel_spacing_mm,
            tuple(np.round(directions / _SAME_DIRECTION).astype(int).tolist()),
        )
        groups[key].append(header)
    ordered = sorted(groups.values(), key=len, reverse=True)
    main, rest = ordered[0], ordered[1:]
    if rest and (len(main) < 3 or any(len(group) > 1 for group in rest)):
        raise _refused(
            place,
            "series-mixed",
            "the slices of one series, all of one size, spacing and orientation",
            f"{len(ordered)} groups, the two largest of {len(main)} and {len(rest[0])} slices",
        )
    if not rest:
        return main, ()
    note = f"{len(rest)} stray slice(s) of another series, size or orientation left out"
    return main, (Caution("series-stray-slice", note),)


def _sorted_by_position(
    headers: Sequence[SliceHeader], place: Path
) -> tuple[list[SliceHeader], np.ndarray]:
    """Slices from the feet to the head, and the step in mm (LPS+) between them."""
    for header in headers:
        if header.position is None or header.row_direction is None or not header.pixel_spacing_mm:
            raise _refused(
                place,
                "series-no-geometry",
                "position, orientation and pixel spacing in every slice",
                "a slice that leaves one of them out",
            )
    normal = upward_normal(headers[0])
    headers = sorted(headers, key=lambda header: float(header.position @ normal))
    positions = np.stack([header.position for header in headers])
    along = positions @ normal
    gaps = np.diff(along)
    if len(headers) == 1:
        thickness = headers[0].thickness_mm
        if thickness is None:
            raise _refused(
                place, "series-no-geometry", "a slice thickness if there is one slice only", "none"
            )
        return headers, normal * thickness
    if (gaps < 0.01).any():
        raise _refused(
            place,
            "series-duplicate-position",
            "one slice at each position",
            f"{int((gaps < 0.01).sum())} position(s) with several",
        )
    usual = float(np.median(gaps))
    if np.abs(gaps - usual).max() > max(_GAP_TOLERANCE * usual, _GAP_TOLERANCE_MM):
        raise _refused(
            place,
            "series-spacing",
            "slices at equal distances",
            f"distances from {gaps.min():.2f} to {gaps.max():.2f} mm (a slice missing?)",
        )
    even = np.linspace(along[0], along[-1], len(along))
    if np.abs(along - even).max() > _GRID_TOLERANCE * usual:
        raise _refused(
            place,
            "series-spacing",
            "slices at equal distances",
            f"distances from {gaps.min():.2f} to {gaps.max():.2f} mm that add up",
        )
    drift = positions - positions[0] - np.outer(along - along[0], normal)
    allowed = np.maximum(_DRIFT_MM, _DRIFT_PER_MM * (along - along[0]))
    if (np.linalg.norm(drift, axis=1) > allowed).any():
        raise _refused(
            place,
            "series-tilted",
            "slices stacked along their normal",
            "slices that drift sideways (a tilted gantry?)",
        )
    return headers, (positions[-1] - positions[0]) / (len(headers) - 1)


def _refused(place: Path, code: str, expected: str, found: str) -> Refusal:
    return Refusal(
        code,
        place,
        expected=expected,
        found=found,
        remedy="Use the slices of one axial series, each once and nothing else; single slices can "
        "be used one by one.",
    )

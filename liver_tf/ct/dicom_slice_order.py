"""The slices of a series, in the order of their positions; pixels are read slice by slice.

File names and instance numbers do not give a reliable order; positions do (DICOM PS3.3 C.7.6.2).
Slices that can only be stacked by guessing are refused.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liver_tf.counted import counted
from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.dicom_elements import read_dataset
from liver_tf.ct.dicom_geometry import (
    axial_axes,
    directions_of,
    oblique_caution,
    stored_affine_of,
    upward_normal,
)
from liver_tf.ct.dicom_hu import refuse_implausible, stored_hu
from liver_tf.ct.dicom_slice_header import SliceHeader
from liver_tf.ct.hu_plausibility import HuHistogram
from liver_tf.ct.one_volume import (
    refuse_alternation,
    refuse_repeated_instances,
    refuse_several_origins,
)
from liver_tf.ct.orientation import canonical_affine, spacing_of, to_canonical
from liver_tf.ct.scan import SourceGrid
from liver_tf.refusals import Caution

#: Positions are stored with few decimals. A gap may differ from the usual one by this share of it,
#: and by at least this many mm.
_GAP_TOLERANCE = 0.05
_GAP_TOLERANCE_MM = 0.06
#: How far a slice may lie from its place on the even grid of the affine, as a share of the gap.
_GRID_TOLERANCE = 0.25
#: Drift of the slices across their normal, per mm along it (0.5 degrees), and at least in mm.
_DRIFT_PER_MM = 0.0087
_DRIFT_MM = 0.1
#: Pixel spacings and directions whose last digits differ are equal: at most a quarter of a pixel
#: and half a millimetre across a slice.
_SAME_SPACING = 5e-4
_SAME_DIRECTION = 1e-3


@dataclass(frozen=True)
class SliceStack:
    """The ordered slices of a series; their pixels are still in the files.

    Attributes:
      headers: Of the slices, from feet to head.
      source, affine, spacing_mm, cautions, details: As in :class:`liver_tf.ct.scan.Scan`.
    """

    headers: tuple[SliceHeader, ...]
    source: SourceGrid
    affine: np.ndarray
    spacing_mm: tuple[float, float, float]
    cautions: tuple[Caution, ...]
    details: dict[str, str]

    def slices(self) -> Iterator[np.ndarray]:
        """Yield the HU of each slice, canonical [rows, columns], from feet to head.

        int16 if all values of the slice are whole HU, else float32. The plausibility of the HU is
        checked after the last slice.
        """
        histogram = HuHistogram()
        for header in self.headers:
            hu, padding = stored_hu(read_dataset(header.path), header)
            histogram.add(hu, padding)
            yield to_canonical(hu[np.newaxis], self.source)[0]
        refuse_implausible(histogram, self.source.path)


def stack_slices(headers: Sequence[SliceHeader], place: Path) -> SliceStack:
    """Put the slices of a series in order; single stray slices are excluded with a caution.

    Args:
      headers: At least one, in any order.
      place: The folder, or a file of the series, that refusals name.

    Cautions: those of the slices, ``series-stray-slice``, ``series-parts``, ``series-rescale``.

    Raises:
      Refusal: ``series-…`` of ``docs/bad_input.md``.
    """
    series, strays = _one_series(headers, place)
    refuse_several_origins([header.origin for header in series], place)
    series, positions, step = _sorted_by_position(series, place)
    refuse_repeated_instances([header.instance_uid for header in series], place)
    parts = refuse_alternation([header.origin for header in series], place)
    first = series[0]
    grid = SourceGrid(
        "dicom-series",
        place,
        (len(series), *first.shape),
        *axial_axes(first, place),
        files=tuple(header.path for header in series),
        series_uid=first.series_uid,
        instance_uids=tuple(header.instance_uid for header in series),
        instance_numbers=tuple(header.instance_number for header in series),
        positions=positions,
    )
    affine = canonical_affine(stored_affine_of(first, slice_step=step), grid)
    cautions = [note for header in series for note in header.cautions + oblique_caution(header)]
    return SliceStack(
        headers=tuple(series),
        source=grid,
        affine=affine,
        spacing_mm=spacing_of(affine),
        cautions=tuple(dict.fromkeys(cautions)) + strays + parts + _rescale_cautions(series),
        details=first.details,
    )


def _one_series(
    headers: Sequence[SliceHeader], place: Path
) -> tuple[list[SliceHeader], tuple[Caution, ...]]:
    """The largest group of matching slices; other single slices are strays."""
    groups: list[list[SliceHeader]] = []
    for header in headers:
        group = next((group for group in groups if _match(header, group[0])), None)
        if group is None:
            groups.append([header])
        else:
            group.append(header)
    ordered = sorted(groups, key=len, reverse=True)
    main, rest = ordered[0], ordered[1:]
    if rest and (len(main) < 3 or any(len(group) > 1 for group in rest)):
        expected = "slices of one series, with the same size, spacing and orientation"
        found = f"{len(ordered)} groups, the two largest of {len(main)} and {len(rest[0])} slices"
        raise bad_input("series-mixed", place, expected, found)
    if not rest:
        return main, ()
    note = f"excluded {counted(len(rest), 'stray slice')} of another series, size or orientation"
    return main, (Caution("series-stray-slice", note),)


def _match(header: SliceHeader, other: SliceHeader) -> bool:
    """Whether two slices are of one series and grid; the last digits of numbers may differ."""
    spacing, other_spacing = header.pixel_spacing_mm, other.pixel_spacing_mm
    if (header.series_uid, header.shape) != (other.series_uid, other.shape):
        return False
    if spacing is None or other_spacing is None:
        return spacing is other_spacing
    directions, other_directions = (np.concatenate(directions_of(each)) for each in (header, other))
    return bool(
        np.allclose(spacing, other_spacing, rtol=_SAME_SPACING, atol=0)
        and np.abs(directions - other_directions).max() <= _SAME_DIRECTION
    )


def _sorted_by_position(
    headers: Sequence[SliceHeader], place: Path
) -> tuple[list[SliceHeader], np.ndarray, np.ndarray]:
    """Slices from feet to head, their positions [slices, 3], and the step between them, LPS+ mm."""
    positions = np.stack([_position_of(header, place) for header in headers])
    normal = upward_normal(headers[0])
    order = sorted(range(len(headers)), key=lambda index: float(positions[index] @ normal))
    ordered, positions = [headers[index] for index in order], positions[order]
    if len(ordered) == 1:
        thickness = ordered[0].thickness_mm
        if thickness is None:
            expected = "a slice thickness in a series of one slice"
            raise bad_input("series-no-geometry", place, expected, "none")
        return ordered, positions, normal * thickness
    along = positions @ normal
    _refuse_uneven(along, place)
    drift = positions - positions[0] - np.outer(along - along[0], normal)
    allowed = np.maximum(_DRIFT_MM, _DRIFT_PER_MM * (along - along[0]))
    if (np.linalg.norm(drift, axis=1) > allowed).any():
        found = "slices that drift sideways (a tilted gantry?)"
        raise bad_input("series-tilted", place, "slices stacked along their normal", found)
    return ordered, positions, (positions[-1] - positions[0]) / (len(ordered) - 1)


def _position_of(header: SliceHeader, place: Path) -> np.ndarray:
    if header.position is None or header.row_direction is None or not header.pixel_spacing_mm:
        expected = "position, orientation and pixel spacing in every slice"
        raise bad_input("series-no-geometry", place, expected, "a slice without one of them")
    return header.position


def _refuse_uneven(along: np.ndarray, place: Path) -> None:
    """Refuse slices at the same position or at uneven distances; ``along`` the normal in mm."""
    gaps = np.diff(along)
    if (gaps < 0.01).any():
        found = f"{counted(int((gaps < 0.01).sum()), 'position')} with several"
        raise bad_input("series-duplicate-position", place, "one slice at each position", found)
    usual = float(np.median(gaps))
    expected = "evenly spaced slices"
    spread = f"distances from {gaps.min():.2f} to {gaps.max():.2f} mm"
    if np.abs(gaps - usual).max() > max(_GAP_TOLERANCE * usual, _GAP_TOLERANCE_MM):
        raise bad_input("series-spacing", place, expected, f"{spread} (a slice missing?)")
    even = np.linspace(along[0], along[-1], len(along))
    if np.abs(along - even).max() > _GRID_TOLERANCE * usual:
        raise bad_input("series-spacing", place, expected, f"{spread} whose deviations add up")


def _rescale_cautions(headers: Sequence[SliceHeader]) -> tuple[Caution, ...]:
    """A slice with a different scale may be off by 1000 HU, which the mean HU would not reveal."""
    scales = Counter((header.slope, header.intercept) for header in headers)
    others = len(headers) - scales.most_common(1)[0][1]
    if not others:
        return ()
    note = f"{counted(others, 'slice')} with a rescale slope or intercept unlike the other slices"
    return (Caution("series-rescale", note),)

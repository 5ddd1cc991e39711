"""A single axial CT slice from a DICOM file (CT Image Storage, DICOM PS3.3 A.3)."""

from pathlib import Path

import numpy as np

from liver_tf.ct.dicom_elements import read_dataset
from liver_tf.ct.dicom_geometry import axial_axes, oblique_caution, stored_affine_of
from liver_tf.ct.dicom_hu import refuse_implausible, stored_hu
from liver_tf.ct.dicom_slice_header import check_header
from liver_tf.ct.hu_plausibility import HuHistogram
from liver_tf.ct.orientation import canonical_affine, to_canonical
from liver_tf.ct.scan import Scan, SourceGrid


def read_dicom_slice(path: Path | str) -> Scan:
    """Read an axial CT slice, ``hu`` [1, rows, columns], in canonical orientation.

    Padding (PixelPaddingValue, PixelPaddingRangeLimit) becomes air (-1000 HU). Without
    PixelSpacing, ``spacing_mm`` is None; without position or slice thickness, the affine holds NaN.

    Cautions: ``dicom-no-spacing``, ``dicom-no-orientation``, ``dicom-oblique``, ``dicom-lossy``.

    Raises:
      Refusal: ``file-…``, ``dicom-…`` and ``hu-…`` of ``docs/bad_input.md``.
    """
    path = Path(path)
    dataset = read_dataset(path)
    header = check_header(dataset, path)
    hu, padding = stored_hu(dataset, header)
    histogram = HuHistogram()
    histogram.add(hu, padding)
    refuse_implausible(histogram, path)
    positions = None
    if header.position is not None and header.row_direction is not None:
        positions = header.position[np.newaxis]
    grid = SourceGrid(
        "dicom-slice",
        path,
        (1, *header.shape),
        *axial_axes(header, path),
        files=(path,),
        series_uid=header.series_uid,
        instance_uids=(header.instance_uid,),
        instance_numbers=(header.instance_number,),
        positions=positions,
    )
    spacing = None
    if header.pixel_spacing_mm is not None:
        rows, columns = header.pixel_spacing_mm
        if grid.axes[1] == 2:
            rows, columns = columns, rows
        spacing = (
            float("nan") if header.thickness_mm is None else header.thickness_mm,
            rows,
            columns,
        )
    return Scan(
        hu=to_canonical(hu[np.newaxis], grid),
        affine=canonical_affine(stored_affine_of(header), grid),
        spacing_mm=spacing,
        source=grid,
        cautions=header.cautions + oblique_caution(header),
        details=header.details,
    )

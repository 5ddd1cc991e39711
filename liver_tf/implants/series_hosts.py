"""DICOM series as hosts of computed lesions, and writing them with a DICOM SEG."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.uid import ExplicitVRLittleEndian

from liver_tf.atomic_files import atomic_write
from liver_tf.conversion.segment_mapping import parse_segments
from liver_tf.ct.dicom_decoding import decode_pixels
from liver_tf.ct.dicom_elements import quiet_pydicom, read_dataset
from liver_tf.ct.dicom_series import folders_with_slices, read_dicom_series
from liver_tf.ct.dicom_series_search import SeriesFiles, find_series_files
from liver_tf.ct.dicom_series_with_seg import SeriesWithSeg
from liver_tf.ct.dicom_slice_header import check_header
from liver_tf.ct.implanted_mark import IMPLANTED_MARK
from liver_tf.ct.orientation import from_canonical
from liver_tf.ct.scan import Scan
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.dicom_seg_writer import write_dicom_seg
from liver_tf.labels import LESION_TYPES, LabelSet
from liver_tf.phantom.writers import stable_uid

SEG = "segmentation.dcm"


def find_series(folder: Path) -> tuple[list[Path], dict[str, SeriesFiles]]:
    """Folders with CT slices, and the series with a DICOM SEG by SeriesInstanceUID."""
    with_seg, _, _ = find_series_files(folder)
    return folders_with_slices(folder), {files.series_uid: files for files in with_seg}


def labels_of(files: SeriesFiles, names: Sequence[str]) -> np.ndarray:
    """uint8 [slices, rows, columns]: 1 liver, 2 lesions of any type.

    ``names``: the meaning of the segments, as ``--segments`` of ``build_tfrecords``.
    """
    label_set, segments = parse_segments(names, LESION_TYPES)
    mapping = {name: min(label_set.index(meaning), 2) for name, meaning in segments}
    return np.stack([labels for _, labels in SeriesWithSeg(files, mapping).slices()])


def write_series(
    folder: Path, scan: Scan, hu: np.ndarray, labels: np.ndarray, label_set: LabelSet
) -> None:
    """Write a series with changed pixels, and its DICOM SEG, into a new folder.

    Patient and study are those of the host; series and instances are new. Pixels that have not
    changed are stored as before, uncompressed.

    Args:
      scan: The host, from ``read_dicom_series``.
      hu, labels: Of the shape of ``scan.hu``.
    """
    folder.mkdir()
    before, after = (from_canonical(each, scan.source) for each in (scan.hu, hu))
    for index, path in enumerate(scan.source.files):
        _write_slice(folder / f"slice-{index:04d}.dcm", path, before[index], after[index])
    written = read_dicom_series(folder)
    write_dicom_seg(folder / SEG, labels, written, label_set, AlgorithmIdentity())


def _write_slice(target: Path, source: Path, before: np.ndarray, after: np.ndarray) -> None:
    dataset = read_dataset(source, pixels=True)
    header = check_header(dataset, source)
    stored = decode_pixels(dataset, source, frames=1)[0].astype(np.int32)
    changed = after != before
    values = np.rint((after[changed] - header.intercept) / header.slope)
    signed, bits = bool(dataset.PixelRepresentation), int(dataset.BitsStored)
    low = -(2 ** (bits - 1)) if signed else 0
    stored[changed] = np.clip(values, low, low + 2**bits - 1)
    with quiet_pydicom():
        for _ in dataset.iterall():  # decodes all elements: the byte order may change
            pass
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.BitsAllocated = 16
        dataset.PixelData = stored.astype("<i2" if signed else "<u2").tobytes()
        dataset["PixelData"].VR = "OW"
        dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
        dataset.DerivationDescription = dataset.SeriesDescription = IMPLANTED_MARK
        dataset.SeriesInstanceUID = stable_uid("implanted", header.series_uid)
        dataset.SOPInstanceUID = stable_uid("implanted", header.instance_uid)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        with atomic_write(target) as temporary:
            dataset.save_as(temporary, enforce_file_format=True)

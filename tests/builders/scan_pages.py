"""A small scan with lesions, its page, and what the page holds."""

from __future__ import annotations

import json
import re

import nibabel
import numpy as np

from liver_tf.ct.nifti_volume import read_nifti_volume
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.scan_findings import ScanFindings
from liver_tf.export.scan_page import scan_page
from liver_tf.labels import LESION_TYPES
from tests.builders.lesions import lesions_of

SLICES, ROWS, COLUMNS = 14, 60, 40
#: Rows are twice as far apart as columns, so that proportions count.
SPACING_MM = (3.0, 2.0, 1.0)


def make_scan(folder):
    """A body with a bright liver on the patient's right (the left of the picture)."""
    hu = np.full((SLICES, ROWS, COLUMNS), -1000, np.int16)
    hu[:, 5:55, 3:37] = 20
    hu[:, 15:40, 5:20] = 110
    affine = np.array([[0, 0, -1, 100], [0, -2, 0, 80], [3, 0, 0, -300], [0, 0, 0, 1]], float)
    stored = hu.transpose(2, 1, 0)
    path = folder / "CANARY_Doe.nii"
    nibabel.save(nibabel.Nifti1Image(stored, affine[:, [2, 1, 0, 3]]), path)
    return read_nifti_volume(path)


def make_labels():
    labels = np.zeros((SLICES, ROWS, COLUMNS), np.uint8)
    labels[:, 15:40, 5:20] = 1
    labels[2:5, 20:25, 8:12] = 2
    labels[3, 20:26, 8:13] = 2  # largest there
    labels[10, 30:34, 6:10] = 4
    return labels


def make_usual_labels():
    """Twelve lesions, most of them indeterminate, in slices of two digits."""
    labels = np.zeros((SLICES, ROWS, COLUMNS), np.uint8)
    labels[:, 15:40, 5:20] = 1
    indeterminate = LESION_TYPES.with_indeterminate().classes.index("indeterminate")
    for place in range(12):
        row, column = 16 + 6 * (place // 3), 6 + 5 * (place % 3)
        labels[10:14, row : row + 3, column : column + 3] = indeterminate if place else 4
    return labels


def page_of(scan, labels, title="scan-001", label_set=LESION_TYPES, liver_found=True, **more):
    """The page; ``more`` are further attributes of ``ScanFindings``."""
    lesions = lesions_of(labels, scan.hu, scan.spacing_mm, label_set)
    findings = ScanFindings(scan, labels, lesions, label_set, liver_found, **more)
    return scan_page(title, findings, AlgorithmIdentity("ab12"))


def decode_runs(runs, shape):
    """int64 [rows, columns], the inverse of ``encode_runs``."""
    flat = np.zeros(shape[0] * shape[1], np.int64)
    position = 0
    for gap, length, label in np.asarray(runs, np.int64).reshape(-1, 3):
        flat[position + gap : position + gap + length] = label
        position += gap + length
    return flat.reshape(shape)


def data_of(page):
    """The data of the page, with the pictures of each kind."""
    data = json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1]
    )
    for kind in ("fine", "wide"):
        pattern = rf'<script type="text/plain" id="{kind}">(.*?)</script>'
        data[kind] = re.search(pattern, page, re.DOTALL)[1].split("\n")
    return data

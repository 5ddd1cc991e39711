"""Lesions with identifiers that are the same in DICOM SEG and SR, JSON, CSV and on the page."""

import hashlib
from dataclasses import dataclass

import numpy as np

from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.dicom_derived import uid_of
from liver_tf.export.scan_findings import ScanFindings
from liver_tf.inference.lesion_components import LesionComponents
from liver_tf.inference.pixel_runs import PixelRuns
from liver_tf.labels import LIVER


@dataclass(frozen=True)
class TrackedLesions:
    """The lesions of a label map.

    Attributes:
      types: Class name of each lesion.
      uids: Tracking Unique Identifier of each (PS3.3 C.8.20.4, PS3.16 TID 1501). It depends on the
        scan, the weights and the lesion's voxels only, and contains no patient data.
    """

    components: LesionComponents
    types: tuple[str, ...]
    uids: tuple[str, ...]

    @classmethod
    def of(cls, findings: ScanFindings, made_by: AlgorithmIdentity) -> "TrackedLesions":
        """The lesions of a DICOM scan; other files have no identity of their own."""
        source, components = findings.scan.source, findings.components
        names = (source.series_uid, *source.instance_uids, made_by.model)
        scan = hashlib.sha256("\0".join(names).encode()).hexdigest()
        digests = _digests(components.runs, components.index, components.count)
        uids = tuple(uid_of(f"{scan} {digest}", "lesion") for digest in digests)
        return cls(components, tuple(lesion.type for lesion in findings.lesions), uids)

    @property
    def ids(self) -> list[str]:
        """Tracking Identifier of each lesion, ``lesion 1``, ...; unique within a scan only."""
        return [f"lesion {number}" for number in range(1, len(self.uids) + 1)]

    def classes_of_one_lesion(self, labels: np.ndarray) -> dict[int, int]:
        """Lesion (from 0) by label, of the classes whose voxels are exactly those of one lesion."""
        runs, index = self.components.runs, self.components.index
        values = [each[each > LIVER] for each in labels]
        count = int(labels.max(initial=0)) + 1
        keys = np.repeat(index, runs.length) * count + np.concatenate(values)
        voxels = np.bincount(keys, minlength=self.components.count * count).reshape(-1, count) > 0
        single = voxels.sum(axis=0) == 1
        whole = voxels.sum(axis=1) == 1
        pairs = np.argwhere(voxels & single & whole[:, None])
        return {label: lesion for lesion, label in pairs.tolist()}


def _digests(runs: PixelRuns, index: np.ndarray, count: int) -> list[str]:
    """A hash of the voxels of each lesion."""
    order = np.argsort(index, kind="stable")
    table = np.stack([runs.slice, runs.row, runs.start, runs.end], axis=1)[order].astype("<i8")
    parts = np.split(table, np.searchsorted(index[order], np.arange(1, max(count, 1))))
    return [hashlib.sha256(part.tobytes()).hexdigest() for part in parts[:count]]

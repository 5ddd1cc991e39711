"""The lesions of a scan as measurement groups of a DICOM SR (PS3.16 TID 1411 and 1501).

Concepts are from CID 7469 (long axis, area, volume, attenuation), CID 7464 (mean, standard
deviation, maximum) and CID 7460 to 7462 (units). Probabilities of types have private names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass

import numpy as np
import pydicom
from highdicom import sr
from pydicom.sr.codedict import codes

from liver_tf.ct.orientation import index_in_file
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.dicom_seg_codes import LESIONS, LIVER_STRUCTURE, Code, codes_of, private_code
from liver_tf.export.scan_findings import ScanFindings
from liver_tf.export.tracked_lesions import TrackedLesions
from liver_tf.inference.diameters import longest_diameters
from liver_tf.inference.lesion_properties import DetectedLesion
from liver_tf.labels import INDETERMINATE, LIVER
from liver_tf.trained_on import UNVALIDATED

#: Method of probabilities. No network is stored with a temperature that calibrates them.
UNCALIBRATED = private_code("Uncalibrated output of a network")
SITE = sr.FindingSite(sr.CodedConcept(*astuple(LIVER_STRUCTURE)))


@dataclass(frozen=True)
class MeasuredScan:
    """What the groups refer to.

    Attributes:
      slices: The elements of each slice that identify it, from the feet to the head.
      segments: Segment number by tracking UID, of lesions that are a segment of ``seg``.
      seg: The SEG without pixels; None without one.
    """

    findings: ScanFindings
    lesions: TrackedLesions
    made_by: AlgorithmIdentity
    slices: Sequence[pydicom.Dataset]
    segments: dict[str, int]
    seg: pydicom.Dataset | None

    def groups(self) -> list[pydicom.Sequence]:
        """The groups of all lesions.

        A lesion that is a segment of its own has a group for that volume (TID 1411), and its
        diameter, which has coordinates and so may not be in it, a group with the same tracking
        identifiers (TID 1501). Any other lesion has one group (TID 1501).
        """
        ends, sds = self._diameter_ends(), self._sds_of_hu()
        groups: list[pydicom.Sequence] = []
        for index, lesion in enumerate(self.findings.lesions):
            diameter = list(self._diameter(lesion, None if ends is None else ends[index]))
            others = [*_sizes(lesion), *_attenuation(lesion, sds[index]), *self._probable(lesion)]
            number = self.segments.get(self.lesions.uids[index])
            if number is None:
                groups.append(self._image_group(index, [*diameter, *others], typed=True))
                continue
            groups.append(self._volume_group(index, number, others))
            if diameter:
                groups.append(self._image_group(index, diameter, typed=False))
        return groups

    def _volume_group(
        self, index: int, number: int, measurements: list[sr.Measurement]
    ) -> pydicom.Sequence:
        assert self.seg is not None
        return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            referenced_segment=sr.ReferencedSegment(
                sop_class_uid=self.seg.SOPClassUID,
                sop_instance_uid=self.seg.SOPInstanceUID,
                segment_number=number,
                source_series=sr.SourceSeriesForSegmentation(self.slices[0].SeriesInstanceUID),
            ),
            measurements=measurements,
            qualitative_evaluations=self._evaluations(self.findings.lesions[index]),
            **self._common(index),
        )

    def _image_group(
        self, index: int, measurements: list[sr.Measurement], *, typed: bool
    ) -> pydicom.Sequence:
        lesion = self.findings.lesions[index]
        first, last = lesion.slices
        return sr.MeasurementsAndQualitativeEvaluations(
            source_images=[
                sr.SourceImageForMeasurementGroup(each.SOPClassUID, each.SOPInstanceUID)
                for each in self.slices[first : last + 1]
            ],
            measurements=measurements,
            qualitative_evaluations=self._evaluations(lesion) if typed else None,
            **self._common(index),
        )

    def _common(self, index: int) -> dict[str, object]:
        lesion, made_by = self.findings.lesions[index], self.made_by
        known = self._typed and not self._unvalidated
        finding = codes_of(lesion.type).type if known else LESIONS["lesion"]
        return {
            "tracking_identifier": sr.TrackingIdentifier(
                self.lesions.uids[index], self.lesions.ids[index]
            ),
            "finding_type": _coded(finding),
            "finding_sites": [SITE],
            "algorithm_id": sr.AlgorithmIdentification(
                made_by.name,
                made_by.version,
                [f"weights {made_by.model}"] if made_by.model else None,
            ),
        }

    @property
    def _typed(self) -> bool:
        return self.findings.label_set.has_types

    @property
    def _unvalidated(self) -> bool:
        return self.findings.trained_on.types_unvalidated

    def _named(self, text: str) -> sr.CodedConcept:
        """A private concept about types; its meaning states if they are not validated."""
        note = f" ({UNVALIDATED})" if self._unvalidated else ""
        return _coded(private_code(text, note))

    def _evaluations(self, lesion: DetectedLesion) -> list[sr.QualitativeEvaluation] | None:
        if not self._typed:
            return None
        name = lesion.most_likely_type  # some viewers show values without their names
        likely = self._named(name) if self._unvalidated else _coded(codes_of(name).type)
        evaluations = [sr.QualitativeEvaluation(self._named("Most likely type"), likely)]
        if lesion.type == INDETERMINATE:
            below = _coded(private_code("Indeterminate: below the threshold of probability"))
            evaluations.append(sr.QualitativeEvaluation(self._named("Type"), below))
        return evaluations

    def _probable(self, lesion: DetectedLesion) -> Iterator[sr.Measurement]:
        percent, method = codes.UCUM.Percent, _coded(UNCALIBRATED)
        share = round(100 * lesion.lesion_probability, 2)
        yield sr.Measurement(codes.DCM.CertaintyOfFinding, share, percent, method=method)
        if self._typed:
            for name, share in lesion.type_probabilities.items():
                concept = self._named(f"Probability of {name}")
                yield sr.Measurement(concept, round(100 * share, 2), percent, method=method)

    def _diameter(
        self, lesion: DetectedLesion, ends: np.ndarray | None
    ) -> Iterator[sr.Measurement]:
        if ends is None or lesion.diameter_slice is None or lesion.longest_diameter_mm is None:
            return
        place = self.slices[lesion.diameter_slice]
        line = sr.CoordinatesForMeasurement(
            sr.GraphicTypeValues.POLYLINE,
            ends,
            sr.SourceImageForRegion(place.SOPClassUID, place.SOPInstanceUID),
        )
        yield sr.Measurement(
            codes.SCT.LongAxis,
            lesion.longest_diameter_mm,
            codes.UCUM.Millimeter,
            referenced_coordinates=[line],
        )

    def _diameter_ends(self) -> np.ndarray | None:
        """Ends of the diameters as in an SCOORD: (column, row) from the corner of a stored slice.

        float64 [lesions, 2, 2]; the centre of the first pixel is (0.5, 0.5) (PS3.3 C.18.6.1.1).
        """
        pixel_mm, components = self.findings.pixel_mm, self.lesions.components
        if pixel_mm is None or not np.isfinite(pixel_mm).all():
            return None
        _, where, ends = longest_diameters(
            components.runs, components.index, components.count, pixel_mm
        )
        slices = np.repeat(where, 2)[:, None]
        corners = np.concatenate([slices, ends.reshape(-1, 2) - 0.5], axis=1)
        stored = index_in_file(corners, self.findings.scan.source)[:, 1:] + 0.5
        return stored[:, ::-1].reshape(-1, 2, 2)

    def _sds_of_hu(self) -> np.ndarray:
        """Standard deviation (n) of the HU of each lesion's voxels."""
        components, scan = self.lesions.components, self.findings.scan
        of_lesions = (labels > LIVER for labels in self.findings.labels)
        hu = np.concatenate([each[of] for each, of in zip(scan.hu, of_lesions, strict=True)])
        lesion = np.repeat(components.index, components.runs.length)
        voxels = components.voxels()
        means = np.bincount(lesion, hu, components.count) / voxels
        squares = np.bincount(lesion, (hu - means[lesion]) ** 2, components.count)
        return np.sqrt(squares / voxels)


def _sizes(lesion: DetectedLesion) -> Iterator[sr.Measurement]:
    if lesion.volume_ml is not None:
        yield sr.Measurement(codes.SCT.Volume, lesion.volume_ml, codes.UCUM.CubicCentimeter)
    if lesion.area_mm2 is not None:
        yield sr.Measurement(
            *(codes.SCT.Area, lesion.area_mm2, codes.UCUM.SquareMillimeter),
            derivation=codes.SCT.Maximum,
        )


def _attenuation(lesion: DetectedLesion, sd: float) -> Iterator[sr.Measurement]:
    derived = ((lesion.mean_hu, codes.SCT.Mean), (sd, codes.SCT.StandardDeviation))
    for hu, derivation in derived:
        yield sr.Measurement(
            *(codes.DCM.XRayAttenuation, round(float(hu), 1), codes.UCUM.HounsfieldUnit),
            derivation=derivation,
        )


def _coded(code: Code) -> sr.CodedConcept:
    return sr.CodedConcept(*astuple(code))

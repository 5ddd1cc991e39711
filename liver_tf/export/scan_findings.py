"""The findings of the cascade in a scan, and the status of the scan."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from liver_tf.ct.scan import Scan
from liver_tf.inference.lesion_components import LesionComponents
from liver_tf.inference.lesion_properties import DetectedLesion, diagnosis
from liver_tf.labels import INDETERMINATE, LabelSet
from liver_tf.refusals import Caution
from liver_tf.trained_on import NOT_STORED, CascadeTrainedOn

#: Status in tables and JSON. "No liver" is separate because it does not mean healthy.
LESIONS, NO_LESION, NO_LIVER = "lesions-found", "no-lesion-found", "no-liver-found"

NO_LIVER_TITLE = "no liver found: not the same as a healthy liver"
NO_LIVER_WARNING = (
    "The liver network found no liver, so the scan was not searched for lesions. Check that the "
    "scan shows the liver, is in Hounsfield units and has the correct orientation; treat it as not "
    "examined."
)


def significant(value: float) -> str:
    """A size with two significant digits; whole numbers from 10 on."""
    mantissa, exponent = f"{value:.1e}".split("e")
    decimals = max(0, 1 - int(exponent)) if float(mantissa) else 0
    return f"{value:.{decimals}f}"


@dataclass(frozen=True)
class ScanFindings:
    """A scan with its label map and lesions.

    Attributes:
      labels: uint8 [slices, rows, columns], canonical, of the shape of ``scan.hu``.
      lesions: The lesions in the label map, from ``find_lesions``.
      voxel_diagnosis: ``diagnosis`` of the label map of the networks; empty if it is ``labels``.
      liver_found: False if the liver network found no liver; no lesions were then searched for.
      trained_on: What the networks learned from.
      cautions: About liver and findings, see ``liver_plausibility``, ``lesion_plausibility``.

    Raises:
      ValueError: ``labels`` or ``lesions`` do not match the scan.
    """

    scan: Scan
    labels: np.ndarray
    lesions: Sequence[DetectedLesion]
    label_set: LabelSet
    liver_found: bool = True
    trained_on: CascadeTrainedOn = NOT_STORED
    cautions: tuple[Caution, ...] = ()
    voxel_diagnosis: str = ""

    def __post_init__(self) -> None:
        if self.labels.shape != self.scan.hu.shape:
            raise ValueError(
                f"labels: expected the shape {self.scan.hu.shape}, found {self.labels.shape}"
            )
        if self.components.count != len(self.lesions):
            raise ValueError(
                f"lesions: expected the {self.components.count} of the label map, "
                f"found {len(self.lesions)}"
            )

    @cached_property
    def components(self) -> LesionComponents:
        return LesionComponents.of_labels(self.labels)

    @cached_property
    def diagnosis(self) -> str:
        """The majority class among the lesion voxels of the networks' label map, or ``healthy``."""
        return self.voxel_diagnosis or diagnosis(self.labels, self.label_set)

    def with_one_type_per_lesion(self) -> "ScanFindings":
        """The same findings; every voxel of a lesion has the lesion's type in the label map.

        The last class of the label set is then ``indeterminate``. ``labels`` change in place.
        """
        label_set = self.label_set.with_indeterminate()
        types = np.array([label_set.index(each.type) for each in self.lesions], np.uint8)
        before = self.diagnosis
        self.components.paint(self.labels, types)
        return replace(self, label_set=label_set, voxel_diagnosis=before)

    @property
    def status(self) -> str:
        """``lesions-found``, ``no-lesion-found`` or ``no-liver-found``."""
        if self.lesions:
            return LESIONS
        return NO_LESION if self.liver_found else NO_LIVER

    @property
    def headline(self) -> str:
        """The findings by type and the largest diameter, in one line.

        For example ``3 findings: 2 hemangioma, 1 indeterminate; largest 105 mm``; without types
        ``3 lesions; largest 105 mm``.
        """
        if self.status == NO_LIVER:
            return NO_LIVER_TITLE
        if not self.lesions:
            return "no lesion found"
        counts = Counter(lesion.type for lesion in self.lesions)
        order = self.label_set.with_indeterminate().lesions
        types = sorted(
            counts, key=lambda name: (name == INDETERMINATE, -counts[name], order.index(name))
        )
        diameters = [lesion.longest_diameter_mm for lesion in self.lesions]
        known = [mm for mm in diameters if mm is not None]
        typed = self.label_set.has_types
        if len(self.lesions) == 1:
            text = f"1 finding: {types[0]}" if typed else "1 lesion"
            return text + (f", {significant(known[0])} mm" if known else "")
        listed = ", ".join(f"{counts[name]} {name}" for name in types)
        number = len(self.lesions)
        text = f"{number} findings: {listed}" if typed else f"{number} lesions"
        return text + (f"; largest {significant(max(known))} mm" if known else "")

    @property
    def pixel_mm(self) -> tuple[float, float] | None:
        """(row, column) spacing; None if unknown."""
        return self.scan.spacing_mm and self.scan.spacing_mm[1:]

"""HU of each tissue, depending on contrast enhancement and liver fat."""

from dataclasses import dataclass

import numpy as np

from liver_tf.phantom.random_streams import clipped_normal

AIR_HU = -1000.0
LUNG_HU = -850.0


def _enhancing(native_hu: float, enhancement_hu: float) -> property:
    return property(lambda tissues: native_hu + enhancement_hu * tissues.phase)


@dataclass(frozen=True)
class Tissues:
    """Portal-venous attenuation in HU of a patient's tissues.

    Attributes:
      phase: scales all enhancement; typically 1.
      fat_infiltration_hu: HU decrease of a fatty liver.
    """

    phase: float
    fat_infiltration_hu: float
    fat: float = -104.0
    bile: float = 10.0

    #: Portal vein, hepatic veins and vena cava.
    blood = _enhancing(45, 120)
    aorta = _enhancing(42, 112)
    spleen = _enhancing(52, 70)
    kidney_cortex = _enhancing(40, 150)
    kidney_medulla = _enhancing(40, 115)
    pancreas = _enhancing(42, 55)
    gut_wall = _enhancing(40, 48)
    heart_muscle = _enhancing(48, 62)
    muscle = _enhancing(54, 9)

    @property
    def liver(self) -> float:
        return max(56 + 63 * self.phase - self.fat_infiltration_hu, 55.0)

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Tissues":
        """Draw a phase of 0.65 to 1.55 and liver fat: one patient in four has a fatty liver."""
        phase = clipped_normal(rng, 1.15, 0.22, 0.65, 1.55)
        fatty = rng.random() < 0.25
        fat = rng.uniform(12, 45) if fatty else abs(rng.normal(0, 4))
        return cls(phase, float(fat))

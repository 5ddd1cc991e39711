"""HU of each tissue, depending on contrast enhancement and liver fat."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from liver_tf.phantom.random_streams import clipped_normal

AIR_HU = -1000.0
LUNG_HU = -850.0


def _enhancing(name: str, native_hu: float, enhancement_hu: float) -> property:
    return property(
        lambda tissues: (
            native_hu + enhancement_hu * tissues.phase + tissues.deviations_hu.get(name, 0.0)
        )
    )


@dataclass(frozen=True)
class Tissues:
    """Portal-venous attenuation in HU of a patient's tissues.

    Attributes:
      phase: scales all enhancement; typically 1.
      fat_infiltration_hu: HU decrease of a fatty liver.
      lowest_liver_hu: HU below which fat does not bring the liver.
      deviations_hu: by tissue, the difference to what the phase gives.
    """

    phase: float
    fat_infiltration_hu: float
    fat: float = -104.0
    bile: float = 10.0
    lowest_liver_hu: float = 55.0
    deviations_hu: Mapping[str, float] = field(default_factory=dict)

    #: Portal vein, hepatic veins and vena cava.
    blood = _enhancing("blood", 45, 120)
    aorta = _enhancing("aorta", 42, 112)
    spleen = _enhancing("spleen", 52, 70)
    kidney_cortex = _enhancing("kidney_cortex", 40, 150)
    kidney_medulla = _enhancing("kidney_medulla", 40, 115)
    pancreas = _enhancing("pancreas", 42, 55)
    gut_wall = _enhancing("gut_wall", 40, 48)
    heart_muscle = _enhancing("heart_muscle", 48, 62)
    muscle = _enhancing("muscle", 54, 9)

    @property
    def liver(self) -> float:
        return max(56 + 63 * self.phase - self.fat_infiltration_hu, self.lowest_liver_hu)

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Tissues":
        """Draw a phase of 0.65 to 1.55 and liver fat: one patient in four has a fatty liver."""
        phase = clipped_normal(rng, 1.15, 0.22, 0.65, 1.55)
        fatty = rng.random() < 0.25
        fat = rng.uniform(12, 45) if fatty else abs(rng.normal(0, 4))
        return cls(phase, float(fat))

    @classmethod
    def draw_varied(cls, rng: np.random.Generator) -> "Tissues":
        """Draw any phase, with an independent deviation of every organ; livers from 0 to 150 HU."""
        phase = 0.0 if rng.random() < 0.2 else float(rng.uniform(0.2, 1.6))
        arterial = rng.random() < 0.25
        deviations = {
            name: float(rng.uniform(-1, 1)) * (8 + most * phase) for name, most in _DEVIATIONS
        }
        if arterial:
            deviations |= {"aorta": rng.uniform(80, 220), "blood": -70 * phase}
        fat = rng.uniform(10, 70) if rng.random() < 0.3 else rng.normal(0, 12 + 6 * phase)
        fat += 35 * phase * arterial
        return cls(phase, float(fat), lowest_liver_hu=0.0, deviations_hu=deviations)


#: Largest deviation of a tissue per unit of phase.
_DEVIATIONS = (
    ("blood", 30),
    ("aorta", 40),
    ("spleen", 22),
    ("kidney_cortex", 40),
    ("kidney_medulla", 45),
    ("pancreas", 20),
    ("gut_wall", 20),
    ("heart_muscle", 20),
    ("muscle", 6),
)

"""HU of each tissue for a patient's phase of contrast and liver fat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liver_tf.phantom.random_streams import clipped_normal

AIR_HU = -1000.0
LUNG_HU = -850.0


@dataclass(frozen=True)
class Tissues:
    """Portal-venous attenuation in HU; ``phase`` scales all enhancement together (1 is usual)."""

    phase: float
    fat_infiltration_hu: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Tissues:
        """Phase 0.65 to 1.55; one patient in four has a fatty liver, up to 45 HU darker."""
        phase = clipped_normal(rng, 1.15, 0.22, 0.65, 1.55)
        fatty = rng.random() < 0.25
        fat = rng.uniform(12, 45) if fatty else abs(rng.normal(0, 4))
        return cls(phase, float(fat))

    @property
    def liver(self) -> float:
        return max(56 + 63 * self.phase - self.fat_infiltration_hu, 55.0)

    @property
    def blood(self) -> float:
        """Portal and hepatic veins, vena cava."""
        return 45 + 120 * self.phase

    @property
    def aorta(self) -> float:
        return 42 + 112 * self.phase

    @property
    def spleen(self) -> float:
        return 52 + 70 * self.phase

    @property
    def kidney_cortex(self) -> float:
        return 40 + 150 * self.phase

    @property
    def kidney_medulla(self) -> float:
        return 40 + 115 * self.phase

    @property
    def pancreas(self) -> float:
        return 42 + 55 * self.phase

    @property
    def gut_wall(self) -> float:
        return 40 + 48 * self.phase

    @property
    def heart_muscle(self) -> float:
        return 48 + 62 * self.phase

    @property
    def muscle(self) -> float:
        return 54 + 9 * self.phase

    fat: float = -104.0
    bile: float = 10.0

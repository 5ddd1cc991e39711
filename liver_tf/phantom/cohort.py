"""Which patients there are, with which lesions, seen in which slices. Nothing is painted here.

Every patient is drawn from a stream of its own, a function of the seed, the cohort's name and the
patient's index: patient 17 is the same in a cohort of 20 and in one of 140.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liver_tf.phantom.anatomy import SURVEY_MM, Level, Patient, lesion_area_mm2
from liver_tf.phantom.lesions import PhantomLesion, draw_forms, draw_look, draw_number
from liver_tf.phantom.random_streams import stream
from liver_tf.phantom.scanner import Scanner

#: Slices by diagnosis in the paper's set of 140 patients (section "Data").
PAPER_SLICES = {"cyst": 75, "hemangioma": 71, "metastasis": 93, "healthy": 93}
#: How this phantom deals the 140 patients out; the paper does not tell.
PAPER_PATIENTS = {"cyst": 32, "hemangioma": 30, "metastasis": 39, "healthy": 39}
FULL_COHORT = 140

#: Least area of lesion and of liver in a slice of the typed set.
MIN_LESION_MM2, MIN_LIVER_MM2 = 45.0, 4500.0
#: One LiTS-like volume in ten has no tumour (13 of 131 in LiTS).
TUMOUR_FREE_EVERY = 10
MOST_IN_VOLUME = 8


@dataclass(frozen=True)
class Member:
    """A patient of the typed cohort: index, diagnosis and number of slices."""

    index: int
    diagnosis: str
    slices: int


@dataclass(frozen=True)
class PhantomScan:
    """A patient ready to be imaged.

    Attributes:
      patient, lesions, scanner: what is imaged and how.
      heights_mm: heights of the slices' centres along the body, rising.
    """

    patient: Patient
    lesions: tuple[PhantomLesion, ...]
    scanner: Scanner
    heights_mm: tuple[float, ...]


def typed_cohort(seed: int, patients: int) -> list[Member]:
    """The typed cohort's patients; with 140 the counts are the paper's.

    Every prefix keeps the proportions as well as whole patients allow.
    """
    given = dict.fromkeys(PAPER_PATIENTS, 0)
    members = []
    for index in range(patients):
        due = {
            name: share * (index + 1) / FULL_COHORT - given[name]
            for name, share in PAPER_PATIENTS.items()
        }
        diagnosis = max(due, key=due.__getitem__)
        nth = given[diagnosis]
        given[diagnosis] += 1
        before, after = (_slices_up_to(seed, diagnosis, n) for n in (nth, nth + 1))
        members.append(Member(index, diagnosis, after - before))
    return members


def _slices_up_to(seed: int, diagnosis: str, patients: int) -> int:
    """Slices of a diagnosis' first patients together: the paper's mean, unevenly dealt."""
    full = PAPER_PATIENTS[diagnosis]
    even = round(patients * PAPER_SLICES[diagnosis] / full)
    # Every second sum is shifted by one slice up or down, so that patients have 1 to 4 slices.
    if patients % 2 == 0 or patients % full == 0:
        return even
    return even + int(stream(seed, "slices", diagnosis, patients).integers(-1, 2))


def typed_study(seed: int, member: Member) -> PhantomScan:
    """Draw a patient of the typed cohort with lesions and slices."""
    draw = stream(seed, "sheba", member.index, "patient")
    patient = Patient.draw(draw)
    scanner = Scanner.draw(draw, patient, thickness_mm=float(draw.choice([3.0, 4.0, 5.0])))
    points, depth_mm = patient.liver_points()
    forms, levels = (), None
    # Forms and slices are drawn for healthy patients too and the lesions dropped afterwards, so
    # that neither the height of a slice nor the liver's share of it carries the diagnosis.
    for attempt in range(60):
        rng = stream(seed, "sheba", member.index, "forms", attempt)
        forms = draw_forms(rng, draw_number(rng, most=4), points, depth_mm)
        levels = _choose_levels(rng, patient, forms, member.slices)
        if levels is not None:
            break
    if levels is None:
        raise RuntimeError(
            f"phantom patient {member.index}: no {member.slices} slices with liver and lesion "
            "found in 60 attempts; take another seed"
        )
    rng = stream(seed, "sheba", member.index, "looks")
    lesions = ()
    if member.diagnosis != "healthy":
        lesions = tuple(
            PhantomLesion(
                f, draw_look(rng, member.diagnosis, patient.tissues, 2 * f.mean_radius_mm)
            )
            for f in forms
        )
    return PhantomScan(patient, lesions, scanner, tuple(level.z_mm for level in levels))


def _choose_levels(
    rng: np.random.Generator, patient: Patient, forms: tuple, wanted: int
) -> list[Level] | None:
    """Survey planes with enough liver and lesion, chosen by lesion area; None where too few."""
    scale = float(np.sqrt(patient.habitus.scale[0] * patient.habitus.scale[1]))
    candidates, weights = [], []
    for level in patient.survey:
        if level.liver_area_mm2 * scale**2 < MIN_LIVER_MM2:
            continue
        area = lesion_area_mm2(level, forms, scale)
        if area >= MIN_LESION_MM2:
            candidates.append(level)
            weights.append(np.sqrt(area))
    if len(candidates) < wanted:
        return None
    share = np.array(weights) / np.sum(weights)
    chosen = rng.choice(len(candidates), size=wanted, replace=False, p=share)
    return [candidates[i] for i in sorted(chosen)]


def volume_has_tumour(seed: int, index: int) -> bool:
    """Whether a LiTS-like volume has lesions: one of every ten consecutive volumes has none."""
    block = index // TUMOUR_FREE_EVERY
    return index % TUMOUR_FREE_EVERY != int(
        stream(seed, "lits", "tumour-free", block).integers(TUMOUR_FREE_EVERY)
    )


def volume_study(seed: int, index: int, slices: int) -> PhantomScan:
    """Draw a patient of the LiTS-like cohort; the slices cover the liver and a little beyond."""
    draw = stream(seed, "lits", index, "patient")
    patient = Patient.draw(draw)
    heights = [level.z_mm for level in patient.survey if level.liver_area_mm2 > 0]
    low, high = min(heights) - SURVEY_MM / 2, max(heights) + SURVEY_MM / 2
    beyond = 1 + slices // 32
    step = max((high - low) / max(slices - 2 * beyond, 1), 2.0)
    first = (low + high) / 2 - step * (slices - 1) / 2
    scanner = Scanner.draw(draw, patient, thickness_mm=float(step))
    lesions = ()
    if volume_has_tumour(seed, index):
        rng = stream(seed, "lits", index, "lesions")
        points, depth_mm = patient.liver_points()
        forms = draw_forms(rng, int(rng.integers(1, MOST_IN_VOLUME + 1)), points, depth_mm)
        lesions = tuple(
            PhantomLesion(f, draw_look(rng, "hypodense", patient.tissues, 2 * f.mean_radius_mm))
            for f in forms
        )
    return PhantomScan(patient, lesions, scanner, tuple(first + step * k for k in range(slices)))

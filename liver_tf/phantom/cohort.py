"""The cohorts: patients, their lesions and the slices to be imaged.

Each patient has a separate random stream: patient 17 is the same in cohorts of 20 and of 140.
"""

from dataclasses import dataclass

import numpy as np

from liver_tf.phantom.anatomy import SURVEY_MM, Level, Patient, lesion_area_mm2
from liver_tf.phantom.lesions import Form, PhantomLesion, draw_forms, draw_look, draw_number
from liver_tf.phantom.phantom_plan import PLAIN, VARIED
from liver_tf.phantom.random_streams import stream
from liver_tf.phantom.scanner import Scanner

#: Slices by diagnosis in the paper's set of 140 patients (section "Data").
PAPER_SLICES = {"cyst": 75, "hemangioma": 71, "metastasis": 93, "healthy": 93}
#: Patients by diagnosis in this phantom; the paper does not report them.
PAPER_PATIENTS = {"cyst": 32, "hemangioma": 30, "metastasis": 39, "healthy": 39}
FULL_COHORT = 140

#: Minimum area of lesion and of liver in a slice of the typed set.
MIN_LESION_MM2, MIN_LIVER_MM2 = 45.0, 4500.0
#: One LiTS-like volume in ten has no tumour (13 of 131 in LiTS).
TUMOUR_FREE_EVERY = 10
MOST_IN_VOLUME = 8
#: Distances of reconstructed slices in one scan.
STEPS_MM = (1.25, 2.5, 3.0, 5.0)


@dataclass(frozen=True)
class Member:
    """A patient of the typed cohort."""

    index: int
    diagnosis: str
    slices: int


@dataclass(frozen=True)
class PhantomScan:
    """A patient ready to be imaged; ``heights_mm`` are those of the slice centres, ascending."""

    patient: Patient
    lesions: tuple[PhantomLesion, ...]
    scanner: Scanner
    heights_mm: tuple[float, ...]


def typed_cohort(seed: int, patients: int, first: int = 0) -> list[Member]:
    """Patients of the typed cohort, numbered from ``first``; 140 give the paper's slice counts.

    A smaller cohort is a prefix of a larger one, with proportions as close as possible.
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
        members.append(Member(first + index, diagnosis, after - before))
    return members


def _slices_up_to(seed: int, diagnosis: str, patients: int) -> int:
    """Cumulative slices of the first patients of a diagnosis; their mean is the paper's."""
    full = PAPER_PATIENTS[diagnosis]
    even = round(patients * PAPER_SLICES[diagnosis] / full)
    # Every second sum moves by up to one slice, so that patients have 1 to 4 slices.
    if patients % 2 == 0 or patients % full == 0:
        return even
    return even + int(stream(seed, "slices", diagnosis, patients).integers(-1, 2))


def typed_study(seed: int, member: Member, anatomy: str = PLAIN) -> PhantomScan:
    """Draw a patient of the typed cohort with its lesions and slices."""
    draw = stream(seed, "sheba", member.index, "patient")
    patient = Patient.draw(draw, anatomy)
    draw_scanner = Scanner.draw_varied if anatomy == VARIED else Scanner.draw
    scanner = draw_scanner(draw, patient, thickness_mm=float(draw.choice([3.0, 4.0, 5.0])))
    points, depth_mm = patient.liver_points()
    # Healthy patients get lesion forms too, which are dropped after the slices are chosen.
    # Otherwise slice height and liver area would reveal the diagnosis.
    for attempt in range(60):
        rng = stream(seed, "sheba", member.index, "forms", attempt)
        forms = draw_forms(
            rng, draw_number(rng, most=4), points, depth_mm, patient.liver.vessel_distance
        )
        levels = _choose_levels(rng, patient, forms, member.slices)
        if levels is not None:
            break
    else:
        raise RuntimeError(
            f"phantom patient {member.index}: no {member.slices} slices with liver and lesion "
            "found in 60 attempts; use another seed"
        )
    lesions: tuple[PhantomLesion, ...] = ()
    if member.diagnosis != "healthy":
        rng = stream(seed, "sheba", member.index, "looks")
        lesions = _lesions(rng, member.diagnosis, patient, forms)
    return PhantomScan(patient, lesions, scanner, tuple(level.z_mm for level in levels))


def neighbour_heights(
    seed: int, member: Member, study: PhantomScan, number: int
) -> list[list[float]]:
    """Heights in mm of ``number`` slices next to each slice of a typed patient.

    They are above and below in turn, a whole number of steps away; one of ``STEPS_MM`` is drawn for
    the patient. A place closer than the smallest step to another slice is left out.
    """
    step_mm = float(stream(seed, "sheba", member.index, "neighbours").choice(STEPS_MM))
    taken = set(study.heights_mm)
    heights = []
    for height in study.heights_mm:
        steps = [(k // 2 + 1) * (1 - k % 2 * 2) for k in range(number)]
        near = [height + k * step_mm for k in steps]
        near = [z for z in near if all(abs(z - other) > 0.99 * STEPS_MM[0] for other in taken)]
        taken |= set(near)
        heights.append(near)
    return heights


def _choose_levels(
    rng: np.random.Generator, patient: Patient, forms: tuple[Form, ...], number: int
) -> list[Level] | None:
    """Choose survey planes, weighted by lesion area; None if too few are suitable."""
    scale = float(np.sqrt(patient.habitus.scale[0] * patient.habitus.scale[1]))
    areas_mm2 = [level.liver_area_mm2 * scale**2 for level in patient.survey]
    # A resected liver may be smaller than the minimum in every slice.
    least_mm2 = min(MIN_LIVER_MM2, 0.6 * max(areas_mm2))
    candidates, weights = [], []
    for level, area_mm2 in zip(patient.survey, areas_mm2, strict=True):
        if area_mm2 < least_mm2:
            continue
        area = lesion_area_mm2(level, forms, scale)
        if area >= MIN_LESION_MM2:
            candidates.append(level)
            weights.append(np.sqrt(area))
    if len(candidates) < number:
        return None
    share = np.array(weights) / np.sum(weights)
    chosen = rng.choice(len(candidates), size=number, replace=False, p=share)
    return [candidates[i] for i in sorted(chosen)]


def volume_has_tumour(seed: int, index: int) -> bool:
    """Whether a LiTS-like volume has lesions; one of every ten consecutive volumes has none."""
    block = index // TUMOUR_FREE_EVERY
    return index % TUMOUR_FREE_EVERY != int(
        stream(seed, "lits", "tumour-free", block).integers(TUMOUR_FREE_EVERY)
    )


def volume_study(seed: int, index: int, slices: int, anatomy: str = PLAIN) -> PhantomScan:
    """Draw a patient of the LiTS-like cohort.

    The slices cover the liver with a small margin, in the varied anatomy with any margin.
    """
    draw = stream(seed, "lits", index, "patient")
    patient = Patient.draw(draw, anatomy)
    heights = [level.z_mm for level in patient.survey if level.liver_area_mm2 > 0]
    low, high = min(heights) - SURVEY_MM / 2, max(heights) + SURVEY_MM / 2
    if anatomy == VARIED:
        low, high = low - draw.uniform(0, 90), high + draw.uniform(0, 60)
    beyond = 1 + slices // 32
    step = max((high - low) / max(slices - 2 * beyond, 1), 2.0)
    first = (low + high) / 2 - step * (slices - 1) / 2
    draw_scanner = Scanner.draw_varied if anatomy == VARIED else Scanner.draw
    scanner = draw_scanner(draw, patient, thickness_mm=float(step))
    lesions: tuple[PhantomLesion, ...] = ()
    if volume_has_tumour(seed, index):
        rng = stream(seed, "lits", index, "lesions")
        points, depth_mm = patient.liver_points()
        number = int(rng.integers(1, MOST_IN_VOLUME + 1))
        forms = draw_forms(rng, number, points, depth_mm, patient.liver.vessel_distance)
        lesions = _lesions(rng, "untyped", patient, forms)
    return PhantomScan(patient, lesions, scanner, tuple(first + step * k for k in range(slices)))


def _lesions(
    rng: np.random.Generator, kind: str, patient: Patient, forms: tuple[Form, ...]
) -> tuple[PhantomLesion, ...]:
    return tuple(
        PhantomLesion(form, draw_look(rng, kind, patient.tissues, 2 * form.mean_radius_mm))
        for form in forms
    )

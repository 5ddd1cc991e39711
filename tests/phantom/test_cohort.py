"""The cohorts have the paper's counts, and a patient is the same in every cohort."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from liver_tf.phantom.cohort import (
    MIN_LIVER_MM2,
    typed_cohort,
    typed_study,
    volume_has_tumour,
    volume_study,
)
from liver_tf.phantom.phantom_plan import PhantomPlan
from liver_tf.phantom.random_streams import stream
from liver_tf.refusals import Refusal


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_full_cohort_has_the_papers_counts(seed):
    members = typed_cohort(seed, 140)
    slices = Counter()
    for member in members:
        slices[member.diagnosis] += member.slices
    assert slices == {"cyst": 75, "hemangioma": 71, "metastasis": 93, "healthy": 93}
    assert len({member.index for member in members}) == 140
    assert {member.slices for member in members} <= {1, 2, 3, 4}


def test_a_smaller_cohort_is_a_prefix_of_a_larger_one_with_the_same_proportions():
    small, large = typed_cohort(0, 60), typed_cohort(0, 140)
    assert large[:60] == small
    by_type = Counter(member.diagnosis for member in small)
    assert by_type == pytest.approx(
        {"cyst": 60 * 75 / 332, "hemangioma": 60 * 71 / 332, "metastasis": 60 * 93 / 332,
         "healthy": 60 * 93 / 332},
        abs=1.5,
    )  # fmt: skip
    assert sum(member.slices for member in small) == pytest.approx(60 * 332 / 140, abs=4)


def test_one_volume_in_ten_has_no_tumour():
    assert [sum(not volume_has_tumour(s, k) for k in range(130)) for s in (0, 1)] == [13, 13]


def test_lits_and_typed_patients_differ():
    typed = typed_study(0, typed_cohort(0, 1)[0]).patient
    volume = volume_study(0, 0, 10).patient
    assert typed.tissues != volume.tissues
    assert typed.habitus.scale != volume.habitus.scale


def test_lesion_forms_do_not_depend_on_the_diagnosis():
    member = typed_cohort(0, 1)[0]
    as_cyst = typed_study(0, type(member)(member.index, "cyst", member.slices))
    as_metastasis = typed_study(0, type(member)(member.index, "metastasis", member.slices))
    as_healthy = typed_study(0, type(member)(member.index, "healthy", member.slices))
    for a, b in zip(as_cyst.lesions, as_metastasis.lesions, strict=True):
        np.testing.assert_array_equal(a.form.centre_mm, b.form.centre_mm)
        np.testing.assert_array_equal(a.form.radii_mm, b.form.radii_mm)
    assert as_cyst.heights_mm == as_metastasis.heights_mm == as_healthy.heights_mm
    assert as_healthy.lesions == ()


def test_a_test_cohort_shares_no_patient_with_a_training_cohort_of_any_seed():
    first = PhantomPlan(cohort="test").first
    drawn: set[tuple[float, ...]] = set()
    number = 0
    for seed in (0, 1, 2, 7, 123):
        for name in ("sheba", "lits"):
            for index in (*range(140), *range(first, first + 300)):
                drawn.add(tuple(stream(seed, name, index, "patient").normal(size=3)))
                number += 1
    assert len(drawn) == number
    members = typed_cohort(0, 300, first)
    assert [member.index for member in members] == list(range(first, first + 300))
    training = typed_study(0, typed_cohort(0, 1)[0])
    test = typed_study(0, members[0])
    assert training.patient.tissues != test.patient.tissues
    assert training.patient.liver.right_radii_mm != test.patient.liver.right_radii_mm


def test_training_cohorts_end_before_test_cohorts_begin():
    for name in ("patients", "lits_volumes"):
        with pytest.raises(Refusal, match="at most 10000"):
            PhantomPlan(**{name: 10_001})
    assert PhantomPlan(patients=10_000).first + 10_000 == PhantomPlan(cohort="test").first
    # A folder of a training cohort is the same as before the flag.
    assert "cohort" not in PhantomPlan().identity()
    assert PhantomPlan(cohort="test").identity()["cohort"] == "test"


def test_a_patient_with_a_small_liver_has_slices_too():
    # The liver of this patient is smaller than the minimum of usual livers in every slice.
    member = typed_cohort(0, 29)[28]
    study = typed_study(0, member, "varied")
    scale = study.patient.habitus.scale
    largest = max(level.liver_area_mm2 for level in study.patient.survey) * scale[0] * scale[1]
    assert largest < MIN_LIVER_MM2
    assert len(study.heights_mm) == member.slices

"""Images: noise has its design SD, and anatomy continues across slices."""

from __future__ import annotations

import numpy as np
import pytest

from liver_tf.phantom.anatomy import Patient
from liver_tf.phantom.cohort import volume_study
from liver_tf.phantom.random_streams import stream
from liver_tf.phantom.scanner import Scanner


def test_noise_has_sd_1_at_512_and_less_at_coarser_matrices():
    patient = Patient.draw(stream(0, "noise"))
    scanner = Scanner.draw(stream(0, "scanner"), patient, 5.0)
    fine = scanner.noise(np.random.default_rng(0), 512)
    coarse = scanner.noise(np.random.default_rng(0), 128)
    assert fine.std() == pytest.approx(1.0, abs=0.02)
    assert 0.1 < coarse.std() < 0.7
    rows, columns = fine[:, :-1], fine[:, 1:]
    assert np.corrcoef(rows.ravel(), columns.ravel())[0, 1] > 0.15


def test_anatomy_continues_from_slice_to_slice():
    study = volume_study(0, 1, 40)
    plane_labels = []
    for k in (18, 19):
        rng = stream(0, "continuity", k)
        plane_labels.append(
            study.scanner.take(rng, study.patient, study.lesions, study.heights_mm[k], 128)[1] > 0
        )
    both = (plane_labels[0] & plane_labels[1]).sum()
    assert 2 * both / (plane_labels[0].sum() + plane_labels[1].sum()) > 0.9

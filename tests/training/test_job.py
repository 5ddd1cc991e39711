"""Batches of a training job: sampling and memory of training and validation."""

import pytest

from liver_tf.records.folds import Split
from liver_tf.training.computation import Computation
from liver_tf.training.job import Job, make_plan
from liver_tf.training.protocol import SCRATCH, Protocol
from liver_tf.training.training_settings import PretrainSettings


@pytest.fixture(scope="module")
def job(record_set):
    folder, manifest = record_set
    settings = PretrainSettings.of(
        network="lesion",
        records=folder,
        run="unused",
        image_size=32,
        keep_without_lesion=0.0,
        balance="resample",
        augment_on="host",
    )
    protocol = Protocol("one", SCRATCH, (settings.schedule,))
    plan = make_plan(settings, "lesion", manifest, settings.architecture, protocol)
    cases = tuple(entry.case for entry in manifest.cases)
    return Job.of(plan, Split(cases[:5], cases[5:]), Computation())


def test_only_training_is_thinned(job):
    data = job.data(cache_mb=64)
    training, validation = data.training(4), data.validation(3)
    healthy = sum(entry.diagnosis == "healthy" for entry in job.plan.manifest.cases[:5])
    assert healthy
    assert training.slices_in(0) == 2 * (5 - healthy)
    assert validation.slices_in(0) == validation.examples == 6
    assert [images.shape[0] for images, _, _ in validation.epoch(0)] == [3, 3]


#: MiB of 10 training and 6 validation slices, 5 KiB each.
TRAINING, VALIDATION = 10 * 5 / 1024, 6 * 5 / 1024


@pytest.mark.parametrize(
    ("cache_mb", "held_mb"),
    [
        (64, (TRAINING, VALIDATION)),
        (0.05, (TRAINING, 0)),
        (0.03, (0, VALIDATION)),
        (0.02, (0, 0)),
    ],
)
def test_validation_is_held_in_the_memory_that_training_leaves(job, cache_mb, held_mb):
    data = job.data(cache_mb)
    assert (data.training(4).held_mb, data.validation(3).held_mb) == pytest.approx(held_mb)

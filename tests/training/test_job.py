"""Batches of a training job: sampling and memory of training and validation."""

import numpy as np
import pytest

from liver_tf.model.weights_file import load_arrays
from liver_tf.records.folds import Split
from liver_tf.training.computation import Computation
from liver_tf.training.finetuning import finetune
from liver_tf.training.job import Job, make_plan
from liver_tf.training.pretraining import pretrain
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


@pytest.mark.long
def test_runs_that_share_a_set_up_equal_separate_runs(record_set, tmp_path):
    """Bit for bit, whatever ran before: frozen blocks, new weights, rates by block."""
    records, _ = record_set
    options = {"records": records, "epochs": 1, "batch_size": 8, "pictures": 0}
    network = {"image_size": 32, "base_filters": 1, "network": "lesion"}
    before = pretrain(run=tmp_path / "before", validation_share=0.3, **network, **options)
    options |= {"folds_file": None, "pretrained": before, "accept_unknown_training": True}
    protocols = {
        "frozen": {"cycle": ["enc1,enc3-head"]},
        "scratch": {"cycle": ["none block_decay=0.5"], "start": "scratch"},
    }
    shared, found = {}, {}
    for name, cycles in protocols.items():
        for kept, runs in ((shared, "together"), (None, "alone")):
            run = finetune(runs=tmp_path / runs, protocol=name, shared=kept, **cycles, **options)
            found[name, runs] = load_arrays(run / "weights.npz")
    assert len(shared) == 1
    start = load_arrays(before / "weights.npz")
    for name in protocols:
        alone = found[name, "alone"]
        for weight, values in found[name, "together"].items():
            np.testing.assert_array_equal(values, alone[weight])
            head = weight.startswith("head_")  # new, also where it is frozen
            if name == "frozen" and not head:
                same = (start[weight] == values).all()
                assert same != weight.startswith("enc2_")

"""Shared fixtures: small record sets and networks, built once per session."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # One test process per core: more threads would only compete for the cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


def pytest_collection_finish():
    """Exempt what is imported by now from garbage collection: a tenth of the time went there."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_collection_modifyitems(items):
    """Files with long tests and with trainings first: no process is left with one at the end."""
    with_long = {item.path for item in items if item.get_closest_marker("long")}
    rooms = ("trainers", "training")
    items.sort(key=lambda item: (item.path not in with_long, item.path.parent.name not in rooms))


def pytest_terminal_summary(terminalreporter):
    """One line at the end if no browser looked at the pages."""
    from tests.builders.browser import MISSING, REQUIRED

    reports = terminalreporter.stats.get("skipped", [])
    skipped = sum(MISSING in str(report.longrepr) for report in reports)
    if skipped:
        terminalreporter.write_line(
            f"PAGES NOT TESTED: {skipped} browser tests skipped, {MISSING}; "
            f"{REQUIRED}=1 makes them fail.",
            yellow=True,
            bold=True,
        )


@pytest.fixture(scope="session")
def record_set(tmp_path_factory):
    """Folder and manifest of 8 patients with 2 typed slices each, 32 x 32 pixels."""
    from tests.builders import tiny_records

    folder = tmp_path_factory.mktemp("records")
    return folder, tiny_records.write_set(folder, patients=8)


@pytest.fixture(scope="session")
def make_network():
    """Makes an untrained network of 32 x 32 pixels; ``favoured`` adds to the bias of classes."""
    from liver_tf.inference.trained_network import TrainedNetwork
    from liver_tf.labels import LESION_TYPES, LIVER_ONLY
    from liver_tf.model import unet
    from liver_tf.model.architecture import Architecture
    from liver_tf.model.description import Description

    def make(kind, *, filters=2, seed=1, favoured=None, class_weights=None, precision="float32"):
        label_set = LIVER_ONLY if kind == "liver" else LESION_TYPES
        architecture = Architecture(32, filters, len(label_set))
        model = unet.build(architecture, seed, precision=precision)
        if favoured is not None:
            model.get_layer("head_logits").bias.assign(favoured)
        roi = None
        if kind == "lesion":
            roi = {"rule": {"margin_mm": 5.0, "least_side_mm": 10.0, "extent": "slice"}}
        description = Description(
            *(kind, architecture, label_set, (-160, 240), 100.0, 30.0, "0" * 64, roi),
            class_weights=class_weights,
        )
        return TrainedNetwork(model, description)

    return make


@pytest.fixture(scope="session")
def save_runs(make_network):
    """Writes untrained networks as finished runs: ``liver``, and ``one`` and ``two`` of lesions."""
    from liver_tf.model.weights_file import save_weights

    def save(folder):
        for name, kind, seed in (("liver", "liver", 1), ("one", "lesion", 1), ("two", "lesion", 2)):
            network = make_network(kind, seed=seed)
            network.description.save(folder / name)
            save_weights(folder / name / "weights.npz", network.model)
        return folder

    return save


@pytest.fixture(scope="session")
def intensity_cascade():
    """Makes a cascade whose networks know each class by its HU alone, so that truth is known.

    Each pixel gets the class with the nearest mean HU; of liver is whatever is above 75 HU. Equal
    arguments give the same cascade, whose graphs are traced already; it is not to be changed.
    ``outline`` are the means of an outline network.
    """
    import functools

    import keras
    import numpy as np

    from liver_tf.inference.cascade import Cascade
    from liver_tf.inference.liver_finder import LiverFinder
    from liver_tf.inference.trained_network import TrainedNetwork
    from liver_tf.labels import LESION_TYPES, LITS, LIVER_ONLY
    from liver_tf.model.architecture import Architecture
    from liver_tf.model.description import Description

    def nearest_mean(kind, label_set, means_hu, roi=None, class_weights=None):
        means = (np.float32(means_hu) - 100) / 30
        layer = keras.layers.Conv2D(len(means), 1)
        model = keras.Sequential([keras.Input((32, 32, 1)), layer])
        layer.set_weights([4 * means.reshape(1, 1, 1, -1), -2 * means**2])
        architecture = Architecture(32, 1, len(means))
        description = Description(
            *(kind, architecture, label_set, (-160, 240), 100.0, 30.0, "0" * 64, roi),
            class_weights=class_weights,
        )
        return TrainedNetwork(model, description)

    @functools.cache
    def make(
        *, margin_mm=2.0, extent="slice", class_weights=None, outline=None, means=None, **options
    ):
        rule = {"margin_mm": margin_mm, "least_side_mm": 4.0, "extent": extent}
        liver = nearest_mean("liver", LIVER_ONLY, [40, 110])
        means = means or (-60, 110, 10, 170, 60)
        lesion = nearest_mean("lesion", LESION_TYPES, means, {"rule": rule}, class_weights)
        if outline is not None:
            weights = class_weights and class_weights[:3]
            options["outline"] = nearest_mean("lesion", LITS, outline, {"rule": rule}, weights)
        return Cascade(LiverFinder(liver), lesion, **options)

    return make


@pytest.fixture(scope="session")
def tiny_phantom(tmp_path_factory) -> Path:
    """Folder with ``lits`` (2 volumes of 8 slices) and ``sheba`` (9 patients), 64 x 64."""
    from liver_tf.phantom.phantom_folder import write_phantom
    from liver_tf.phantom.phantom_plan import PhantomPlan

    folder = tmp_path_factory.mktemp("tiny") / "phantom"
    write_phantom(folder, PhantomPlan(seed=5, lits_volumes=2, lits_slices=8, patients=9, matrix=64))
    return folder


@pytest.fixture(scope="session")
def lits_set(tiny_phantom, tmp_path_factory) -> Path:
    """Record set of the phantom's volumes; not to be changed."""
    from tests.builders.phantom_sets import convert_lits

    output = tmp_path_factory.mktemp("sets") / "lits"
    _, refusals = convert_lits(tiny_phantom / "lits", output)
    assert not refusals
    return output


@pytest.fixture(scope="session")
def slices_set(tiny_phantom, tmp_path_factory) -> Path:
    """Record set of the phantom's slices; not to be changed."""
    from tests.builders.phantom_sets import convert_slices

    output = tmp_path_factory.mktemp("sets") / "slices"
    _, refusals = convert_slices(tiny_phantom / "sheba/slices.csv", output)
    assert not refusals
    return output


@pytest.fixture(scope="session")
def cohort():
    """Makes the results of a protocol: 3 slices of each of ``patients``."""
    from tests.builders.cohort import make_cohort

    return make_cohort


@pytest.fixture(scope="session")
def command():
    """Runs a command's main with arguments, as ``python -m`` would; returns the exit status."""
    from liver_tf.command_line.run_command import execute

    def call(module, *arguments):
        return execute(module.main, arguments)

    return call


@pytest.fixture(scope="session")
def exported(make_network, tmp_path_factory):
    return _exported(make_network, tmp_path_factory)


@pytest.fixture(scope="session")
def exported_for_openvino(make_network, tmp_path_factory):
    """The same with ``found_*`` as uint8."""
    return _exported(make_network, tmp_path_factory, found_as_uint8=True)


def _exported(make_network, tmp_path_factory, **options):
    import tensorflow as tf

    from liver_tf.export.saved_model import write_saved_model
    from liver_tf.inference.cascade import Cascade
    from liver_tf.inference.liver_finder import LiverFinder
    from tests.builders.served import Exported

    cascade = Cascade(LiverFinder(make_network("liver")), make_network("lesion"))
    folder = tmp_path_factory.mktemp("served") / "liver" / "1"
    write_saved_model(cascade, folder, {"protocol": "hier_freeze"}, **options)
    return Exported(cascade, folder, tf.saved_model.load(str(folder)))

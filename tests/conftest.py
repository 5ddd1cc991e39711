"""What several rooms' tests share: small record sets and networks, made once a session."""

import pytest


@pytest.fixture(scope="session")
def record_set(tmp_path_factory):
    """Folder and manifest of 8 patients with 2 typed slices each, 32 x 32 pixels."""
    import tiny_records

    folder = tmp_path_factory.mktemp("records")
    return folder, tiny_records.write_set(folder, patients=8)


@pytest.fixture(scope="session")
def make_network():
    """Makes an untrained network of 32 x 32 pixels; ``favoured`` adds to the bias of classes."""
    from liver_tf.inference.network import Network
    from liver_tf.labels import LESION_TYPES, LIVER_ONLY
    from liver_tf.model import unet
    from liver_tf.model.description import Description

    def make(kind, *, filters=2, seed=1, favoured=None):
        label_set = LIVER_ONLY if kind == "liver" else LESION_TYPES
        architecture = unet.Architecture(32, filters, len(label_set))
        model = unet.build(architecture, seed)
        if favoured is not None:
            model.get_layer("head_logits").bias.assign(favoured)
        roi = None
        if kind == "lesion":
            roi = {"rule": {"margin_mm": 5.0, "least_side_mm": 10.0, "extent": "slice"}}
        description = Description(
            kind, architecture, label_set, (-160, 240), 100.0, 30.0, "0" * 64, roi
        )
        network = Network(model, description)
        network.keras_model = model  # what tests save as a run's weights
        return network

    return make


@pytest.fixture(scope="session")
def save_runs(make_network):
    """Writes untrained networks as finished runs: ``liver``, and ``one`` and ``two`` of lesions."""
    from liver_tf.model.weights_file import save_weights

    def save(folder):
        for name, kind, seed in (("liver", "liver", 1), ("one", "lesion", 1), ("two", "lesion", 2)):
            network = make_network(kind, seed=seed)
            network.description.save(folder / name)
            save_weights(folder / name / "weights.npz", network.keras_model)
        return folder

    return save


@pytest.fixture(scope="session")
def intensity_cascade():
    """Makes a cascade whose networks know each class by its HU alone, so that truth is known.

    Each pixel gets the class with the nearest mean HU; of liver is whatever is above 75 HU.
    """
    import keras
    import numpy as np

    from liver_tf.inference.cascade import Cascade
    from liver_tf.inference.liver_finder import LiverFinder
    from liver_tf.inference.network import Network
    from liver_tf.labels import LESION_TYPES, LIVER_ONLY
    from liver_tf.model.description import Description
    from liver_tf.model.unet import Architecture

    def nearest_mean(kind, label_set, means_hu, roi=None):
        means = (np.float32(means_hu) - 100) / 30
        layer = keras.layers.Conv2D(len(means), 1)
        model = keras.Sequential([keras.Input((32, 32, 1)), layer])
        layer.set_weights([4 * means.reshape(1, 1, 1, -1), -2 * means**2])
        architecture = Architecture(32, 1, len(means))
        description = Description(
            kind, architecture, label_set, (-160, 240), 100.0, 30.0, "0" * 64, roi
        )
        network = Network(model, description)
        network.keras_model = model
        return network

    def make(*, margin_mm=2.0, extent="slice", **options):
        rule = {"margin_mm": margin_mm, "least_side_mm": 4.0, "extent": extent}
        liver = nearest_mean("liver", LIVER_ONLY, [40, 110])
        lesion = nearest_mean("lesion", LESION_TYPES, [-60, 110, 10, 170, 60], {"rule": rule})
        return Cascade(LiverFinder(liver), lesion, **options)

    return make

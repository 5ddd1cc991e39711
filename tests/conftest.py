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
        return Network(model, description)

    return make

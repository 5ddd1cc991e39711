"""Untrained networks of phantoms as finished runs, and a package that holds them."""

from __future__ import annotations

import json
from dataclasses import replace

from liver_tf import checksums
from liver_tf.bundled_networks import NETWORKS
from liver_tf.labels import LESION_TYPES, LITS, LIVER_ONLY
from liver_tf.model import unet
from liver_tf.model.architecture import Architecture
from liver_tf.model.description import Description
from liver_tf.model.weights_file import save_weights
from liver_tf.trained_on import TrainedOn

PHANTOMS = {
    "liver": TrainedOn("phantom", 0, 12),
    "lesion": TrainedOn("phantom", 0, 12),
    "typed": TrainedOn("phantom", 0, 32, "phantom"),
}
_LABELS = {"liver": LIVER_ONLY, "lesion": LITS, "typed": LESION_TYPES}
_ROI = {"rule": {"margin_mm": 5.0, "least_side_mm": 10.0, "extent": "slice"}}


def save_run(folder, name, **changes):
    """A run for the network ``name``; ``changes``: of its description."""
    label_set = _LABELS[name]
    architecture = Architecture(32, 2, len(label_set))
    kind = "liver" if name == "liver" else "lesion"
    roi = None if name == "liver" else _ROI
    description = Description(
        *(kind, architecture, label_set, (-160, 240), 100.0, 30.0, "0" * 64, roi),
        trained_on=PHANTOMS[name],
    )
    folder.mkdir(parents=True)
    replace(description, **changes).save(folder)
    save_weights(folder / "weights.npz", unet.build(architecture, seed=NETWORKS.index(name)))
    split = {"training": ["a", "b"], "validation": ["c"], "test": []}
    (folder / "run.json").write_text(json.dumps({"seed": 7, "split": split}))
    checksums.write_sums(folder, ["weights.npz", "model.json", "run.json"])
    return folder

"""The command ``listen`` with thresholds in place of networks: it starts without TensorFlow."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from unittest import mock

import numpy as np
from PIL import Image

from liver_tf.labels import LESION_TYPES
from liver_tf.trained_on import NOT_STORED


class ThresholdCascade:
    """Liver is above 75 HU, a lesion above 300 HU."""

    label_set = LESION_TYPES
    trained_on = NOT_STORED
    how = SimpleNamespace(text=lambda: "none")
    liver = SimpleNamespace(
        network=SimpleNamespace(description=SimpleNamespace(mean_hu=100.0, sd_hu=30.0))
    )

    def facts(self):
        return {"thresholds": [75, 300]}

    def predict(self, hu, spacing_mm):
        labels = (hu > 75).astype(np.uint8) + 2 * (hu > 300).astype(np.uint8)
        probabilities = np.zeros((np.count_nonzero(labels > 1), 1, 3), np.float16)
        probabilities[..., 1] = 0.9
        liver = labels > 0
        return SimpleNamespace(
            labels=labels, liver=liver, network_mask=liver, probabilities=probabilities
        )


def plain_overlays():
    """Overlays without outlines, which are drawn in no time."""

    def draw_overlay(panel, path):
        grey = np.clip(panel.hu, 0, 255).astype(np.uint8)
        Image.fromarray(grey).resize((200, 150)).save(path)

    return mock.patch("liver_tf.export.scan_results.draw_overlay", draw_overlay)


def stand_in(name, **contents):
    module = ModuleType(name)
    module.__dict__.update(contents)
    sys.modules[name] = module


def main():
    stand_in("liver_tf.inference.cascade", Cascade=ThresholdCascade, Prediction=object)
    precision = SimpleNamespace(text=lambda: "float32")
    stand_in("liver_tf.model.description", precision_for=lambda *_: precision)
    from liver_tf.command_line.run_command import run
    from liver_tf.export.algorithm_identity import AlgorithmIdentity
    from liver_tf.node.node_settings import ListenSettings
    from trainers import listen

    ListenSettings.load = lambda settings, runs: ThresholdCascade()
    ListenSettings.notice = lambda settings, runs, cascade: ""
    AlgorithmIdentity.of_runs = classmethod(lambda cls, runs: cls("ab12"))
    plain_overlays().start()
    run(listen.main, tensorflow=False, at_once=True)


if __name__ == "__main__":
    main()

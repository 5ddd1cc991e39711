"""What must travel with weights to make them a network that means something."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import keras

from liver_tf import atomic_files, run_files
from liver_tf.labels import LabelSet
from liver_tf.model import unet
from liver_tf.model.weights_file import load_weights
from liver_tf.refusals import Refusal


@dataclass(frozen=True)
class Description:
    """A trained network's meaning.

    Attributes:
      kind: ``liver`` (whole slices) or ``lesion`` (ROIs).
      label_set: the classes of the network's output.
      window: (low, high) HU. mean_hu, sd_hu: standardisation, of the training data's liver.
      roi: for a lesion network, how the ROIs it was trained on were cut; else None.
      data_fingerprint: of the training records.
    """

    kind: str
    architecture: unet.Architecture
    label_set: LabelSet
    window: tuple[int, int]
    mean_hu: float
    sd_hu: float
    data_fingerprint: str
    roi: dict | None = None

    def save(self, folder: Path) -> None:
        atomic_files.write_json(folder / run_files.DESCRIPTION, asdict(self))


def load_description(folder: Path) -> Description:
    """Read ``model.json`` of a run; raises ``Refusal`` where the run is not finished."""
    path = folder / run_files.DESCRIPTION
    if not path.is_file() or not (folder / run_files.WEIGHTS).is_file():
        raise Refusal(
            "no-model",
            folder,
            expected=f"a finished run with {run_files.DESCRIPTION} and {run_files.WEIGHTS}",
            found="a folder without them" if folder.is_dir() else "no such folder",
            remedy="Train it first; the same command goes on where a run stopped.",
        )
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return Description(
            **{
                **value,
                "architecture": unet.Architecture(**value["architecture"]),
                "label_set": LabelSet(
                    value["label_set"]["name"], tuple(value["label_set"]["classes"])
                ),
                "window": tuple(value["window"]),
            }
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal(
            "model-damaged",
            path,
            expected="the description that training wrote",
            found=type(error).__name__,
            remedy="Copy the run again from where it was made.",
        ) from None


def load_network(folder: Path) -> tuple[keras.Model, Description]:
    """Build the network of a finished run by our own code and load its weights into it."""
    description = load_description(folder)
    network = unet.build(description.architecture)
    load_weights(folder / run_files.WEIGHTS, network)
    return network, description

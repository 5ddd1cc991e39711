"""Description of a trained network (``model.json``), and loading a finished run."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras

from liver_tf import atomic_files, checksums, run_files
from liver_tf.bounded_files import read_json
from liver_tf.bundled_networks import LESION, NETWORKS, available, is_bundled, run_named
from liver_tf.labels import LabelSet
from liver_tf.model import unet
from liver_tf.model.architecture import Architecture
from liver_tf.model.blocks import LEVELS
from liver_tf.model.liver_rule import WHOLE_SLICE, LiverRule
from liver_tf.model.precision import Precision, choose_precision
from liver_tf.model.precision_settings import FLOAT32
from liver_tf.model.weights_file import load_weights, stored_hash
from liver_tf.refusals import Refusal
from liver_tf.trained_on import TrainedOn

#: Bounds of everything that is stated in HU.
HU_LIMITS = (-32768, 32767)
#: HU are whole numbers: below this all liver pixels would be equal, and others infinitely far.
LEAST_SD_HU = 0.01
#: Pixels of the side of a network's input.
LARGEST_SIDE = 4096


@dataclass(frozen=True)
class Description:
    """What is needed, besides the weights, to use a trained network.

    Attributes:
      kind: ``liver`` (whole slices) or ``lesion`` (ROIs).
      label_set: Classes of the output.
      window: (low, high) HU.
      mean_hu, sd_hu: Standardisation: liver HU of the training data.
      data_fingerprint: Of the training records.
      roi: How the training ROIs of a lesion network were cropped; None for a liver network.
      class_weights: Of the training loss, one per class; None if unknown.
      trained_on: Phantoms or patients; None if unknown.
      liver_rule: How the output of a liver network becomes an outline.
    """

    kind: str
    architecture: Architecture
    label_set: LabelSet
    window: tuple[int, int]
    mean_hu: float
    sd_hu: float
    data_fingerprint: str
    roi: dict | None = None
    class_weights: tuple[float, ...] | None = None
    trained_on: TrainedOn | None = None
    liver_rule: LiverRule = WHOLE_SLICE

    def __post_init__(self) -> None:
        if self.architecture.image_size > LARGEST_SIDE:
            raise ValueError(f"image_size: expected at most {LARGEST_SIDE} pixels")
        low, high = self.window
        if any(isinstance(value, bool) for value in (low, high, self.mean_hu, self.sd_hu)):
            raise ValueError("window, mean_hu, sd_hu: expected numbers, found true or false")
        if not (HU_LIMITS[0] <= low < high <= HU_LIMITS[1]):  # NaN fails too
            raise ValueError(f"window: expected two HU in order, found {low} to {high}")
        if not low <= self.mean_hu <= high:
            raise ValueError(f"mean_hu: expected HU inside the window, found {self.mean_hu}")
        if not LEAST_SD_HU <= self.sd_hu <= high - low:
            raise ValueError(
                f"sd_hu: expected at least {LEAST_SD_HU} and at most the width of the window, "
                f"found {self.sd_hu}"
            )
        weights = self.class_weights
        if weights is None:
            return
        valid = all(math.isfinite(weight) and weight >= 0 for weight in weights)
        if len(weights) != len(self.label_set) or not (valid and any(weights)):
            raise ValueError(f"class_weights: expected one per class, 0 or more, found {weights}")

    def save(self, folder: Path) -> None:
        """Write ``model.json`` into a run folder."""
        atomic_files.write_json(folder / run_files.DESCRIPTION, self.to_json())

    def to_json(self) -> dict[str, Any]:
        """As in ``model.json``: the default liver rule is absent, as in earlier versions."""
        fields = asdict(self)
        if self.liver_rule == WHOLE_SLICE:
            del fields["liver_rule"]
        return fields


def liver_identity(run: Path) -> dict[str, str]:
    """What the outlines of a liver network depend on: its weights, and its rule if not the default.

    Raises:
      Refusal: As ``load_description``.
    """
    rule = load_description(run).liver_rule
    return {"liver_weights": stored_hash(run / run_files.WEIGHTS), **rule.stated()}


def load_description(folder: Path) -> Description:
    """Read ``model.json`` of a run.

    Raises:
      Refusal: ``no-model``, ``no-bundled-network``, ``model-damaged``; ``checksum-differs``, also
        for ``run.json``.
    """
    path = folder / run_files.DESCRIPTION
    if not path.is_file() or not (folder / run_files.WEIGHTS).is_file():
        if is_bundled(folder):
            raise _not_bundled(folder)
        raise Refusal(
            "no-model",
            folder,
            expected=f"a finished run with {run_files.DESCRIPTION} and {run_files.WEIGHTS}",
            found="a folder without them" if folder.is_dir() else "no such folder",
            remedy="Name another run, or train this one; the same command resumes an interrupted "
            "run.",
        )
    checksums.verify(folder, run_files.DESCRIPTION, run_files.IDENTITY)
    try:
        value = read_json(path)
        label_set = value["label_set"]
        value["architecture"] = Architecture(**value["architecture"])
        value["label_set"] = LabelSet(label_set["name"], tuple(label_set["classes"]))
        value["window"] = tuple(value["window"])
        value["class_weights"] = _class_weights(value, folder)
        if value.get("trained_on") is not None:  # earlier versions did not store it
            value["trained_on"] = TrainedOn.from_json(value["trained_on"])
        if "liver_rule" in value:  # not stored by earlier versions either
            value["liver_rule"] = LiverRule(**value["liver_rule"])
        return Description(**value)
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal(
            "model-damaged",
            path,
            expected="the description that training wrote",
            found=type(error).__name__,
            remedy="Copy the run again from its source.",
        ) from None


def _not_bundled(folder: Path) -> Refusal:
    return Refusal(
        "no-bundled-network",
        folder,
        expected=f"one of the networks {', '.join(NETWORKS)} in the package",
        found=f"a package with {', '.join(available()) or 'none of them'}",
        remedy="Name a run of your own, or train the networks of the package with "
        "liver-tf train_weights.",
    )


def _class_weights(value: dict[str, Any], folder: Path) -> tuple[float, ...] | None:
    """The class weights in ``model.json``; earlier versions stored them in ``run.json`` only."""
    weights = value.get("class_weights")
    if weights is None:
        try:
            weights = run_files.read_identity(folder)["task"]["class_weights"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
    return tuple(map(float, weights))


def precision_for(run: Path, wanted: str) -> Precision:
    """The format for the network of a run; see ``choose_precision``."""
    return choose_precision(wanted, load_description(run).architecture.base_filters)


def refuse_larger_network(weights: Path, architecture: Architecture) -> None:
    """Refuse a description of a network that the file of its weights cannot hold."""
    deepest = architecture.base_filters * 2 ** (LEVELS - 1)
    # Its last kernel, 3 x 3 in 32 bits; a file may be in 16 bits and compressed.
    if 4 * 9 * deepest**2 > 20 * weights.stat().st_size:
        raise Refusal(
            "weights-architecture",
            weights,
            expected=f"weights of a network with {architecture.base_filters} base filters",
            found="a smaller file",
            remedy="Copy the run again from its source.",
        )


def load_network(
    folder: Path | str, *, precision: str = FLOAT32
) -> tuple[keras.Model, Description]:
    """Build the network of a finished run and load its weights.

    Args:
      folder: The run, or ``bundled``, ``bundled/liver``, ``bundled/typed``: a network of the
        package, learned from computed phantoms only (``bundled`` is the lesion network).
      precision: ``float32``, ``bfloat16``, ``float16``, or ``auto``; see ``choose_precision``.

    Returns:
      The network, which maps standardised HU, float32 [batch, side, side, 1], to logits, float32
      [batch, side, side, classes]; and its description (classes, HU window, standardisation).

    Raises:
      Refusal: As ``load_description`` and ``load_weights``.

    Examples:
      >>> network, description = load_network("runs/liver")
      >>> description.label_set.classes
      ('background', 'liver')
    """
    folder = run_named(Path(folder), LESION)
    description = load_description(folder)
    chosen = choose_precision(precision, description.architecture.base_filters)
    refuse_larger_network(folder / run_files.WEIGHTS, description.architecture)
    network = unet.build(description.architecture, precision=chosen.name)
    checksums.verify(folder, run_files.WEIGHTS)
    load_weights(folder / run_files.WEIGHTS, network)
    return network, description

"""A fine-tuned run, with its liver network, as a SavedModel for TF Serving."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liver_tf.bundled_networks import LESION
from liver_tf.default_paths import SAVED_MODEL
from liver_tf.inference.cascade_settings import CascadeSettings
from liver_tf.labels import LESIONS, VOXELS
from liver_tf.model.precision_settings import FLOAT32, PRECISIONS
from liver_tf.options import option


@dataclass(frozen=True, kw_only=True)
class ExportSettings(CascadeSettings):
    """Options of ``export_model``."""

    run: tuple[Path, ...] = option(
        (),
        "Fine-tuned run. The probabilities of several are averaged. Default: the network in the "
        "package that outlines lesions (see --types).",
        repeated=True,
        bundled=LESION,
    )
    output: Path = option(SAVED_MODEL, "Folder of the version; its name is a whole number.")
    measures: Path | None = option(
        None,
        "measures.json of liver-tf evaluate; the model card then reports the measures.",
        empty_is_none=True,
    )
    precision: str = option(
        FLOAT32,
        "Number format in which the blocks of networks compute. Inputs and outputs do not depend "
        "on it. The machine that serves the model should have instructions for it.",
        choices=PRECISIONS,
    )
    found_as_uint8: bool = option(
        False,
        "Export found_liver and found_lesion as uint8, 0 or 1, because OpenVINO Model Server "
        "cannot send bool.",
    )

    label_map: str = option(
        LESIONS,
        "Classes in the label map of the signature volume: one type per lesion, or the most likely "
        "type of each voxel.",
        choices=(LESIONS, VOXELS),
    )
    type_threshold: float = option(
        0.5,
        "In the label map of volume a lesion is indeterminate if its most likely type is less "
        "probable than this.",
        low=0,
        high=1,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "run", self.runs_or_bundled(self.run))


@dataclass(frozen=True)
class ExportedModel:
    """The version folder of a SavedModel, its model card, and notes on what was left out.

    ``notice`` states that its networks are of the package, or learned from phantoms; may be empty.
    """

    folder: Path
    card: Path
    left_out: tuple[str, ...]
    notice: str = ""


def export_model(settings: ExportSettings | None = None, /, **options: Any) -> ExportedModel:
    """Export a fine-tuned run, with its liver network, as a SavedModel for TF Serving.

    Args:
      settings: All options; None takes the defaults.
      **options: Single options by name, as in ``liver-tf export --help``.

    Raises:
      OptionError: An option has an invalid value.
      Refusal: A run cannot be used, ``measures`` are of another model, or the version exists.

    Examples:
      >>> export_model(run=["runs/finetune/fold0/seed0/hier_freeze"], liver_run="runs/liver").folder
      PosixPath('saved_models/liver/1')
    """
    from liver_tf.export.model_card import measures_of, provenance_of
    from liver_tf.export.saved_model import CARD, EXTRA, write_saved_model

    settings = ExportSettings.of(settings, **options)
    runs = list(settings.run)
    cascade = settings.load(runs)
    measures = None
    if settings.measures is not None:
        measures = measures_of(settings.measures, runs, settings.liver_run, cascade)
    left_out = write_saved_model(
        cascade,
        settings.output,
        provenance_of(runs, settings.liver_run, settings.outline_model),
        measures,
        found_as_uint8=settings.found_as_uint8,
        type_threshold=settings.type_threshold if settings.label_map == LESIONS else None,
    )
    card = settings.output / EXTRA / CARD
    notice = settings.notice(runs, cascade)
    return ExportedModel(settings.output, card, tuple(left_out), notice)

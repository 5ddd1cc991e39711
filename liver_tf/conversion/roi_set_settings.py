"""Options of cutting ROIs, and the function that takes them. Needs no TensorFlow to import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liver_tf import run_files
from liver_tf.bundled_networks import LIVER
from liver_tf.inference.roi_rule import RoiRule
from liver_tf.options import REQUIRED, OptionError, Options, option, part

if TYPE_CHECKING:
    from liver_tf.records.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class RoiSetSettings(Options):
    """Options of cutting ROIs out of a record set."""

    input: Path = option(REQUIRED, "Folder of the record set of whole slices.")
    output: Path = option(REQUIRED, "Folder of the ROI record set.")
    liver_run: Path | None = option(
        None, "Run of the liver network, or bundled: the one in the package.", bundled=LIVER
    )
    true_liver: bool = option(False, "Use the labelled liver instead of a network.")
    rule: RoiRule = part(RoiRule)

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.liver_run is None) != self.true_liver:
            raise OptionError(None, "give either --liver_run=RUN or --true_liver")


def make_roi_set(settings: RoiSetSettings | None = None, /, **options: Any) -> tuple[Manifest, str]:
    """Cut ROIs around the liver and write them as a record set.

    Args:
      settings: All options; None takes the defaults.
      **options: Single options by name, as in ``liver-tf make_rois --help``. ``input``,
        ``output``, and ``liver_run`` or ``true_liver`` are required.

    Returns:
      The manifest, and a sentence on how well the boxes contain liver and lesions.

    Raises:
      OptionError: An option has a value that it cannot take.
      Refusal: As ``cut_rois``, or the liver run cannot be used.
    """
    from liver_tf.conversion.roi_sets import cut_rois
    from liver_tf.inference.liver_finder import LiverFinder

    settings = RoiSetSettings.of(settings, **options)
    if settings.liver_run is None:
        return cut_rois(settings.input, settings.output, None, settings.rule)
    finder = LiverFinder.of_run(settings.liver_run)
    seen = settings.liver_run / run_files.TRAINING_DATA
    return cut_rois(
        settings.input, settings.output, finder, settings.rule, seen if seen.is_file() else None
    )

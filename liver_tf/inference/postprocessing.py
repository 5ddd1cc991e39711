"""Settings of the post-processing (``postprocessing.json`` of a run): defaults, file, ensembles.

``trainers.choose_postprocessing`` chooses them on the validation patients of a run. They are
applied by ``decision_threshold`` and ``small_lesions``.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

from liver_tf import atomic_files, checksums, run_files
from liver_tf.bounded_files import read_json
from liver_tf.inference.decision_rules import ARGMAX, PRIOR_CORRECTED, THRESHOLD
from liver_tf.model.description import load_description
from liver_tf.model.weights_file import stored_hash
from liver_tf.refusals import Refusal


@dataclass(frozen=True)
class PostProcessing:
    """How probabilities become lesions. By default each pixel gets its most likely class.

    Attributes:
      lesion_probability: Threshold: a pixel is lesion, of its most likely type, if the
        probabilities of all types sum to at least this. None for the most likely class.
      fill_holes: Holes of a lesion in a slice (4 neighbours) become lesion of the most likely type.
      least_area_mm2: Lesions whose largest section in a slice is smaller are removed.
      corrected: The class weights of the training loss are divided out of all probabilities.
      rim_pixels: -1, 0 or 1: how far lesions may extend beyond the liver outline, in pixels of the
        liver network (1.5 mm at 256 pixels, 4 mm at 96); -1: they must end one pixel inside it.
        No effect if lesions are allowed everywhere.
      least_height: In a scan whose distance of slices is known, lesions are removed whose extent
        through the slices is less than this share of their diameter in the slices: a network that
        sees one slice at a time takes vessels that are cut across for flat lesions. Not applied to
        lesions in the first or last slice, nor to single slices.
      whole_liver: Every pixel inside the liver outline is labelled liver or lesion; otherwise,
        pixels that the lesion network predicts as background are background.
    """

    lesion_probability: float | None = None
    fill_holes: bool = False
    least_area_mm2: float = 0.0
    corrected: bool = False
    rim_pixels: int = 1
    least_height: float = 0.0
    whole_liver: bool = False

    def __post_init__(self) -> None:
        least = self.lesion_probability
        if least is not None and not 0 < least < 1:
            raise ValueError(f"lesion_probability: expected above 0 and below 1, found {least}")
        if not (math.isfinite(self.least_area_mm2) and self.least_area_mm2 >= 0):
            raise ValueError(f"least_area_mm2: expected 0 or more, found {self.least_area_mm2}")
        if type(self.rim_pixels) is not int or self.rim_pixels not in (-1, 0, 1):
            raise ValueError(f"rim_pixels: expected -1, 0 or 1, found {self.rim_pixels}")
        if not 0 <= self.least_height <= 1:
            raise ValueError(f"least_height: expected 0 to 1, found {self.least_height}")
        for name in ("fill_holes", "corrected", "whole_liver"):
            if type(getattr(self, name)) is not bool:
                raise ValueError(f"{name}: expected true or false, found {getattr(self, name)}")

    @property
    def decision(self) -> str:
        """The decision rule. ``threshold`` was used without correction by earlier versions."""
        if self.lesion_probability is not None:
            return THRESHOLD
        return PRIOR_CORRECTED if self.corrected else ARGMAX

    def simplicity(self) -> tuple[float, ...]:
        """Sort key, simpler settings first: fewer in use, then those that change less."""
        probability = -1.0 if self.lesion_probability is None else self.lesion_probability
        apart = 0.0 if probability < 0 else round(abs(probability - 0.5), 6)
        in_use = sum(getattr(self, name) != unused for name, unused in asdict(NOTHING).items())
        return (
            *(in_use, self.least_area_mm2, apart, probability, self.fill_holes),
            *(-self.rim_pixels, self.least_height, self.whole_liver),
        )

    def text(self) -> str:
        """The settings in words. Stored in measures and compared there, so it must not change."""
        parts = []
        if self.lesion_probability is not None:
            name = "corrected probability" if self.corrected else "probability"
            parts.append(f"lesion where its {name} is {self.lesion_probability:g} or more")
        elif self.corrected:
            parts.append("most likely class by corrected probabilities")
        if self.fill_holes:
            parts.append("holes filled")
        if self.least_area_mm2:
            parts.append(f"lesions below {self.least_area_mm2:g} mm2 dropped")
        if self.rim_pixels < 1:
            place = "at" if self.rim_pixels == 0 else "one pixel of the liver network inside"
            parts.append(f"lesions end {place} the outlined liver")
        if self.least_height:
            parts.append(f"lesions flatter than {self.least_height:g} of their diameter dropped")
        if self.whole_liver:
            parts.append("the outlined liver is labelled without gaps")
        return ", ".join(parts) or "none"


NOTHING = PostProcessing()

_CHOOSE_AGAIN = "Choose them again with liver-tf choose_postprocessing, or use --nopostprocessing."


def save(run: Path, how: PostProcessing, how_chosen: dict) -> None:
    """Write settings, and how they were chosen, to the folder of a run."""
    value = {
        "decision": how.decision,
        "postprocessing": asdict(how),
        "text": how.text(),
        "weights": stored_hash(run / run_files.WEIGHTS),
    }
    atomic_files.write_json(run / run_files.POSTPROCESSING, value | how_chosen)
    if checksums.read_sums(run) is not None:  # runs of earlier versions have none
        checksums.write_sums(run, [run_files.POSTPROCESSING])


def load(run: Path) -> PostProcessing:
    """The settings of a run; ``NOTHING`` if none were chosen.

    Raises:
      Refusal: ``postprocessing-damaged``; ``postprocessing-other-weights`` if the run was trained
        again since they were chosen; ``checksum-differs``.
    """
    path = run / run_files.POSTPROCESSING
    checksums.verify(run, run_files.POSTPROCESSING, remedy=_CHOOSE_AGAIN)
    if not path.is_file():
        return NOTHING
    try:
        value = read_json(path)
        how, weights = PostProcessing(**value["postprocessing"]), value["weights"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refusal(
            "postprocessing-damaged",
            path,
            expected="settings as liver-tf choose_postprocessing writes them",
            found=f"a damaged file ({type(error).__name__})",
            remedy=_CHOOSE_AGAIN,
        ) from None
    if weights != stored_hash(run / run_files.WEIGHTS):
        raise Refusal(
            "postprocessing-other-weights",
            path,
            expected="settings chosen for the present weights of the run",
            found="settings chosen for other weights: the run was trained again",
            remedy=_CHOOSE_AGAIN,
        )
    return how


def of_runs(
    runs: Sequence[Path], *, use_chosen: bool = True, decision: str | None = None
) -> PostProcessing:
    """The settings with which runs are applied; those of an ensemble if there are several.

    Args:
      use_chosen: Use the settings stored in the runs, if any; otherwise ``NOTHING``.
      decision: A decision rule. If it is not that of a run's settings, it is applied without any
        of them: sizes are chosen for a rule.

    Raises:
      Refusal: As ``load``; ``no-threshold`` if ``threshold`` is asked for, but none is stored;
        ``class-weights-unknown`` if the rule needs the class weights of the loss.
    """
    how = of_ensemble([_of_run(run, use_chosen, decision) for run in runs])
    if how.corrected:
        for run in runs:
            require_class_weights(run)
    return how


def _of_run(run: Path, use_chosen: bool, decision: str | None) -> PostProcessing:
    stored = load(run) if use_chosen else NOTHING
    if decision in (None, stored.decision):
        return stored
    if decision == THRESHOLD:
        raise Refusal(
            "no-threshold",
            run,
            expected="a run with a threshold for --decision=threshold",
            found="none stored" if use_chosen else "--nopostprocessing, which ignores it",
            remedy="Choose it with liver-tf choose_postprocessing --decision=threshold.",
        )
    return PostProcessing(corrected=decision == PRIOR_CORRECTED)


def require_class_weights(run: Path) -> None:
    """Refuse a run whose class weights are unknown (``class-weights-unknown``)."""
    if load_description(run).class_weights is None:
        raise Refusal(
            "class-weights-unknown",
            run,
            expected="the class weights of the training loss in model.json or run.json, by which "
            "probabilities are corrected",
            found="neither has them",
            remedy="Restore the run's run.json, or use --decision=argmax or a threshold on "
            "uncorrected probabilities (liver-tf choose_postprocessing --decision=threshold).",
        )


def of_ensemble(each: list[PostProcessing]) -> PostProcessing:
    """The settings of an ensemble, in any order of its runs.

    Thresholds on corrected probabilities are searched so finely that they hardly ever agree: their
    median is used, and that of the other settings (the lower one of two). Otherwise the settings of
    most runs; in a tie the simplest.
    """
    if all(how.corrected and how.decision == THRESHOLD for how in each):
        values = zip(*map(astuple, each), strict=True)
        return PostProcessing(*map(statistics.median_low, values))
    return min(each, key=lambda how: (-each.count(how), *how.simplicity()))

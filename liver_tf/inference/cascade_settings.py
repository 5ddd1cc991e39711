"""Options of every command that applies the two networks. Needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from liver_tf.bundled_networks import LESION, LIVER, TYPED, bundled, is_bundled
from liver_tf.default_paths import LIVER_RUN
from liver_tf.inference.decision_rules import decision_option
from liver_tf.model.precision_settings import AUTO, precision_option
from liver_tf.options import OptionError, Options, option

if TYPE_CHECKING:
    from liver_tf.inference.cascade import Cascade


@dataclass(frozen=True, kw_only=True)
class CascadeSettings(Options):
    """How the liver network and the lesion networks are combined."""

    liver_run: Path | None = option(
        None,
        "Run of the liver network, or bundled: the one in the package, which learned from computed "
        "phantoms only.",
        bundled=LIVER,
        shown_default=f"`{LIVER_RUN}` if it exists, else `bundled`",
    )
    types: bool = option(
        False,
        "With the lesion network in the package: classify lesions too. These types were learned "
        "from phantoms and are unvalidated on real lesions.",
    )
    outline_model: Path | None = option(
        None,
        "Run of a lesion network without types, or bundled. It decides where lesions are, by the "
        "post-processing stored with it, and the typed networks only of which type. Window, "
        "standardisation, ROI rule and image size must be the same. Default: none; with --types "
        "the lesion network in the package.",
        bundled=LESION,
        empty_is_none=True,
    )
    in_liver_only: bool = option(True, "Remove lesions outside the liver.")
    flips: bool = option(
        False,
        "Average over each image and its mirror image, in both networks; takes twice as long.",
    )
    postprocessing: bool = option(
        True,
        "Apply the post-processing stored in each run, if any: threshold, hole filling and minimum "
        "lesion size (from liver-tf choose_postprocessing), and where lesions are allowed.",
    )
    decision: str | None = decision_option()
    precision: str = precision_option(AUTO)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.liver_run is None:
            run = LIVER_RUN if LIVER_RUN.exists() else bundled(LIVER)
            object.__setattr__(self, "liver_run", run)
        if self.types and self.outline_model is None:
            object.__setattr__(self, "outline_model", bundled(LESION))

    def runs_or_bundled(self, runs: tuple[Path, ...]) -> tuple[Path, ...]:
        """The lesion runs; without any, the lesion network of the package."""
        if self.types and runs not in ((), (bundled(TYPED),)):
            raise OptionError("types", "is for the network in the package; name no run")
        return runs or (bundled(TYPED if self.types else LESION),)

    def all_runs(self, runs: Sequence[Path]) -> tuple[Path, ...]:
        """The liver run, the lesion runs and the outline run if there is one."""
        assert self.liver_run is not None
        return (self.liver_run, *runs, *([self.outline_model] if self.outline_model else []))

    def notice(self, runs: Sequence[Path], cascade: Cascade) -> str:
        """A line on networks of the package, and on what networks learned from; may be empty."""
        names = [run.name for run in self.all_runs(runs) if is_bundled(run)]
        text = f"networks of the package: {', '.join(names)}. " if names else ""
        return f"{text}{cascade.trained_on.notice}".strip()

    def load(self, runs: Sequence[Path]) -> Cascade:
        """The cascade of the liver run and lesion runs; raises ``Refusal``."""
        from liver_tf.inference.cascade import Cascade

        return Cascade.of_runs(
            self.liver_run,
            runs,
            self.outline_model,
            flips=self.flips,
            precision=self.precision,
            use_chosen=self.postprocessing,
            decision=self.decision,
            in_liver_only=self.in_liver_only,
        )


@dataclass(frozen=True, kw_only=True)
class ModelSettings(CascadeSettings):
    """The lesion networks of a command that predicts scans."""

    model: tuple[Path, ...] = option(
        (),
        "Fine-tuned run. The probabilities of several are averaged, e.g. those of all folds. "
        "Default: the network in the package that outlines lesions (see --types).",
        repeated=True,
        bundled=LESION,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "model", self.runs_or_bundled(self.model))
        if len({model.resolve() for model in self.model}) < len(self.model):
            raise OptionError("model", "a run is named twice; it would count twice in the average")

"""Options of every command that applies the two networks. Needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from liver_tf.default_paths import LIVER_RUN
from liver_tf.inference.decision_rules import decision_option
from liver_tf.model.precision_settings import AUTO, precision_option
from liver_tf.options import Options, option

if TYPE_CHECKING:
    from liver_tf.inference.cascade import Cascade


@dataclass(frozen=True, kw_only=True)
class CascadeSettings(Options):
    """How the liver network and the lesion networks are combined."""

    liver_run: Path = option(LIVER_RUN, "Run of the liver network.")
    in_liver_only: bool = option(True, "Remove lesions outside the liver.")
    flips: bool = option(
        False,
        "Average over each image and its mirror image, in both networks; takes twice as long.",
    )
    postprocessing: bool = option(
        True,
        "Apply the post-processing that trainers.choose_postprocessing stored in the run, if any: "
        "threshold, hole filling, minimum lesion size.",
    )
    decision: str | None = decision_option()
    precision: str = precision_option(AUTO)

    def load(self, runs: Sequence[Path]) -> Cascade:
        """The cascade of the liver run and lesion runs; raises ``Refusal``."""
        from liver_tf.inference.cascade import Cascade

        return Cascade.of_runs(
            self.liver_run,
            runs,
            flips=self.flips,
            precision=self.precision,
            use_chosen=self.postprocessing,
            decision=self.decision,
            in_liver_only=self.in_liver_only,
        )

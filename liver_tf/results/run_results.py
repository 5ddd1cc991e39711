"""The results of one run on one part of its fold, and the name of the run."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from liver_tf import run_files
from liver_tf.labels import LabelSet
from liver_tf.measures.calibration import Temperature
from liver_tf.measures.slice_result import SliceResult
from liver_tf.run_files import INNER, TEST_FOLD

#: Label of runs whose choices were made on the test fold.
LOOSE = "VALIDATED ON THE TEST FOLD"

#: In the protocol name of an ensemble's results, before the number of its networks.
ENSEMBLE = ", ensemble of "

#: ``made_of["postprocessing"]`` of a run whose decision is argmax without post-processing.
NO_POSTPROCESSING = "none"


def run_name(fold: str, seed: int, protocol: str, validation: str = INNER) -> str:
    """``fold0/seed0/hier_freeze``: the place of a run below the folder of all runs."""
    place = f"fold{fold}" if fold.isdigit() else fold
    suffix = run_files.VALIDATED_ON_TEST if validation == TEST_FOLD else ""
    return f"{place}{suffix}/seed{seed}/{protocol}"


def is_ensemble(protocol: str) -> bool:
    """Whether results of this protocol name are those of an ensemble."""
    return ENSEMBLE in protocol


def raw_name(protocol: str) -> str:
    """The name of a protocol's figures by raw argmax, beside those by the decision of its runs."""
    return f"{protocol}, raw argmax"


def hash_of_ensemble(weights: Sequence[str]) -> str:
    """One hash of those of averaged networks, in any order; of a single network its own."""
    if len(weights) == 1:
        return weights[0]
    return hashlib.sha256("\n".join(sorted(weights)).encode()).hexdigest()


@dataclass(frozen=True)
class RunResults:
    """Results of one network on one part of its fold.

    Attributes:
      protocol: with fold and seed, identifies the network; of an ensemble of the seeds of a fold,
        e.g. ``hier_freeze, ensemble of 3 seeds``.
      part: ``test`` or ``validation``.
      validation: ``inner`` or ``test_fold``.
      made_of: what the results depend on, by name: fingerprint of the records, hashes of the
        weights, program version.
      temperature: fitted on the validation part; None on that part, or if it could not be fitted.
      argmax: results of the same network on the same slices by argmax without post-processing; None
        if that is the run's decision or if an earlier version evaluated the run.
      looks: number of settings with which this run predicted this part; program versions do not
        count as settings.
    """

    protocol: str
    fold: str
    seed: int
    part: str
    validation: str
    label_set: LabelSet
    made_of: Mapping[str, str]
    results: tuple[SliceResult, ...]
    temperature: Temperature | None = None
    looks: int = 1
    argmax: tuple[SliceResult, ...] | None = None

    @property
    def by_argmax(self) -> tuple[SliceResult, ...] | None:
        """Results by argmax without post-processing; None if unknown."""
        if self.made_of.get("postprocessing") == NO_POSTPROCESSING:
            return self.results
        return self.argmax

    @property
    def name(self) -> str:
        """The run's place among others: ``fold0/seed0/hier_freeze``."""
        return run_name(self.fold, self.seed, self.protocol, self.validation)

    @property
    def clean(self) -> bool:
        """Whether no choice was made on the test fold."""
        return self.validation == INNER

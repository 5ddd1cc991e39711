"""Which slices an epoch shows, and how often: thinning, and balance of the kinds of slices.

Both are functions of (seed, epoch, slice): a run that is gone on with, or computed with another
number of threads, sees what it would have seen. Every epoch chooses anew, so that over the epochs
every slice is seen. Only training is thinned and balanced, never validation.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

import numpy as np

from liver_tf.labels import LIVER
from liver_tf.refusals import Refusal

#: Kinds of slices: nothing labelled, liver without lesion, and from here on the label of the
#: lesion that has most pixels.
NOTHING, NO_LESION, FIRST_LESION = 0, LIVER, LIVER + 1


@dataclass(frozen=True)
class Sampling:
    """Part of a run's identity.

    Attributes:
      keep_without_liver: chance that an epoch shows a slice on which nothing is labelled.
      keep_without_lesion: the same of a slice with liver and no lesion.
      resample: every epoch shows each kind of slice (without lesion, and each kind of lesion that
        there is) equally often: rare ones several times, common ones not all. The epoch stays as
        long as thinning leaves it.
    """

    keep_without_liver: float = 1.0
    keep_without_lesion: float = 1.0
    resample: bool = False

    def __post_init__(self) -> None:
        for name in ("keep_without_liver", "keep_without_lesion"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise ValueError(f"{name}: expected a share of 0 to 1, got {share}")

    @property
    def shows_all(self) -> bool:
        """Whether every epoch shows every slice once."""
        return self == EVERYTHING


EVERYTHING = Sampling()


def times_shown(
    sampling: Sampling, seed: int, epoch: int, examples: np.ndarray, kinds: np.ndarray
) -> np.ndarray:
    """How often an epoch shows each slice.

    Thinning asks each slice for itself: what becomes of it hangs on no other. Balance cannot.

    Args:
      examples: int64 [slices], their numbers. kinds: int [slices], as above.

    Returns:
      int64 [slices], zero and up. Raises ``Refusal``, ``no-slices``, where that is zero for all.
    """
    shares = np.array([sampling.keep_without_liver, sampling.keep_without_lesion, 1.0])
    chance = shares[np.minimum(kinds, FIRST_LESION)]
    kept = _uniform(b"thin", seed, epoch, examples) < chance
    if not kept.any():
        raise Refusal(
            "no-slices",
            None,
            expected="slices to train on in every epoch",
            came=f"none left of {len(examples)} in epoch {epoch + 1}",
            remedy="Raise --keep_without_liver or --keep_without_lesion, or check the labels with "
            "data_prep.verify.",
        )
    times = kept.astype(np.int64)
    if sampling.resample:
        group = np.maximum(kinds, NO_LESION)
        present = np.unique(group[kept])
        # Where it does not divide evenly, another kind gets the odd slice in another epoch.
        for place, one in enumerate(np.roll(present, epoch)):
            members = np.flatnonzero(kept & (group == one))
            wanted = (kept.sum() + len(present) - 1 - place) // len(present)
            times[members] = wanted // len(members)
            first = np.argsort(_uniform(b"rank", seed, epoch, examples[members]), kind="stable")
            times[members[first[: wanted % len(members)]]] += 1
    return times


def _uniform(purpose: bytes, seed: int, epoch: int, examples: np.ndarray) -> np.ndarray:
    """float64 [slices] in [0, 1), of (seed, epoch, slice); independent for each purpose."""
    digests = b"".join(
        hashlib.blake2b(
            struct.pack("<qqq", seed, epoch, example), digest_size=8, person=purpose
        ).digest()
        for example in examples.tolist()
    )
    return (np.frombuffer(digests, "<u8") >> 11) / 2.0**53

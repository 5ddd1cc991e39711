"""Which slices an epoch shows, and how often: thinning, and balancing of the kinds of slices.

Both are functions of (seed, epoch, slice), independent of resuming and of the number of threads.
Each epoch draws again, so all slices are shown in time. Validation is never thinned or balanced.
"""

import hashlib
import struct
from dataclasses import dataclass, replace

import numpy as np

from liver_tf.labels import LIVER
from liver_tf.options import OptionError, Options, option, part
from liver_tf.refusals import Refusal

#: Kinds of slices: nothing labelled; liver without lesion; from FIRST_LESION on, the label of the
#: slice's rarest lesion.
NOTHING, NO_LESION, FIRST_LESION = 0, LIVER, LIVER + 1

#: Compensation for rare classes: weights of the loss, repeated slices, or none.
BALANCES = ("loss", "resample", "none")


@dataclass(frozen=True)
class Sampling(Options):
    """Part of a run's identity.

    Attributes:
      resample: Every epoch shows each kind of slice (without lesion, and each lesion type present)
        equally often: slices of rare kinds several times, some of common kinds not at all. The
        length of the epoch does not change.
      max_repeats: If a kind has too few slices for its share, the other kinds get the rest. With
        the default a slice is shown up to 800 times in the 80 epochs of the paper's schedule; more
        repeats would teach the slice, not the type.
    """

    keep_without_liver: float = option(
        1.0,
        "Share of the training slices without liver that an epoch shows, drawn again each epoch.",
        low=0,
        high=1,
    )
    keep_without_lesion: float = option(
        1.0,
        "Share of the training slices with liver but no lesion that an epoch shows, drawn again "
        "each epoch.",
        low=0,
        high=1,
    )
    resample: bool = False
    max_repeats: int = option(
        10,
        "Maximum number of times that --balance=resample shows one slice in an epoch; a type with "
        "too few slices is then shown less often than the others.",
        low=1,
    )

    lesion_share: float = option(
        0.0,
        "Share of slices with a lesion in every stretch of an epoch, and so in every batch: slices "
        "of the rarer kind are repeated, up to --max_repeats times. 0: as in the record set.",
        low=0,
        below=1,
        former=0.0,
    )

    @property
    def shows_all(self) -> bool:
        """Whether every epoch shows every slice once."""
        all_kept = self.keep_without_liver == self.keep_without_lesion == 1
        return all_kept and not self.resample and not self.lesion_share

    def in_words(self) -> str:
        """A line that describes what an epoch shows."""
        if self.shows_all:
            return "an epoch shows every training slice once"
        text = (
            f"an epoch shows {self.keep_without_liver:.0%} of the training slices without liver "
            f"and {self.keep_without_lesion:.0%} of those with liver but no lesion"
        )
        if self.resample:
            text += (
                ", then slices without a lesion and of each type equally often, one slice at most "
                f"{self.max_repeats} times"
            )
        if self.lesion_share:
            text += (
                f", then {self.lesion_share:.0%} of slices with a lesion in every batch, one slice "
                f"at most {self.max_repeats} times"
            )
        return text


@dataclass(frozen=True)
class BalancedSampling(Options):
    """The options for sampling, together with the weights of the loss."""

    sampling: Sampling = part(Sampling)
    balance: str = option(
        "loss",
        "Compensation for rare classes. loss: weights each class by the inverse of its share of "
        "pixels. resample: shows slices of each lesion type, and slices without a lesion, equally "
        "often, with equal weights for all pixels. none: neither.",
        choices=BALANCES,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sampling.lesion_share and self.balance == "resample":
            raise OptionError("lesion_share", "cannot be combined with --balance=resample")

    @property
    def weighted_loss(self) -> bool:
        return self.balance == "loss"

    def resolved(self) -> Sampling:
        """The sampling of a run."""
        if self.balance == "resample":
            return replace(self.sampling, resample=True)
        if self.sampling.lesion_share:
            return self.sampling
        # Otherwise max_repeats has no effect, and must not change the run's identity.
        return replace(self.sampling, max_repeats=EVERYTHING.max_repeats)


EVERYTHING = Sampling()


def kinds_of(holds: np.ndarray) -> np.ndarray:
    """The kind of each slice; a slice with several lesion types counts as the rarest of them.

    The rarest type is the one on the fewest slices. No type is shown less often because it appears
    together with others: its slices count as this type or as a rarer one, and slices of rarer types
    are repeated at least as often.

    Args:
      holds: bool [slices, labels], whether a slice has pixels of a label.

    Returns:
      int64 [slices]. Of two equally rare types, the lower label counts.
    """
    kinds = np.where(holds[:, LIVER], NO_LESION, NOTHING)
    # The rarest last, so that it overwrites the others.
    common_first = sorted(
        range(FIRST_LESION, holds.shape[1]), key=lambda label: (-holds[:, label].sum(), -label)
    )
    for label in common_first:
        kinds[holds[:, label]] = label
    return kinds.astype(np.int64)


def times_shown(
    sampling: Sampling, seed: int, epoch: int, examples: np.ndarray, kinds: np.ndarray
) -> np.ndarray:
    """How often an epoch shows each slice.

    Thinning decides on each slice independently of all others; balancing does not.

    Args:
      examples: int64 [slices], the numbers of the slices.
      kinds: int [slices], from ``kinds_of``.

    Returns:
      int64 [slices], zero or more.

    Raises:
      Refusal: ``no-slices``: the result is zero for all slices.
    """
    shares = np.array([sampling.keep_without_liver, sampling.keep_without_lesion, 1.0])
    chance = shares[np.minimum(kinds, FIRST_LESION)]
    kept = _uniform(b"thin", seed, epoch, examples) < chance
    if not kept.any():
        raise Refusal(
            "no-slices",
            None,
            expected="at least one training slice in every epoch",
            found=f"none of {len(examples)} in epoch {epoch + 1}",
            remedy="Raise --keep_without_liver or --keep_without_lesion, or check the labels with "
            "liver-tf verify.",
        )
    times = kept.astype(np.int64)
    if not (sampling.resample or sampling.lesion_share):
        return times
    if sampling.resample:
        group = np.maximum(kinds, NO_LESION)
        present, counts = np.unique(group[kept], return_counts=True)
        shown = _split(int(kept.sum()), counts * sampling.max_repeats, epoch)
    else:
        group = (kinds >= FIRST_LESION).astype(np.int64)
        present, counts = np.unique(group[kept], return_counts=True)
        shown = _shared(sampling.lesion_share, counts, sampling.max_repeats)
    for kind, share in zip(present, shown, strict=True):
        members = np.flatnonzero(kept & (group == kind))
        times[members] = share // len(members)
        first = np.argsort(_uniform(b"rank", seed, epoch, examples[members]), kind="stable")
        times[members[first[: share % len(members)]]] += 1
    return times


def _shared(lesion_share: float, counts: np.ndarray, max_repeats: int) -> np.ndarray:
    """How many slices without and with a lesion are shown, out of ``counts`` different ones.

    The sum is that of ``counts``; a single kind is shown as it is.
    """
    if len(counts) == 1:
        return counts
    total = int(counts.sum())
    without_limit, lesion_limit = counts * max_repeats
    lesions = min(int(lesion_share * total), lesion_limit)
    lesions = max(lesions, total - without_limit)
    return np.array([total - lesions, lesions])


def interleaved(places: np.ndarray, has_lesion: np.ndarray, lesion_share: float) -> np.ndarray:
    """The order of slices in which every stretch has the same share of slices with a lesion.

    Any number of consecutive slices has this share, rounded up or down; that of the whole epoch, if
    the epoch has fewer or more of them.

    Args:
      places: int [slices], in random order.
      has_lesion: bool [slices], of the slice at each place.
    """
    lesions, total = int(has_lesion.sum()), len(places)
    share = lesion_share if int(lesion_share * total) == lesions else lesions / total
    turns = np.floor(np.arange(total) * share).astype(np.int64)
    lesion_turn = np.diff(turns, append=lesions) > 0
    ordered = np.empty_like(places)
    ordered[lesion_turn] = places[has_lesion]
    ordered[~lesion_turn] = places[~has_lesion]
    return ordered


def _split(total: int, most: np.ndarray, epoch: int) -> np.ndarray:
    """Divide ``total`` over the kinds, as evenly as their maxima ``most`` allow; int64 [kinds].

    A remainder goes to another kind in each epoch. ``total`` must not exceed the sum of ``most``.
    """
    order = np.roll(np.arange(len(most)), epoch)
    given = np.zeros(len(most), np.int64)
    while left := total - int(given.sum()):
        room = [kind for kind in order if given[kind] < most[kind]]
        for place, kind in enumerate(room):
            even = (left + len(room) - 1 - place) // len(room)
            given[kind] = min(given[kind] + even, most[kind])
    return given


def _uniform(purpose: bytes, seed: int, epoch: int, examples: np.ndarray) -> np.ndarray:
    """float64 [slices] in [0, 1), a function of (purpose, seed, epoch, slice)."""
    digests = b"".join(
        hashlib.blake2b(
            struct.pack("<qqq", seed, epoch, example), digest_size=8, person=purpose
        ).digest()
        for example in examples.tolist()
    )
    return (np.frombuffer(digests, "<u8") >> 11) / 2.0**53

"""What a network learned from: computed phantoms, real patients or both (``trained_on``).

It is stored in ``model.json`` of a run and copied by fine-tuning, export and prediction, so that no
reader takes a network of phantoms for one of patients.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from liver_tf.counted import counted
from liver_tf.scan_ranges import ScanRanges

#: Kinds of a record set: computed phantoms; real scans with computed lesions; real scans.
PHANTOM, IMPLANTED, REAL = DATA_KINDS = ("phantom", "implanted", "real")
#: Further kinds of training data: several of the above; not stored.
MIXED, UNKNOWN = "mixed", "unknown"

#: Names of data of a known kind in reports.
PHANTOM_LABEL = "PHANTOM data (not patients)"
IMPLANTED_LABEL = "COMPUTED LESIONS in real scans"

UNVALIDATED = "unvalidated on real lesions"

_LEARNED_FROM = {
    PHANTOM: "computed phantoms only, not from patients",
    MIXED: "computed images and from patients",
    REAL: "patients",
}


@dataclass(frozen=True)
class TrainedOn:
    """Training data of a network, those of its pre-training and of early stopping included.

    Attributes:
      kind: ``phantom``, ``mixed`` or ``real``.
      patients: Number of real patients, counted in every record set.
      phantoms: Number of phantoms.
      types_from: Kind of the record set from which lesion types were learned last, one of
        ``DATA_KINDS``; None if the network knows no types, or if it is unknown.
      ranges: Of the scans; None if unknown, as for networks of earlier versions.
    """

    kind: str
    patients: int
    phantoms: int
    types_from: str | None = None
    ranges: ScanRanges | None = None

    def __post_init__(self) -> None:
        if self.kind not in (PHANTOM, MIXED, REAL) or self.types_from not in (None, *DATA_KINDS):
            raise ValueError(f"trained_on: unknown kind {self.kind} or {self.types_from}")
        if min(self.patients, self.phantoms) < 0:
            raise ValueError("trained_on: expected numbers of 0 or more")

    @classmethod
    def of_set(
        cls, data: str, patients: int, *, typed: bool, ranges: ScanRanges | None = None
    ) -> "TrainedOn":
        """Training on one record set of the kind ``data``; ``typed``: with lesion types."""
        phantom = data == PHANTOM
        kind = MIXED if data == IMPLANTED else data
        types_from = data if typed else None
        return cls(kind, 0 if phantom else patients, patients * phantom, types_from, ranges)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "TrainedOn":
        """The inverse of ``asdict``; without ``ranges``, which earlier versions did not store."""
        ranges = value.get("ranges")
        return cls(**{**value, "ranges": ranges and ScanRanges.from_json(ranges)})

    def after(self, earlier: "TrainedOn") -> "TrainedOn":
        """Both, if the weights of this training started from those of ``earlier``."""
        return TrainedOn(
            combined_kind([earlier, self]),
            earlier.patients + self.patients,
            earlier.phantoms + self.phantoms,
            self.types_from,
            joined_ranges([earlier, self]),
        )

    @property
    def types_unvalidated(self) -> bool:
        """Whether lesion types were learned from computed lesions."""
        return self.types_from in (PHANTOM, IMPLANTED)


def combined_kind(each: Iterable[TrainedOn | None]) -> str:
    """The kind of several training data; ``unknown`` if that of one of them is, or for none."""
    kinds = {UNKNOWN if one is None else one.kind for one in each} or {UNKNOWN}
    if len(kinds) == 1:
        return kinds.pop()
    return UNKNOWN if UNKNOWN in kinds else MIXED


def joined_ranges(each: Iterable[TrainedOn | None]) -> ScanRanges | None:
    """The ranges of several training data; None if those of one of them are unknown."""
    joined = None
    for one in each:
        if one is None or one.ranges is None:
            return None
        joined = one.ranges if joined is None else joined.joined(one.ranges)
    return joined


def types_unvalidated(each: Iterable[TrainedOn | None]) -> bool:
    """Whether one of several networks learned its types from computed lesions."""
    return any(one.types_unvalidated for one in each if one)


def training_notice(networks: Mapping[str, Sequence[TrainedOn | None]]) -> str:
    """What networks learned from, for the reader of their results; by the names of their tasks.

    For example ``The liver network learned from 131 patients, the lesion network from 200 computed
    phantoms: research use only.``
    """
    kinds = {combined_kind(each) for each in networks.values()}
    words = {name: _training_words(each) for name, each in networks.items()}
    if kinds == {UNKNOWN}:
        text = "It is not known what these networks learned from"
    elif len(kinds) == 1:
        if len(set(words.values())) > 1:
            numbers = "; ".join(f"{name}: {data}" for name, data in words.items())
        else:
            numbers = next(iter(words.values()))
        text = f"These networks learned from {_LEARNED_FROM[kinds.pop()]} ({numbers})"
    else:
        (first, data), *others = words.items()
        rest = "".join(f", the {name} from {data}" for name, data in others)
        text = f"The {first} learned from {data}{rest}"
    unvalidated = any(map(types_unvalidated, networks.values()))
    return f"{text}: research use only.{f' Lesion types: {UNVALIDATED}.' * unvalidated}"


def _training_words(each: Sequence[TrainedOn | None]) -> str:
    """Numbers of training data, of several networks those of the largest, or ``unknown data``."""
    known = [one for one in each if one is not None]
    if len(known) < len(each) or not known:
        return "unknown data"
    numbers = {
        "patient": {one.patients for one in known},
        "computed phantom": {one.phantoms for one in known},
    }
    return " and ".join(
        f"{'up to ' * (len(values) > 1)}{counted(max(values), noun)}"
        for noun, values in numbers.items()
        if max(values)
    )


@dataclass(frozen=True)
class CascadeTrainedOn:
    """Training data of the networks of a cascade; None for a network where they are unknown."""

    liver_network: TrainedOn | None
    lesion_networks: Sequence[TrainedOn | None]

    @property
    def kind(self) -> str:
        """``phantom``, ``mixed``, ``real`` or ``unknown``, over all networks."""
        return combined_kind([self.liver_network, *self.lesion_networks])

    @property
    def types_unvalidated(self) -> bool:
        """Whether a lesion network learned its types from computed lesions."""
        return types_unvalidated(self.lesion_networks)

    @property
    def ranges(self) -> dict[str, ScanRanges | None]:
        """Ranges of the training scans by network; those of all lesion networks together."""
        return {
            "liver network": joined_ranges([self.liver_network]),
            "lesion network": joined_ranges(self.lesion_networks),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "CascadeTrainedOn":
        """The inverse of ``to_json``."""
        liver, *lesion = [
            one and TrainedOn.from_json(one)
            for one in (value["liver_network"], *value["lesion_networks"])
        ]
        return cls(liver, tuple(lesion))

    @property
    def notice(self) -> str:
        """A sentence for the reader of results; see ``training_notice``."""
        several = "s" * (len(self.lesion_networks) > 1)
        return training_notice(
            {
                "liver network": [self.liver_network],
                f"lesion network{several}": self.lesion_networks,
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "kind": self.kind,
            "notice": self.notice,
            "types": UNVALIDATED if self.types_unvalidated else None,
            "ranges_unknown": [name for name, ranges in self.ranges.items() if ranges is None],
            "liver_network": self.liver_network and asdict(self.liver_network),
            "lesion_networks": [one and asdict(one) for one in self.lesion_networks],
        }


#: Of results without stored training data.
NOT_STORED = CascadeTrainedOn(None, ())

"""``manifest.json``: the content of a record set. It is written last and marks the set as complete.

A shard holds one case, so a fold is a choice of files, an interrupted conversion resumes at any
case, and worker processes are independent.
"""

import hashlib
import json
import math
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from liver_tf import atomic_files
from liver_tf.bounded_files import read_json
from liver_tf.labels import LIVER, LabelSet
from liver_tf.records import slice_hash
from liver_tf.records.bad_records import bad_records
from liver_tf.records.case_statistics import CaseStatistics
from liver_tf.records.content_checksum import is_intact, with_checksum
from liver_tf.records.pixel_encoding import RAW
from liver_tf.records.record_schema import SCHEMA_VERSION
from liver_tf.refusals import Refusal
from liver_tf.scan_ranges import ScanRanges, ScanValues
from liver_tf.trained_on import DATA_KINDS, IMPLANTED, PHANTOM, TrainedOn

MANIFEST_NAME = "manifest.json"
#: Keys of a manifest besides its checksum, which earlier versions did not write.
_FIELDS = (
    *("schema", "label_set", "window", "encoding", "fingerprint"),
    *("records", "roi", "made_by", "refusals", "cases"),
)
#: Key in the details of a case whose records have tissue maps.
HAS_TISSUES = "tissues"
#: Keys in the details of a case: spacings of a volume (slices, rows, columns), of a case of slices
#: (rows, columns), joined by ``x``.
SPACING, PIXEL_SPACING = "spacing_mm", "pixel_mm"
#: Key of ``made_by``: the kind of the data, one of ``trained_on.DATA_KINDS``.
DATA = "data"
#: Key of ``made_by``: how the labels of neighbours were made, if the set has any.
MADE_LABELS = "made_labels"


@dataclass(frozen=True)
class NeighbourShard:
    """The unlabelled slices next to the annotated ones of a case.

    The shard lies beside that of the case in the record set of whole slices. It belongs to no split
    part as data, but the leakage guard compares ``hashes`` as it does those of the case.

    Attributes:
      shard, records, bytes, sha256, hashes: As in ``CaseEntry``.
    """

    shard: str
    records: int
    bytes: int
    sha256: str
    hashes: tuple[str, ...]

    def __post_init__(self) -> None:
        _require_shard(self)


@dataclass(frozen=True)
class CaseEntry:
    """A case and its shard.

    Attributes:
      case, patient: Pseudonyms.
      group: The patient, or a source that patients share; a group is in one part of a split only.
      records: Number of slices.
      bytes, sha256: Of the shard.
      diagnosis: Of the case (its most frequent lesion type), ``healthy``, or empty.
      statistics: Pixel counts and liver HU.
      hashes: Of every slice, for the leakage guard (``slice_hash.hash_slice``).
      cautions: Codes and texts of irregularities that were accepted.
      details: Scanner and settings.
      neighbours: Unlabelled slices, which no reader of ``shard`` sees; None without any.
    """

    case: str
    patient: str
    group: str
    shard: str
    records: int
    bytes: int
    sha256: str
    diagnosis: str
    statistics: CaseStatistics
    hashes: tuple[str, ...]
    cautions: tuple[tuple[str, str], ...] = ()
    details: dict[str, str] = field(default_factory=dict)
    neighbours: NeighbourShard | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON; ``neighbours`` only where there are some."""
        value = asdict(self)
        if self.neighbours is None:
            del value["neighbours"]
        return value

    @property
    def all_hashes(self) -> tuple[str, ...]:
        """Of all slices, unlabelled ones included, for the leakage guard."""
        more = () if self.neighbours is None else self.neighbours.hashes
        return tuple(dict.fromkeys(self.hashes + more))

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "CaseEntry":
        """The inverse of ``to_json``.

        Raises ``ValueError`` unless every slice has a hash and the shard is a bare name, which
        cannot lead out of the folder.
        """
        neighbours = value.get("neighbours")
        if neighbours is not None:
            neighbours = NeighbourShard(**{**neighbours, "hashes": tuple(neighbours["hashes"])})
        entry = cls(
            **{
                **value,
                "statistics": CaseStatistics.from_json(value["statistics"]),
                "hashes": tuple(value["hashes"]),
                "cautions": tuple(tuple(caution) for caution in value["cautions"]),
                "neighbours": neighbours,
            }
        )
        _require_shard(entry)
        return entry


def _require_shard(entry: CaseEntry | NeighbourShard) -> None:
    if len(slice_hash.parse_hashes(entry.hashes)) != entry.records:
        raise ValueError("expected a hash for every slice")
    if Path(entry.shard).name != entry.shard or entry.shard in ("", ".."):
        raise ValueError("expected a file name without folders as shard")


@dataclass(frozen=True)
class Manifest:
    """The content of ``manifest.json``.

    Attributes:
      label_set: Of the label maps.
      window: (low, high) HU to which images are clipped.
      cases: One entry per shard.
      refusals: Code and text of every input that was refused.
      encoding: Of pixels, one of ``liver_tf.records.pixel_encoding.ENCODINGS``.
      roi: None for whole slices, else how the regions were made.
      made_by: Program version, arguments, ``data`` (the kind of the data), and ``site_key``, the
        fingerprint of the key of the pseudonyms.
    """

    label_set: LabelSet
    window: tuple[int, int]
    cases: tuple[CaseEntry, ...]
    refusals: tuple[dict[str, str], ...] = ()
    encoding: str = RAW
    roi: dict[str, Any] | None = None
    made_by: dict[str, Any] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """Number of slices."""
        return sum(case.records for case in self.cases)

    def trained_on(self, cases: Collection[str], *, typed: bool) -> TrainedOn | None:
        """What a network learns from the given cases; None if the kind of the data is unknown.

        ``typed``: whether its classes include lesion types.
        Earlier versions did not store the kind; tissue maps are of phantoms only.
        """
        chosen = [entry for entry in self.cases if entry.case in cases]
        mapped = chosen and all(HAS_TISSUES in entry.details for entry in chosen)
        kind = PHANTOM if mapped else self.made_by.get(DATA)
        if any(_holds_implants(entry) for entry in chosen):
            kind = IMPLANTED
        if kind not in DATA_KINDS:
            return None
        patients = len({entry.patient for entry in chosen})
        ranges = ScanRanges.of_scans(map(_scan_values, chosen))
        return TrainedOn.of_set(kind, patients, typed=typed, ranges=ranges)

    @property
    def fingerprint(self) -> str:
        """Hex digest that depends on all pixels, labels, cases, the window and the label set."""
        identity = {
            "schema": SCHEMA_VERSION,
            "label_set": asdict(self.label_set),
            "window": self.window,
            "shards": sorted((case.case, case.records, case.sha256) for case in self.cases),
        }
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write ``manifest.json`` with its checksum into a folder, atomically."""
        content = {
            "schema": SCHEMA_VERSION,
            "label_set": asdict(self.label_set),
            "window": self.window,
            "encoding": self.encoding,
            "fingerprint": self.fingerprint,
            "records": self.records,
            "roi": self.roi,
            "made_by": self.made_by,
            "refusals": self.refusals,
            "cases": [case.to_json() for case in self.cases],
        }
        atomic_files.write_json(folder / MANIFEST_NAME, with_checksum(content))


def implanted(manifest: Manifest) -> dict[str, str]:
    """``data`` for what results depend on, if the lesions are computed ones in real scans."""
    marked = manifest.made_by.get(DATA) == IMPLANTED
    marked = marked or any(map(_holds_implants, manifest.cases))
    return {DATA: IMPLANTED} if marked else {}


def _scan_values(entry: CaseEntry) -> ScanValues:
    """What a case adds to the ranges of the training scans."""
    details, pixels = entry.details, entry.statistics.class_pixels[LIVER:]
    spacing = [float(each) for each in details.get(SPACING, "").split("x") if each]
    in_plane = [float(each) for each in details.get(PIXEL_SPACING, "").split("x") if each]
    thickness = details.get("slice_thickness_mm")
    return {
        "pixel_mm": max(spacing[1:] or in_plane, default=None),
        "slice_mm": spacing[0] if spacing else float(thickness) if thickness else None,
        "liver_hu": entry.statistics.liver_sum / pixels[0] if pixels[0] else None,
        "liver_ml": sum(pixels) * math.prod(spacing) / 1000 if spacing and sum(pixels) else None,
    }


def _holds_implants(entry: CaseEntry) -> bool:
    """Whether the files of a case had the mark of computed lesions."""
    return any(code == IMPLANTED for code, _ in entry.cautions)


def load_manifest(folder: Path | str) -> Manifest:
    """Read the manifest of a record set; its checksum is compared if it has one.

    Raises:
      Refusal: ``no-manifest`` (no record set, or an unfinished conversion), ``manifest-damaged``,
        ``schema-version``.
    """
    path = Path(folder) / MANIFEST_NAME
    if not path.is_file():
        found = "a folder without one" if Path(folder).is_dir() else "no such folder"
        raise bad_records("no-manifest", folder, f"a record set with its {MANIFEST_NAME}", found)
    try:
        value = read_json(path)
        schema = value["schema"]
    except (ValueError, KeyError, TypeError):
        raise _damaged(path) from None
    if schema != SCHEMA_VERSION:
        expected = f"record schema {SCHEMA_VERSION}"
        raise bad_records("schema-version", path, expected, f"schema {schema!r}")
    if not is_intact(value, _FIELDS):
        raise _damaged(path, "content that does not match its checksum")
    try:
        low, high = value["window"]
        return Manifest(
            label_set=LabelSet(value["label_set"]["name"], tuple(value["label_set"]["classes"])),
            window=(low, high),
            cases=tuple(CaseEntry.from_json(case) for case in value["cases"]),
            refusals=tuple(value["refusals"]),
            encoding=value["encoding"],
            roi=value["roi"],
            made_by=value["made_by"],
        )
    except (ValueError, KeyError, TypeError):
        raise _damaged(path) from None


def _damaged(path: Path, found: str = "other content") -> Refusal:
    expected = "the JSON that the conversion writes"
    return bad_records("manifest-damaged", path, expected, found)

"""``manifest.json``: what a folder of shards holds. Written last; without it there is no data set.

A shard holds one case. So a fold is a choice of files, a conversion can stop and go on at any
case, and several processes need not talk to each other.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from liver_tf import atomic_files
from liver_tf.labels import LabelSet
from liver_tf.records import slice_hash
from liver_tf.records.case_statistics import CaseStatistics
from liver_tf.records.pixel_encoding import RAW
from liver_tf.records.record_schema import SCHEMA_VERSION
from liver_tf.refusals import Refusal

MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True)
class CaseEntry:
    """One case and its shard.

    Attributes:
      case, patient: pseudonyms. ``group``: cases of one group never lie on both sides of a split
        (the patient, or a wider source that patients share).
      records: count of slices. ``bytes``, ``sha256``: of the shard.
      diagnosis: of the case (its most frequent lesion type), ``healthy``, or empty.
      hashes: of every slice, for the leakage guard (``slice_hash.hash_slice``).
      cautions: codes and texts of what was odd but accepted.
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

    def to_json(self) -> dict:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict) -> CaseEntry:
        if len(slice_hash.parse_hashes(value["hashes"])) != value["records"]:
            raise ValueError("expected a hash for every slice")
        return cls(
            **{
                **value,
                "statistics": CaseStatistics.from_json(value["statistics"]),
                "hashes": tuple(value["hashes"]),
                "cautions": tuple(tuple(caution) for caution in value["cautions"]),
            }
        )


@dataclass(frozen=True)
class Manifest:
    """The contents of ``manifest.json``.

    Attributes:
      window: (low, high) HU to which images are clipped.
      encoding: of pixels, one of ``liver_tf.records.pixel_encoding.ENCODINGS``.
      roi: None for whole slices, else how the regions were made.
      refusals: code and text of every input that was refused.
      made_by: program version, arguments, and ``site_key``, the fingerprint of the key behind the
        pseudonyms.
    """

    label_set: LabelSet
    window: tuple[int, int]
    cases: tuple[CaseEntry, ...]
    refusals: tuple[dict[str, str], ...] = ()
    encoding: str = RAW
    roi: dict | None = None
    made_by: dict = field(default_factory=dict)

    @property
    def records(self) -> int:
        return sum(case.records for case in self.cases)

    @property
    def fingerprint(self) -> str:
        """Hex digest of the data: changes with any pixel, label, case, window or label set."""
        identity = {
            "schema": SCHEMA_VERSION,
            "label_set": asdict(self.label_set),
            "window": self.window,
            "shards": sorted((case.case, case.records, case.sha256) for case in self.cases),
        }
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        atomic_files.write_json(
            folder / MANIFEST_NAME,
            {
                "schema": SCHEMA_VERSION,
                "label_set": {
                    "name": self.label_set.name,
                    "classes": list(self.label_set.classes),
                },
                "window": list(self.window),
                "encoding": self.encoding,
                "fingerprint": self.fingerprint,
                "records": self.records,
                "roi": self.roi,
                "made_by": self.made_by,
                "refusals": list(self.refusals),
                "cases": [case.to_json() for case in self.cases],
            },
        )


def load_manifest(folder: Path | str) -> Manifest:
    """Read a data set's manifest.

    Raises ``Refusal`` where there is none (a conversion that never ended, or no data set), where
    it cannot be read, or where it was written for another record schema.
    """
    path = Path(folder) / MANIFEST_NAME
    if not path.is_file():
        raise Refusal(
            "no-manifest",
            folder,
            expected=f"a data set with its {MANIFEST_NAME}",
            found="a folder without one" if Path(folder).is_dir() else "no such folder",
            remedy="Run data_prep.build_tfrecords (for ROIs data_prep.make_rois), again if it was "
            "cut off: it goes on where it stopped.",
        )
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        schema = value["schema"]
    except (ValueError, KeyError, TypeError):
        raise _damaged(path) from None
    if schema != SCHEMA_VERSION:
        raise Refusal(
            "schema-version",
            path,
            expected=f"record schema {SCHEMA_VERSION}",
            found=f"schema {schema!r}",
            remedy="Convert the data again with this version of the program.",
        )
    try:
        return Manifest(
            label_set=LabelSet(value["label_set"]["name"], tuple(value["label_set"]["classes"])),
            window=tuple(value["window"]),
            cases=tuple(CaseEntry.from_json(case) for case in value["cases"]),
            refusals=tuple(value["refusals"]),
            encoding=value["encoding"],
            roi=value["roi"],
            made_by=value["made_by"],
        )
    except (ValueError, KeyError, TypeError):
        raise _damaged(path) from None


def _damaged(path: Path) -> Refusal:
    return Refusal(
        "manifest-damaged",
        path,
        expected="the JSON that the converter wrote",
        found="something else",
        remedy="Delete the file and convert again; complete shards are kept.",
    )

"""Small record sets for tests: random blobs of liver and lesion in a body."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from liver_tf.inference.roi_rule import RoiRule
from liver_tf.labels import HEALTHY, LESION_TYPES, LabelSet
from liver_tf.records import case_statistics
from liver_tf.records.content_checksum import with_checksum
from liver_tf.records.manifest import CaseEntry, Manifest
from liver_tf.records.record_schema import SliceRecord
from liver_tf.records.shard_writer import write_shard
from liver_tf.records.slice_hash import hash_slice

WINDOW = (-160, 240)


def draw_slice(
    generator: np.random.Generator, rows: int, columns: int, lesion: int
) -> tuple[np.ndarray, np.ndarray]:
    """HU int16 and labels uint8, both [rows, columns]; ``lesion`` is its label, or 0 for none."""
    row, column = np.mgrid[:rows, :columns]
    row, column = (row + 0.5) / rows, (column + 0.5) / columns
    hu = np.full((rows, columns), -160.0)
    hu[(row - 0.5) ** 2 + (column - 0.5) ** 2 < 0.2] = 40
    shift = generator.uniform(-0.05, 0.05, 2)
    distance = np.hypot(row - 0.45 - shift[0], column - 0.4 - shift[1])
    labels = (distance < 0.25).astype(np.uint8)
    if lesion:
        labels[distance < generator.uniform(0.08, 0.13)] = lesion
    hu[labels == 1] = 110
    for label, level in ((2, 10), (3, 160), (4, 60)):
        hu[labels == label] = level
    hu += generator.normal(0, 10, hu.shape)
    return np.clip(np.rint(hu), *WINDOW).astype(np.int16), labels


def write_set(
    folder: Path,
    *,
    patients: int = 6,
    slices: int = 2,
    rows: int = 32,
    columns: int = 32,
    label_set: LabelSet = LESION_TYPES,
    roi: bool = True,
    seed: int = 0,
    prefix: str = "",
) -> Manifest:
    """Write a record set with one case per patient; the diagnoses cycle through the lesion types.

    Cases are named ``prefix`` + case0 and so on; use another prefix for sets of other patients.
    """
    generator = np.random.default_rng(seed)
    entries = []
    for number in range(patients):
        kind = number % (len(label_set) - 1)
        lesion = 0 if kind == len(label_set) - 2 else kind + 2
        diagnosis = label_set.classes[lesion] if lesion else HEALTHY
        names = f"{prefix}case{number}", f"{prefix}pat{number}"
        records = []
        for index in range(slices):
            image, labels = draw_slice(generator, rows, columns, lesion)
            records.append(SliceRecord(image, labels, (0.8, 0.8), *names, index, diagnosis))
        entries.append(write_case(folder, records, label_set))
    rule = {"rule": asdict(RoiRule()), "source_fingerprint": "0" * 64} if roi else None
    manifest = Manifest(label_set, WINDOW, tuple(entries), roi=rule, made_by={"test": "tiny"})
    manifest.save(folder)
    return manifest


def resealed(text: str) -> str:
    """An edited JSON file of a record set with the checksum of its content, if it is one."""
    try:
        content = json.loads(text)
    except ValueError:
        return text
    if not isinstance(content, dict):
        return text
    return json.dumps(with_checksum(content), indent=1) + "\n"


def write_case(folder: Path, records: list[SliceRecord], label_set: LabelSet) -> CaseEntry:
    """Write one shard and return its entry."""
    first = records[0]
    shard = folder / f"{first.case}.tfrecord"
    info = write_shard(shard, records)
    parts = [case_statistics.of_slice(r.image, r.labels, len(label_set)) for r in records]
    return CaseEntry(
        case=first.case,
        patient=first.patient,
        group=first.patient,
        shard=shard.name,
        records=info.records,
        bytes=info.bytes,
        sha256=info.sha256,
        diagnosis=first.diagnosis,
        statistics=case_statistics.total(parts),
        hashes=tuple(hash_slice(r.image, r.slice_index) for r in records),
    )

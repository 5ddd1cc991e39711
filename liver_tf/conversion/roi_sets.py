"""A record set of whole slices to one of ROIs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from liver_tf import atomic_files
from liver_tf.conversion.output_folder import begun_anew, sweep
from liver_tf.disk_full import write_errors_as_refusals
from liver_tf.inference.liver_finder import LiverFinder
from liver_tf.inference.roi_box import RoiRule, boxes_of_scan, crop
from liver_tf.labels import BACKGROUND, LIVER
from liver_tf.records import case_statistics
from liver_tf.records.manifest import CaseEntry, Manifest, load_manifest
from liver_tf.records.record_schema import SliceRecord
from liver_tf.records.shards import check_shards, read_case, write_shard
from liver_tf.records.slice_hash import slice_index
from liver_tf.records.training_data_file import LIVER_TRAINING_DATA
from liver_tf.refusals import Refusal


@dataclass
class Tally:
    """How well the boxes hold what they should."""

    slices_with_liver: int = 0
    missed: int = 0
    lesion_pixels: int = 0
    lesion_pixels_inside: int = 0

    def text(self) -> str:
        share = self.lesion_pixels_inside / self.lesion_pixels if self.lesion_pixels else 1.0
        return (
            f"{self.missed} of {self.slices_with_liver} slices with liver got no ROI; "
            f"{share:.1%} of all lesion pixels lie inside the ROIs"
        )


def cut_regions(
    source: Path,
    output: Path,
    finder: LiverFinder | None,
    rule: RoiRule,
    liver_seen: Path | None = None,
) -> tuple[Manifest, str]:
    """Cut the ROI of every slice with liver and write them as a record set of its own.

    Args:
      finder: the liver network, or None to take the labelled liver.
      liver_seen: ``seen.json`` of the liver network, which the leakage guard asks for later.

    Returns:
      The manifest, and a sentence on how well the boxes hold liver and lesions. Cases in which
      no liver is found have no shard.

    Raises:
      Refusal: where the source's shards disagree with their manifest; ``roi-of-roi``,
        ``same-folder``, ``no-roi``; and as :func:`liver_tf.conversion.output_folder.begun_anew`.
    """
    manifest = load_manifest(source)
    _refuse_misuse(source, output, manifest)
    check_shards(source, manifest)
    roi = {
        "rule": asdict(rule),
        "liver": "labels" if finder is None else "network",
        "source_fingerprint": manifest.fingerprint,
        "liver_data_fingerprint": None if finder is None else finder.description.data_fingerprint,
        "liver_seen": None if liver_seen is None else atomic_files.sha256_of(liver_seen),
    }
    tally = Tally()
    with begun_anew(output):
        entries = []
        for entry in tqdm(manifest.cases, desc="cut ROIs", unit="case"):
            cut = _cut_case(source, output, manifest, entry, finder, rule, tally)
            if cut is not None:
                entries.append(cut)
        if not entries:
            raise Refusal(
                "no-roi",
                source,
                expected="a liver in at least one slice",
                found=f"none in {manifest.records} slices",
                remedy="Train the liver network longer, or try --true_liver.",
            )
        sweep(output, {entry.case for entry in entries})
        with write_errors_as_refusals(output):
            (output / LIVER_TRAINING_DATA).unlink(missing_ok=True)
            if liver_seen is not None:
                atomic_files.write_text(output / LIVER_TRAINING_DATA, liver_seen.read_text("utf-8"))
        made = replace(manifest, cases=tuple(entries), roi={**roi, "result": asdict(tally)})
        made.save(output)
    return made, tally.text()


def _refuse_misuse(source: Path, output: Path, manifest: Manifest) -> None:
    if manifest.roi is not None:
        raise Refusal(
            "roi-of-roi",
            source,
            expected="a record set of whole slices",
            found="one of ROIs",
            remedy="Cut from the set that build_tfrecords made.",
        )
    if output.resolve() == source.resolve():
        raise Refusal(
            "same-folder",
            output,
            expected="an output folder other than the input",
            found="the same",
            remedy="Choose another --output: whole slices and ROIs are two record sets.",
        )


def _cut_case(
    source: Path,
    output: Path,
    manifest: Manifest,
    entry: CaseEntry,
    finder: LiverFinder | None,
    rule: RoiRule,
    tally: Tally,
) -> CaseEntry | None:
    records = list(read_case(source, entry))
    parts: list[case_statistics.CaseStatistics] = []
    classes = len(manifest.label_set)
    rois = []
    for scan in _scans(records, single_slices=manifest.made_by.get("source") == "slices"):
        for record in _regions(scan, finder, rule, manifest.window[0], tally):
            parts.append(case_statistics.of_slice(record.image, record.labels, classes))
            rois.append(record)
    if not rois:
        return None
    kept = {record.slice_index for record in rois}
    with write_errors_as_refusals(output):
        info = write_shard(output / entry.shard, rois, manifest.encoding)
    return replace(
        entry,
        records=info.records,
        bytes=info.bytes,
        sha256=info.sha256,
        statistics=case_statistics.total(parts),
        # Of the whole slices: a patient is no other one for being cut elsewhere.
        hashes=tuple(text for text in entry.hashes if slice_index(text) in kept),
    )


def _scans(records: list[SliceRecord], *, single_slices: bool) -> list[list[SliceRecord]]:
    """A volume is one scan; single slices of a patient are a scan each."""
    return [[record] for record in records] if single_slices else [records]


def _regions(
    scan: list[SliceRecord],
    finder: LiverFinder | None,
    rule: RoiRule,
    air_hu: int,
    tally: Tally,
) -> Iterator[SliceRecord]:
    if finder is None:
        livers = np.stack([record.labels >= LIVER for record in scan])
    else:
        livers = finder.find(np.stack([record.image for record in scan]))
    boxes = boxes_of_scan(livers, scan[0].spacing_mm, rule)
    for record, box in zip(scan, boxes, strict=True):
        has_liver = bool((record.labels >= LIVER).any())
        lesion = int((record.labels > LIVER).sum())
        tally.slices_with_liver += has_liver
        tally.lesion_pixels += lesion
        if box is None:
            tally.missed += has_liver
            continue
        labels = crop(record.labels, box, BACKGROUND)
        tally.lesion_pixels_inside += int((labels > LIVER).sum())
        yield replace(
            record,
            image=crop(record.image, box, air_hu),
            labels=labels,
            box=box,
            source_size=record.image.shape,
        )

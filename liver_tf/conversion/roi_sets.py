"""Cuts a record set of ROIs, one around each liver, out of a record set of whole slices."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from liver_tf import atomic_files
from liver_tf.conversion.derived_shard import write_derived_shard
from liver_tf.conversion.output_folder import remove_leftovers, rewritten_folder
from liver_tf.disk_full import write_errors_as_refusals
from liver_tf.folder_lock import is_around
from liver_tf.inference.liver_finder import LiverFinder
from liver_tf.inference.roi_box import boxes_of_scan, crop
from liver_tf.inference.roi_rule import RoiRule
from liver_tf.labels import BACKGROUND, LIVER
from liver_tf.phantom.tissue_codes import Tissue
from liver_tf.progress import with_progress
from liver_tf.records.bad_records import bad_records
from liver_tf.records.manifest import CaseEntry, Manifest, load_manifest
from liver_tf.records.record_schema import SliceRecord
from liver_tf.records.shard_reader import check_shards, read_case
from liver_tf.records.training_data_file import LIVER_TRAINING_DATA


@dataclass
class RoiCoverage:
    """How well the ROIs cover liver and lesions; stored in the manifest."""

    slices_with_liver: int = 0
    missed: int = 0
    lesion_pixels: int = 0
    lesion_pixels_inside: int = 0

    def text(self) -> str:
        share = self.lesion_pixels_inside / self.lesion_pixels if self.lesion_pixels else 1.0
        return (
            f"{self.missed} of {self.slices_with_liver} slices with liver have no ROI; "
            f"{share:.1%} of all lesion pixels are inside the ROIs"
        )


def cut_rois(
    source: Path,
    output: Path,
    finder: LiverFinder | None,
    rule: RoiRule,
    liver_seen: Path | None = None,
) -> tuple[Manifest, str]:
    """Cut the ROI of every slice with liver and write a record set of ROIs.

    Args:
      source: record set of whole slices.
      finder: the liver network, or None to use the labelled liver.
      liver_seen: the liver network's list of training data, which the leakage guard needs later.

    Returns:
      The manifest, and a sentence on the coverage of liver and lesions. Cases without a liver have
      no shard.

    Raises:
      Refusal: ``roi-of-roi``, ``same-folder``, ``no-roi``; shards of the source do not match their
        manifest; and as :func:`liver_tf.conversion.output_folder.rewritten_folder`.
    """
    manifest = load_manifest(source)
    if manifest.roi is not None:
        expected = "a record set of whole slices"
        raise bad_records("roi-of-roi", source, expected, "a record set of ROIs")
    if is_around(output, source):
        expected = "an output folder different from the input, and not around it"
        raise bad_records("same-folder", output, expected, "the same folder, or one around it")
    check_shards(source, manifest)
    cutter = _RoiCutter(source, output, manifest, finder, rule)
    roi = {
        "rule": asdict(rule),
        "liver": "labels" if finder is None else "network",
        "source_fingerprint": manifest.fingerprint,
        "liver_data_fingerprint": None
        if finder is None
        else finder.network.description.data_fingerprint,
        **({} if finder is None else finder.rule.stated()),
        "liver_seen": None if liver_seen is None else atomic_files.sha256_of(liver_seen),
    }
    with rewritten_folder(output):
        cut = (cutter.cut_case(e) for e in with_progress(manifest.cases, "cut ROIs", "case"))
        entries = tuple(entry for entry in cut if entry is not None)
        if not entries:
            found = f"none in {manifest.records} slices"
            raise bad_records("no-roi", source, "a liver in at least one slice", found)
        remove_leftovers(output, {entry.case for entry in entries})
        with write_errors_as_refusals(output):
            (output / LIVER_TRAINING_DATA).unlink(missing_ok=True)
            if liver_seen is not None:
                atomic_files.write_text(output / LIVER_TRAINING_DATA, liver_seen.read_text("utf-8"))
        coverage = cutter.coverage
        roi_manifest = replace(manifest, cases=entries, roi={**roi, "result": asdict(coverage)})
        roi_manifest.save(output)
    return roi_manifest, coverage.text()


@dataclass(frozen=True)
class _RoiCutter:
    source: Path
    output: Path
    manifest: Manifest
    finder: LiverFinder | None
    rule: RoiRule
    coverage: RoiCoverage = field(default_factory=RoiCoverage)

    def cut_case(self, entry: CaseEntry) -> CaseEntry | None:
        """Write the ROIs of a case; None if no liver is found in it."""
        records = list(read_case(self.source, entry))
        single_slices = self.manifest.made_by.get("source") == "slices"
        # Each slice of a CSV counts as a separate scan.
        scans = [[record] for record in records] if single_slices else [records]
        rois = [roi for scan in scans for roi in self._rois_of_scan(scan)]
        if not rois:
            return None
        return write_derived_shard(self.output, entry, rois, self.manifest)

    def _rois_of_scan(self, scan: list[SliceRecord]) -> Iterator[SliceRecord]:
        if self.finder is None:
            livers = np.stack([record.labels >= LIVER for record in scan])
        else:
            livers = self.finder.find(np.stack([record.image for record in scan]))
        boxes = boxes_of_scan(livers, scan[0].spacing_mm, self.rule)
        coverage = self.coverage
        for record, box in zip(scan, boxes, strict=True):
            has_liver = bool((record.labels >= LIVER).any())
            coverage.slices_with_liver += has_liver
            coverage.lesion_pixels += int((record.labels > LIVER).sum())
            if box is None:
                coverage.missed += has_liver
                continue
            labels = crop(record.labels, box, BACKGROUND)
            coverage.lesion_pixels_inside += int((labels > LIVER).sum())
            tissues = record.tissues
            yield replace(
                record,
                tissues=None if tissues is None else crop(tissues, box, Tissue.AIR),
                image=crop(record.image, box, self.manifest.window[0]),
                labels=labels,
                box=box,
                source_size=record.image.shape,
            )

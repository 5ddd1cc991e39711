"""Makes the extended record set: annotated ROIs, and those of neighbours with made labels.

Only neighbours of the run's training cases are labelled. Validation and test cases stay as they
are, so nothing is measured on made labels. The training data of the labelling network are stored
beside the records: the leakage guard refuses a fold whose test patients are among them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from liver_tf import atomic_files, run_files
from liver_tf.anatomical.augment_settings import AugmentSettings
from liver_tf.anatomical.label_quality import LabelQuality, TrueNeighbours
from liver_tf.anatomical.label_rule import NO_ROI, OUTCOMES, Decision, make_labels
from liver_tf.anatomical.review_page import PAGE, Place, Reviewed, draw_panels, write_review
from liver_tf.assessment.split_cases import cases_of_part
from liver_tf.conversion.derived_shard import write_derived_shard
from liver_tf.conversion.output_folder import remove_leftovers, rewritten_folder
from liver_tf.disk_full import write_errors_as_refusals
from liver_tf.inference import postprocessing
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.decision_rules import THRESHOLD
from liver_tf.inference.roi_box import crop
from liver_tf.labels import BACKGROUND
from liver_tf.model.description import liver_identity
from liver_tf.model.weights_file import stored_hash
from liver_tf.progress import with_progress
from liver_tf.records.manifest import (
    MADE_LABELS,
    MANIFEST_NAME,
    CaseEntry,
    Manifest,
    load_manifest,
)
from liver_tf.records.record_schema import Box, SliceRecord
from liver_tf.records.shard_reader import check_shards, read_case, read_neighbours
from liver_tf.records.training_data_file import LABEL_TRAINING_DATA, LIVER_TRAINING_DATA
from liver_tf.refusals import Refusal


@dataclass(frozen=True)
class ExtendedSet:
    """An extended record set.

    Attributes:
      outcomes: Number of neighbours by outcome.
      quality: Of the labels, from ``LabelQuality.summary``; empty without true labels.
    """

    folder: Path
    manifest: Manifest
    outcomes: Mapping[str, int]
    quality: Mapping[str, Mapping[str, float | int | None]]

    def text(self) -> str:
        """What was made, for the terminal."""
        lines = [
            f"{self.folder}: {self.manifest.records} ROIs of {len(self.manifest.cases)} cases, "
            f"fingerprint {self.manifest.fingerprint[:16]}"
        ]
        lines += [f"{self.outcomes.get(o, 0):5} neighbours {text}" for o, text in OUTCOMES.items()]
        for row, figures in self.quality.items():
            shown = (f"{name} {value:.3g}" for name, value in figures.items() if value is not None)
            lines.append(f"{row}: {', '.join(shown)}")
        return "\n".join([*lines, f"page: {self.folder / PAGE}"])


def augment_anatomically(settings: AugmentSettings | None = None, /, **options: Any) -> ExtendedSet:
    """Label the neighbours of a run's training slices and write the extended record set.

    A set that was made with the same inputs and rule is returned as it is.

    Raises:
      Refusal: ``no-neighbours``; ``other-records`` if the ROIs were cut from other records; as
        ``cases_of_part``, ``Cascade.of_runs``, ``check_shards``, ``rewritten_folder``.
    """
    settings = AugmentSettings.of(settings, **options)
    manifest, rois = load_manifest(settings.records), load_manifest(settings.roi_records)
    _check_inputs(settings, manifest, rois)
    training = frozenset(cases_of_part(settings.run, manifest, "training"))
    made_of = _made_of(settings, manifest, rois)
    stored = _stored(settings.output)
    if stored is not None and _without_result(stored) == made_of:
        check_shards(settings.output, stored)
        return _extended(settings.output, stored)
    check_shards(settings.roi_records, rois)
    check_shards(settings.records, manifest, training)
    maker = _Maker(settings, manifest, rois, training)
    with rewritten_folder(settings.output):
        entries = [maker.extend(entry) for entry in with_progress(rois.cases, "label", "case")]
        remove_leftovers(settings.output, {entry.case for entry in entries})
        with write_errors_as_refusals(settings.output):
            for name, source in (
                (LABEL_TRAINING_DATA, settings.run / run_files.TRAINING_DATA),
                (LIVER_TRAINING_DATA, settings.roi_records / LIVER_TRAINING_DATA),
            ):
                (settings.output / name).unlink(missing_ok=True)
                if source.is_file():
                    text = source.read_text("utf-8")
                    atomic_files.write_text(settings.output / name, text)
            result = {"outcomes": maker.outcomes(), "quality": maker.quality()}
            made_labels = {**made_of, "result": result}
            extended = replace(
                rois,
                cases=tuple(entries),
                made_by={**rois.made_by, MADE_LABELS: made_labels},
            )
            write_review(settings.output, extended, maker.reviewed)
            extended.save(settings.output)
    return _extended(settings.output, extended)


def _check_inputs(settings: AugmentSettings, manifest: Manifest, rois: Manifest) -> None:
    if not any(entry.neighbours for entry in manifest.cases):
        raise Refusal(
            "no-neighbours",
            settings.records,
            expected="a record set with unlabelled neighbours",
            found="none",
            remedy="Add the column neighbours to the CSV and convert it again; trained networks "
            "stay valid.",
        )
    of_these = (rois.roi or {}).get("source_fingerprint") == manifest.fingerprint
    if not of_these or MADE_LABELS in rois.made_by:
        raise Refusal(
            "other-records",
            settings.roi_records,
            expected="the ROIs of the annotated slices in --records",
            found="ROIs of another source, or an extended record set",
            remedy="Cut the ROIs with liver-tf make_rois.",
        )


def _made_of(settings: AugmentSettings, manifest: Manifest, rois: Manifest) -> dict[str, Any]:
    """Everything that the set depends on."""
    seen = settings.run / run_files.TRAINING_DATA
    neighbours = [e.neighbours.sha256 for e in manifest.cases if e.neighbours is not None]
    return {
        "rule": asdict(settings.rule),
        "weights": stored_hash(settings.run / run_files.WEIGHTS),
        **liver_identity(settings.liver_run),
        "postprocessing": postprocessing.of_runs([settings.run], **_decision(settings)).text(),
        "roi_records": rois.fingerprint,
        "neighbours": neighbours,
        "seen": atomic_files.sha256_of(seen) if seen.is_file() else None,
        "truth": None if settings.truth is None else load_manifest(settings.truth).fingerprint,
    }


def _decision(settings: AugmentSettings) -> dict[str, Any]:
    rule = settings.rule.label_decision
    return {"decision": rule, "use_chosen": rule == THRESHOLD}


def _stored(output: Path) -> Manifest | None:
    if not (output / MANIFEST_NAME).is_file():
        return None
    try:
        return load_manifest(output)
    except Refusal:
        return None


def _without_result(manifest: Manifest) -> dict[str, Any]:
    made = dict(manifest.made_by.get(MADE_LABELS, {}))
    made.pop("result", None)
    return made


def _extended(folder: Path, manifest: Manifest) -> ExtendedSet:
    result = manifest.made_by[MADE_LABELS]["result"]
    return ExtendedSet(folder, manifest, result["outcomes"], result["quality"])


@dataclass
class _Maker:
    settings: AugmentSettings
    manifest: Manifest
    rois: Manifest
    training: frozenset[str]
    reviewed: list[Reviewed] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = self.settings
        self._cascade = Cascade.of_runs(settings.liver_run, settings.run, **_decision(settings))
        self._whole = {entry.case: entry for entry in self.manifest.cases}
        self._truth = None if settings.truth is None else TrueNeighbours(settings.truth)
        self._quality = LabelQuality(self.manifest.label_set)

    def outcomes(self) -> dict[str, int]:
        """Number of neighbours by outcome, also of those that none has."""
        return {o: sum(r.decision.outcome == o for r in self.reviewed) for o in OUTCOMES}

    def quality(self) -> dict[str, Any]:
        return self._quality.summary()

    def extend(self, entry: CaseEntry) -> CaseEntry:
        """Write the ROIs of a case, with those of its neighbours if it is a training case."""
        # The ROIs may have been cut before the neighbours were converted.
        entry = replace(entry, neighbours=self._whole[entry.case].neighbours)
        records = list(read_case(self.settings.roi_records, entry))
        if entry.case in self.training:
            records += self._labelled(self._whole[entry.case])
        return write_derived_shard(self.settings.output, entry, records, self.rois)

    def _labelled(self, entry: CaseEntry) -> Iterator[SliceRecord]:
        """The ROIs of the neighbours of a case that are used."""
        annotated = {r.slice_index: r for r in read_case(self.settings.records, entry)}
        neighbours = list(read_neighbours(self.settings.records, entry))
        truths = self._truth.labels_of(neighbours) if self._truth else [None] * len(neighbours)
        for neighbour, truth in zip(neighbours, truths, strict=True):
            assert neighbour.neighbour_of is not None
            of = annotated[neighbour.neighbour_of]
            predicted, box = self._predict(neighbour)
            made, decision = make_labels(predicted, of.labels, self.settings.rule)
            if box is None:
                decision = Decision(NO_ROI)
            dice = None
            if truth is not None:
                used = decision.used
                dice = self._quality.add(neighbour, truth, predicted, made, used=used).dice
            shown = sum(r.picture is not None for r in self.reviewed) < self.settings.pictures
            picture = None
            if shown:
                picture = draw_panels(
                    *(neighbour, of, predicted, made if decision.used else None),
                    self.rois.label_set,
                )
            self.reviewed.append(Reviewed(Place.of(neighbour, of), decision, dice, picture))
            if decision.used and box is not None:
                yield replace(
                    neighbour,
                    image=crop(neighbour.image, box, self.rois.window[0]),
                    labels=crop(made, box, BACKGROUND),
                    diagnosis=of.diagnosis,
                    box=box,
                    source_size=neighbour.image.shape,
                )

    def _predict(self, neighbour: SliceRecord) -> tuple[np.ndarray, Box | None]:
        """Labels uint8 [rows, columns] and ROI box, as for a slice of the CSV."""
        prediction = self._cascade.predict(neighbour.image[np.newaxis], neighbour.spacing_mm)
        return prediction.labels[0], prediction.boxes[0]

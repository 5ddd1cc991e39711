"""Flags that say where the data are and what they mean, for every command that reads them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from absl import app, flags

from liver_tf.conversion.segment_mapping import DEFAULT_SEGMENTS, parse_segments, segments_text

FLAGS = flags.FLAGS


def define_source_flags() -> None:
    """Define them."""
    flags.DEFINE_enum(
        "source",
        None,
        ["lits", "series", "slices"],
        "lits: volume-N.nii[.gz] with segmentation-N.nii[.gz], or imagesTr/ with labelsTr/. "
        "series: DICOM series with the DICOM SEG drawn on them, in any folders. "
        "slices: a CSV with slice_id, patient_id, image, mask, diagnosis.",
        required=True,
    )
    flags.DEFINE_string(
        "input",
        None,
        "Folder of the pairs (lits) or of the DICOM files (series), or the CSV (slices).",
        required=True,
    )
    flags.DEFINE_list(
        "lesion_types",
        ["cyst", "hemangioma", "metastasis"],
        "slices, series: the kinds of lesion, in the order of their labels from 2 on.",
    )
    flags.DEFINE_list(
        "mask_values",
        ["0:background", "1:liver", "2:lesion"],
        "slices: what a mask's values mean, of a DICOM SEG its segments by number; 'lesion' is the "
        "kind in the row's diagnosis, and a kind of lesion may be named directly.",
    )
    flags.DEFINE_list(
        "segments",
        list(DEFAULT_SEGMENTS),
        "series: what the segments of a DICOM SEG mean, each by its number, name or code and a "
        "class after the last colon: liver, lesion, background (left out), or one of "
        "--lesion_types instead of lesion. For example liver:liver,SCT:4147007:metastasis.",
    )
    flags.DEFINE_enum(
        "series_without_patient_id",
        "refuse",
        ["refuse", "own_patient"],
        "series: own_patient takes each study without PatientID as a patient of its own. Only if "
        "that is true: else one patient can be trained on and tested on.",
    )
    flags.DEFINE_boolean(
        "allow_outside",
        False,
        "slices: accept absolute paths, and paths that leave the CSV's folder.",
    )
    flags.DEFINE_boolean(
        "ignore_patient_id",
        False,
        "slices: the table alone says who is one patient, whatever PatientID the images bear.",
    )
    flags.DEFINE_integer(
        "workers", os.cpu_count() or 1, "Processes that read at a time.", lower_bound=1
    )


def find_cases(key: bytes):
    """Cases and refusals as the flags say: (tasks, refusals, label set).

    Args:
      key: under which identifiers become pseudonyms.
    """
    from liver_tf.conversion import sources
    from liver_tf.labels import LITS

    if FLAGS.source == "lits":
        tasks, refusals = sources.find_lits(Path(FLAGS.input), key)
        return tasks, refusals, LITS
    label_set = _label_set(FLAGS.lesion_types)
    if FLAGS.source == "series":
        label_set, segments = _segments(label_set)
        tasks, refusals, left_out = sources.find_series(
            Path(FLAGS.input),
            key,
            label_set,
            segments,
            study_is_patient=FLAGS.series_without_patient_id == "own_patient",
        )
        for code, count in sorted(left_out.items()):
            print(f"left out: {count} x {code}", file=sys.stderr)
        return tasks, refusals, label_set
    tasks, refusals = sources.find_slices(
        Path(FLAGS.input),
        key,
        label_set,
        _mask_values(FLAGS.mask_values, label_set),
        allow_outside=FLAGS.allow_outside,
        ignore_patient_id=FLAGS.ignore_patient_id,
    )
    return tasks, refusals, label_set


def source_arguments(key: bytes) -> dict:
    """The flags that decide what the data mean, for a manifest or a page; no free text of files."""
    if FLAGS.source == "slices":
        return {
            "mask_values": ",".join(sorted(FLAGS.mask_values)),
            "lesion_types": ",".join(FLAGS.lesion_types),
            "allow_outside": FLAGS.allow_outside,
            "ignore_patient_id": FLAGS.ignore_patient_id,
        }
    if FLAGS.source == "series":
        _, segments = _segments(_label_set(FLAGS.lesion_types))
        return {
            "segments": segments_text(segments, key),
            "series_without_patient_id": FLAGS.series_without_patient_id,
        }
    return {}


def _label_set(lesion_types: list[str]):
    from liver_tf.labels import HEALTHY, LabelSet

    # Both have a meaning of their own, in the table and in --mask_values.
    for taken in (HEALTHY, "lesion", ""):
        if taken in lesion_types:
            raise app.UsageError(f"--lesion_types: {taken!r} cannot be the name of a kind")
    if not lesion_types:
        raise app.UsageError("--lesion_types: expected at least one kind of lesion")
    try:
        return LabelSet("lesion_types", ("background", "liver", *lesion_types))
    except ValueError as error:
        raise app.UsageError(f"--lesion_types: {error}") from None


def _mask_values(pairs: list[str], label_set) -> tuple[tuple[int, str], ...]:
    values = {}
    if not any(pairs):
        raise app.UsageError("--mask_values: expected at least one value as number:meaning")
    for pair in pairs:
        number, _, meaning = pair.partition(":")
        known = (*label_set.classes, "lesion")
        if not number.isdecimal() or meaning not in known or int(number) in values:
            raise app.UsageError(
                f"--mask_values: expected each value once as number:meaning with a meaning of "
                f"{', '.join(known)}; got {pair!r}"
            )
        values[int(number)] = meaning
    return tuple(sorted(values.items()))


def _segments(lesion_types):
    try:
        return parse_segments(FLAGS.segments, lesion_types)
    except ValueError as error:
        raise app.UsageError(f"--segments: {error}") from None


def list_refusals(refusals) -> None:
    """Every refusal with its file, on the terminal of whoever named the files."""
    if refusals:
        print(f"\n{len(refusals)} refused:", file=sys.stderr)
        for refusal in refusals:
            print(f"  {refusal.text_with_path()}", file=sys.stderr)

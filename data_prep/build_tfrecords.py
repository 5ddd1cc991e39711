"""Convert CT files to a record set: NIfTI pairs as in LiTS, or single DICOM slices with masks."""

from __future__ import annotations

import functools
import math
import os
import sys
from pathlib import Path

from absl import app, flags

FLAGS = flags.FLAGS


def define_source_flags() -> None:
    """The flags that say where the data are and what they mean; shared with ``verify``."""
    flags.DEFINE_enum(
        "source",
        None,
        ["lits", "slices"],
        "lits: volume-N.nii[.gz] with segmentation-N.nii[.gz], or imagesTr/ with labelsTr/. "
        "slices: a CSV with slice_id, patient_id, image, mask, diagnosis.",
        required=True,
    )
    flags.DEFINE_string(
        "input", None, "Folder of the pairs (lits) or the CSV (slices).", required=True
    )
    flags.DEFINE_list(
        "lesion_types",
        ["cyst", "hemangioma", "metastasis"],
        "slices: the kinds of lesion, in the order of their labels from 2 on.",
    )
    flags.DEFINE_list(
        "mask_values",
        ["0:background", "1:liver", "2:lesion"],
        "slices: what a mask's values mean, of a DICOM SEG its segments by number; 'lesion' is the "
        "kind in the row's diagnosis, and a kind of lesion may be named directly.",
    )
    flags.DEFINE_boolean(
        "allow_outside",
        False,
        "slices: accept absolute paths, and paths that leave the CSV's folder.",
    )
    flags.DEFINE_integer(
        "workers", os.cpu_count() or 1, "Processes that read at a time.", lower_bound=1
    )


def find_cases(key: bytes):
    """Cases and refusals as the flags say: (tasks, refusals, label set).

    Args:
      key: under which identifiers become pseudonyms.
    """
    from data_prep import cases
    from liver_tf.labels import LITS

    if FLAGS.source == "lits":
        tasks, refusals = cases.find_lits(Path(FLAGS.input), key)
        return tasks, refusals, LITS
    label_set = _label_set(FLAGS.lesion_types)
    tasks, refusals = cases.find_slices(
        Path(FLAGS.input),
        key,
        label_set,
        _mask_values(FLAGS.mask_values, label_set),
        allow_outside=FLAGS.allow_outside,
    )
    return tasks, refusals, label_set


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


def list_refusals(refusals) -> None:
    """Every refusal with its file, on the terminal of whoever named the files."""
    if refusals:
        print(f"\n{len(refusals)} refused:", file=sys.stderr)
        for refusal in refusals:
            print(f"  {refusal.text_with_path()}", file=sys.stderr)


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument {argv[1]!r}: all arguments are flags, --name=value")
    if FLAGS.window_high <= FLAGS.window_low:
        raise app.UsageError("--window_high must lie above --window_low")
    if math.isnan(FLAGS.validation_share):  # passes the bounds of the flag
        raise app.UsageError("--validation_share must be a number")
    from liver_tf import __version__
    from liver_tf.ct.pseudonyms import load_site_key
    from liver_tf.refusals import Refusal

    output = Path(FLAGS.output)
    refusals: list = []
    try:
        key = load_site_key(None if FLAGS.site_key_file is None else Path(FLAGS.site_key_file))
        tasks, refusals, label_set = find_cases(key)
        from data_prep.conversion import Target, convert, local_engine

        engine = local_engine(FLAGS.workers)
        if FLAGS.engine == "beam":
            from data_prep.beam_engine import convert_in_beam

            engine = functools.partial(convert_in_beam, options=FLAGS.beam_option)

        made_by = {"version": __version__, "source": FLAGS.source}
        if FLAGS.source == "slices":
            made_by["mask_values"] = ",".join(sorted(FLAGS.mask_values))
            made_by["lesion_types"] = ",".join(FLAGS.lesion_types)
            made_by["allow_outside"] = FLAGS.allow_outside
        manifest, refusals = convert(
            tasks,
            Target(output, (FLAGS.window_low, FLAGS.window_high), FLAGS.encoding),
            label_set=label_set,
            made_by=made_by,
            early_refusals=refusals,
            engine=engine,
        )
        if manifest is not None:
            print(
                f"{output}: {manifest.records} records of {len(manifest.cases)} cases, "
                f"fingerprint {manifest.fingerprint[:16]}"
            )
            if FLAGS.source == "slices":
                _write_folds(output, manifest)
    except Refusal as refusal:
        refusals = [*refusals, refusal]
    list_refusals(refusals)
    return 1 if refusals else 0


def _write_folds(output: Path, manifest) -> None:
    from data_prep.output_folder import FOLDS_NAME, written_or_refused
    from liver_tf.records import folds
    from liver_tf.refusals import Refusal

    arguments = {
        "folds": FLAGS.folds,
        "validation_share": FLAGS.validation_share,
        "seed": FLAGS.seed,
    }
    if FLAGS.folds == 1:
        print("no folds, as asked: these records can be measured on, but not fine-tuned with")
        return
    try:
        splits = folds.cross_validation(manifest, **arguments)
    except ValueError:  # scikit-learn, where no diagnosis has a patient for every fold
        raise Refusal(
            "too-few-patients",
            output,
            expected=f"a diagnosis with at least {FLAGS.folds} patients, one for each fold",
            came=f"{len(manifest.cases)} patients, fewer of each diagnosis",
            remedy="Lower --folds (1 writes none) or add patients. The records are complete.",
        ) from None
    with written_or_refused(output):
        folds.save_folds(output / FOLDS_NAME, manifest, splits, arguments)
    for number, split in enumerate(splits):
        print(
            f"fold {number}: {len(split.training)} patients train, "
            f"{len(split.validation)} validate, {len(split.test)} test"
        )


def _define_flags() -> None:
    define_source_flags()
    flags.DEFINE_string("output", None, "Folder of the record set.", required=True)
    flags.DEFINE_string(
        "site_key_file",
        None,
        "File with the secret that turns identifiers into pseudonyms. Default: the variable "
        "LIVER_TF_SITE_KEY, then ./site.key, which is made at first use.",
    )
    for name, end, default in (("window_low", "Lower", -160), ("window_high", "Upper", 240)):
        flags.DEFINE_integer(
            name,
            default,
            f"{end} end of the window in HU (paper: {default}).",
            lower_bound=-32768,
            upper_bound=32767,
        )
    flags.DEFINE_enum(
        "engine",
        "local",
        ["local", "beam"],
        "local: --workers processes of this machine. beam: Apache Beam (pip extra beam), on the "
        "runner that --beam_option names; all machines must see input and output alike.",
    )
    flags.DEFINE_multi_string(
        "beam_option",
        [],
        "beam: an option of Beam itself, e.g. --beam_option=--runner=FlinkRunner; may be repeated.",
    )
    flags.DEFINE_enum(
        "encoding",
        "zlib",
        ["raw", "zlib", "png"],
        "How pixels are stored, always without loss: raw is the quickest to write and to read and "
        "takes about six times the room.",
    )
    flags.DEFINE_integer(
        "folds", 3, "slices: folds of the cross-validation; 1 writes none.", lower_bound=1
    )
    flags.DEFINE_float(
        "validation_share",
        0.2,
        "slices: share of a fold's training patients that validate.",
        lower_bound=0.0,
        upper_bound=0.9,
    )
    flags.DEFINE_integer("seed", 0, "slices: decides the folds.", lower_bound=0)


if __name__ == "__main__":
    _define_flags()
    app.run(main)

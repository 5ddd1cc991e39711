"""Convert CT files to a record set.

NIfTI pairs as in LiTS, DICOM series with DICOM SEG, or single DICOM slices with masks.
"""

from __future__ import annotations

import functools
import math
import sys
from pathlib import Path

from absl import app, flags

from data_prep import source_flags

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument {argv[1]!r}: all arguments are flags, --name=value")
    if FLAGS.window_high <= FLAGS.window_low:
        raise app.UsageError("--window_high must lie above --window_low")
    if FLAGS.beam_option and FLAGS.engine != "beam":
        raise app.UsageError("--beam_option is of use with --engine=beam only")
    if Path(FLAGS.output).resolve() == Path(FLAGS.input).resolve():
        raise app.UsageError("--output must be another folder than --input, which is never changed")
    if math.isnan(FLAGS.validation_share):  # passes the bounds of the flag
        raise app.UsageError("--validation_share must be a number")
    from liver_tf import __version__
    from liver_tf.ct.pseudonyms import key_fingerprint, load_site_key
    from liver_tf.labels import LITS
    from liver_tf.refusals import Refusal

    output = Path(FLAGS.output)
    refusals: list = []
    try:
        key = load_site_key(None if FLAGS.site_key_file is None else Path(FLAGS.site_key_file))
        tasks, refusals, label_set = source_flags.find_cases(key)
        from liver_tf.conversion.convert_cases import Target, convert, local_engine

        engine = local_engine(FLAGS.workers)
        if FLAGS.engine == "beam":
            from liver_tf.conversion.beam_engine import convert_in_beam

            engine = functools.partial(convert_in_beam, options=FLAGS.beam_option)

        made_by = {"version": __version__, "source": FLAGS.source}
        made_by |= {"site_key": key_fingerprint(key), **source_flags.source_arguments(key)}
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
            if label_set != LITS:  # of typed lesions: what is fine-tuned with
                _write_folds(output, manifest)
    except Refusal as refusal:
        refusals = [*refusals, refusal]
    except KeyboardInterrupt:
        print("\ninterrupted: what is complete is kept, the next start goes on", file=sys.stderr)
        return 130
    source_flags.list_refusals(refusals)
    return 1 if refusals else 0


def _write_folds(output: Path, manifest) -> None:
    from liver_tf.conversion.output_folder import FOLDS_NAME
    from liver_tf.disk_full import write_errors_as_refusals
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
            found=f"{len(manifest.cases)} patients, fewer of each diagnosis",
            remedy="Lower --folds (1 writes none) or add patients. The records are complete.",
        ) from None
    _refuse_leaks(output, manifest, splits)
    with write_errors_as_refusals(output):
        folds.save_folds(output / FOLDS_NAME, manifest, splits, arguments)
    for number, split in enumerate(splits):
        print(
            f"fold {number}: {len(split.training)} patients train, "
            f"{len(split.validation)} validate, {len(split.test)} test"
        )
    for sentence in folds.missing_diagnoses(manifest, splits):
        print(f"note: {sentence}")


def _refuse_leaks(output: Path, manifest, splits) -> None:
    """Refuse folds whose parts share a patient or a slice: nothing measured on them would hold."""
    from liver_tf.records.allowed_pairs import load_allowed
    from liver_tf.records.leakage import borders_of, find_leaks, parts_of_split, refuse_leaks

    borders = []
    for number, split in enumerate(splits):
        borders += borders_of(parts_of_split(f"fold {number}", manifest, split))
    allow_pairs = None if FLAGS.allow_pairs is None else Path(FLAGS.allow_pairs)
    allowed = load_allowed(allow_pairs, {entry.case for entry in manifest.cases})
    refuse_leaks(
        find_leaks(borders, allowed), output, "The records are complete; no folds were written."
    )


def _define_flags() -> None:
    source_flags.define_source_flags()
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
        "folds", 3, "typed lesions: folds of the cross-validation; 1 writes none.", lower_bound=1
    )
    flags.DEFINE_float(
        "validation_share",
        0.2,
        "typed lesions: share of a fold's training patients that validate; at least one does.",
        lower_bound=0.01,
        upper_bound=0.9,
    )
    flags.DEFINE_integer(
        "seed", 0, "typed lesions: decides the folds.", lower_bound=0, upper_bound=2**31 - 1
    )
    flags.DEFINE_string(
        "allow_pairs",
        None,
        "typed lesions: file of pairs of cases whose slices may be alike: two names a line, as the "
        "leakage guard prints them.",
    )


if __name__ == "__main__":
    _define_flags()
    flags.adopt_module_key_flags(source_flags)  # --help shows them as this command's own
    app.run(main)

"""Transfer on real CT: a liver network of phantoms, fine-tuned on few slices of one real scan.

The scan is divided into parts that lie far apart. Networks pre-trained on phantoms (all protocols
and controls) and networks from scratch are trained on the same 4, 8 and 16 slices, and tested at
the other end of the liver. It is ONE PATIENT: the figures show the method on real pixels and say
nothing of other patients. Killed and started again it goes on. See docs/real_ct.md.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from liver_tf import run_files
from liver_tf.studies import study
from liver_tf.studies.transfer.transfer_layout import ENDS, HEAD, Distances, Layout, lay_out
from trainers import flag_groups

FLAGS = flags.FLAGS

#: All of the phantom study's, and a longer one from scratch.
PROTOCOLS = (
    *("baseline", "flags/study/baseline_long.flags"),
    *(name for name in study.PROTOCOLS if name != "baseline"),
)

#: Variable that names the folder of real data, as in the tests.
DATA_VARIABLE = "LIVER_TF_REAL_DATA"

#: In the study's folder.
RECORDS, FOLDS = "tfrecords", "folds.json"
CHAIN = "the study"

DATA = "CT_SET_3 of the CHAOS challenge, a contrast-enhanced CT of a healthy liver"
SOURCE = (
    "CHAOS: A. E. Kavur et al., *CHAOS Challenge - combined (CT-MR) healthy abdominal organ "
    "segmentation*, Medical Image Analysis 69 (2021), arXiv 2001.06535. Data: A. E. Kavur, M. A. "
    "Selver, O. Dicle, M. Barış, N. S. Gezer, doi 10.5281/zenodo.3362844, under "
    "[CC BY-NC-SA 4.0](https://creativecommons.org/licenses/by-nc-sa/4.0/) by the challenge's "
    "rules. The overlays are made from them (HU windowed, slices cut, outlines drawn) and are "
    "under that licence, not under that of this program; the data are not part of it."
)


def main(argv: list[str]) -> int:
    del argv
    from liver_tf.studies.engines import Local
    from liver_tf.studies.steps import PHANTOM_KEY
    from liver_tf.studies.study_identity import refuse_others
    from liver_tf.studies.study_jobs import LiverSources, plan
    from liver_tf.studies.study_run import carry_out_left
    from liver_tf.studies.transfer.transfer_pieces import folds_of

    folder = Path(FLAGS.folder)
    protocols = study.read_protocols(FLAGS.protocols)
    settings = study.read_settings([FLAGS.settings])
    # The phantoms' own key, so that the guard can compare patients with those of the pre-training.
    key = PHANTOM_KEY.encode()
    manifest, layouts = _prepare(folder, key)
    planned = plan(
        folder,
        LiverSources(folder / RECORDS, folder / FOLDS, Path(FLAGS.pretrained)),
        protocols,
        folds=[n for n, (one, _) in enumerate(folds_of(layouts)) if one.end in FLAGS.ends],
        seeds=flag_groups.whole_numbers("seeds"),
        settings=settings,
        validation="inner",
    )
    refuse_others(folder, planned.made_of)
    failed = []
    if not FLAGS.report_only:
        print(f"\n== fine-tune and measure: {len(planned.jobs)} networks", flush=True)
        failed = carry_out_left(planned.jobs, planned.work, lambda: Local(FLAGS.workers))
    if failed:
        names = ", ".join(outcome.name for outcome in failed)
        print(f"\n{len(failed)} network(s) FAILED: {names}. The same command tries them again.")
    _measure_before(folder, manifest, layouts, key)
    lacking = [job.name for job in planned.jobs if not job.is_done()]
    _report(folder, manifest, [one.name for one in protocols], settings[FLAGS.settings], lacking)
    return int(bool(failed))


def _prepare(folder: Path, key: bytes):
    """Cut the scan, convert the slices, write the folds, hold the parts against each other.

    Returns the manifest and the layouts of both ends.
    """
    from liver_tf.records.manifest import load_manifest
    from liver_tf.studies.steps import Step, run_chain
    from liver_tf.studies.transfer import transfer_pieces

    pieces, records, folds = folder / "pieces", folder / RECORDS, folder / FOLDS
    try:
        pair = transfer_pieces.look(*_files())
        layouts = _layouts(pair.positions_mm, pair.with_liver)
    except ValueError as error:
        raise app.UsageError(str(error)) from None
    transfer_pieces.cut(pair, transfer_pieces.used(layouts), pieces)
    convert = ("data_prep.build_tfrecords", "--source=lits", f"--input={pieces}")
    convert = (*convert, f"--output={records}")
    run_chain([Step("convert", "convert the slices", convert, 10, always=True)], folder, CHAIN)
    manifest = load_manifest(records)
    transfer_pieces.write_folds(folds, manifest, layouts, key)
    transfer_pieces.write_layout(folder, layouts, key)
    guard = ("data_prep.check_leakage", f"--records={records}", f"--folds_file={folds}")
    run_chain([Step("guard", "compare the parts", guard, 5, always=True)], folder, CHAIN)
    return manifest, layouts


def _files() -> tuple[Path, Path]:
    default = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    data = FLAGS.data or Path(os.environ.get(DATA_VARIABLE, default)) / "chaos_ct3"
    volume, segmentation = (Path(data) / f"{name}-3.nii.gz" for name in ("volume", "segmentation"))
    if not (volume.is_file() and segmentation.is_file()):
        raise app.UsageError(
            f"--data: expected CHAOS as {volume.name} and {segmentation.name} in {data}"
        )
    return volume, segmentation


def _layouts(positions_mm: Sequence[float], with_liver: Sequence[bool]) -> list[Layout]:
    distances = Distances(
        FLAGS.training_mm, FLAGS.validation_mm, FLAGS.before_validation_mm, FLAGS.before_test_mm
    )
    return [
        lay_out(
            positions_mm,
            with_liver,
            end,
            counts=flag_groups.whole_numbers("slices"),
            validation_slices=FLAGS.validation_slices,
            distances=distances,
        )
        for end in ENDS  # both in any case, so that the other may be added later
    ]


def _measure_before(folder: Path, manifest, layouts, key: bytes) -> None:
    """The network of phantoms as it is, on every test part, unless that is done."""
    from liver_tf.model.weights_file import stored_hash
    from liver_tf.results.stored_results import has_results, load_results
    from liver_tf.studies.transfer.transfer_pieces import case_of
    from liver_tf.studies.transfer.transfer_results import BEFORE

    pretrained = Path(FLAGS.pretrained)
    wanted = {
        "records": manifest.fingerprint,
        "weights": stored_hash(pretrained / run_files.WEIGHTS),
    }
    for layout in layouts:
        output = folder / BEFORE / layout.end
        cases = [case_of(number, key) for number in layout.test]
        if has_results(output, "test"):
            before = load_results(output)
            if wanted.items() <= dict(before.made_of).items() and cases == [
                result.case for result in before.results
            ]:
                continue
        from liver_tf.quiet_tensorflow import import_tensorflow

        import_tensorflow()
        from liver_tf.assessment.evaluate_liver import evaluate_liver

        evaluate_liver(pretrained, output, cases, folder / RECORDS, manifest, fold=layout.end)


def _report(
    folder: Path,
    manifest,
    protocols: list[str],
    settings: Sequence[str],
    lacking: Sequence[str],
) -> None:
    from liver_tf.atomic_files import write_text
    from liver_tf.studies.transfer.transfer_pictures import draw_overlays
    from liver_tf.studies.transfer.transfer_plot import draw_transfer
    from liver_tf.studies.transfer.transfer_report import networks_csv, report_text
    from liver_tf.studies.transfer.transfer_results import load_transfer

    found = load_transfer(folder, protocols)
    if not found.runs:
        print("no network was measured: no report")
        return
    output = Path(FLAGS.output)
    pictures = {"transfer_dice.png": "Every point is a network: its mean Dice over the test slices"}
    draw_transfer(found, output / "transfer_dice.png")
    for end in found.ends:
        name = f"transfer_{end}.png"
        fewest = found.counts[0]
        if draw_overlays(folder, found, folder / RECORDS, manifest, end, fewest, output / name):
            pictures[name] = (
                f"Trained at the {end} end: worst, median and best test slice of the network of "
                "phantoms, and of three protocols the network with the median Dice. CHAOS, CC "
                "BY-NC-SA 4.0, see below"
            )
    text = report_text(
        found,
        data=DATA,
        source=SOURCE,
        command="python -m trainers.transfer_study",
        settings=settings,
        pictures=pictures,
        lacking=lacking,
    )
    write_text(output / "transfer.md", text)
    write_text(output / "transfer.csv", networks_csv(found))
    print(
        f"\nreport: {output / 'transfer.md'}, transfer.csv and {len(pictures)} pictures beside it"
    )


def _define_flags() -> None:
    flags.DEFINE_string("folder", "transfer_study", "Everything is made in it.")
    flags.DEFINE_string(
        "output", "transfer_study/report", "Folder of transfer.md and its pictures."
    )
    flags.DEFINE_string(
        "data",
        None,
        "Folder with volume-3.nii.gz and segmentation-3.nii.gz of CHAOS. Default: chaos_ct3 in the "
        f"folder that {DATA_VARIABLE} names, else in ../shared/data.",
    )
    flags.DEFINE_string(
        "pretrained", "phantom_study/runs/liver", "Run of the liver network of phantoms."
    )
    flags.DEFINE_string(
        "settings", "flags/study/transfer.flags", "Flag file: what all trainings share."
    )
    flags.DEFINE_list("protocols", list(PROTOCOLS), "As of trainers.reproduce.")
    flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of training.")
    flags.DEFINE_list("slices", ["4", "8", "16"], "How many slices are trained on.")
    flags.DEFINE_multi_enum(
        "ends",
        [HEAD],
        list(ENDS),
        "Which end of the liver is trained on. May be repeated; the other may be added later.",
    )
    for name, default, what in (
        ("training_mm", Distances.training, "Length of the part that is trained on."),
        ("validation_mm", Distances.validation, "Length of the part that validates."),
        ("before_validation_mm", Distances.before_validation, "Gap between these two, at least."),
        ("before_test_mm", Distances.before_test, "From both to the test slices, at least."),
    ):
        flags.DEFINE_float(name, default, what, lower_bound=0.0)
    flags.DEFINE_integer("validation_slices", 3, "Slices that validate.", lower_bound=2)
    flags.DEFINE_boolean("report_only", False, "Make the report from the networks that are done.")
    flags.DEFINE_integer("workers", 2, "Networks trained at a time.", lower_bound=1)


if __name__ == "__main__":
    flag_groups.run(main, _define_flags, tensorflow=False)

"""Whether bfloat16 costs anything: equivalence with float32 on the phantom test cohort.

    python -m benchmarks.precision_equivalence --work=DIR

Fine-tunes the network of the package with the recommended settings in float32 and in bfloat16, with
every seed, and evaluates all runs in float32 on a test cohort of phantoms (training). The runs of
float32 are also evaluated in bfloat16 (inference). For Dice2, Success and Accuracy it prints the
difference of bfloat16 from float32 with its 90 % interval over patients and trainings. Two
one-sided tests at 5 % show equivalence if that interval lies within the margin. An interrupted
benchmark resumes with the same command.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from absl import app, flags

from liver_tf import run_files
from liver_tf.atomic_files import write_text
from liver_tf.command_line.flag_files import read_flag_file
from liver_tf.measures.measure_registry import all_measures
from liver_tf.measures.slice_result import SliceResult
from liver_tf.phantom.phantom_plan import TEST_PATIENTS
from liver_tf.results.stored_results import load_results
from liver_tf.results.study_inventory import FINETUNE
from liver_tf.statistics.bootstrap_intervals import Interval, resample
from liver_tf.studies.command_chain import ChainStep, run_chain
from liver_tf.studies.phantom_study import DATA_LABEL, conversion_steps, phantom_step, roi_step

FLAGS = flags.FLAGS
FLOAT32, BFLOAT16 = FORMATS = ("float32", "bfloat16")
MEASURES = ("dice2", "success", "accuracy")
PROTOCOL = "no_freezing"


@dataclass(frozen=True)
class Equivalence:
    """A measure in bfloat16 minus that in float32; ``interval`` at 90 %."""

    measure: str
    float32: float
    interval: Interval
    margin: float

    @property
    def shown(self) -> bool:
        low, high = self.interval.low, self.interval.high
        return low is not None and high is not None and -self.margin < low and high < self.margin


def main(argv: list[str]) -> int:
    del argv
    work = Path(FLAGS.work)
    run_chain(steps(work), work, "the benchmark")
    copies = [copy_of(run, work) for run in runs_of(work, FLOAT32)]
    run_chain([evaluation_step(work, copies)], work, "the benchmark")
    trained = {name: results_of(runs_of(work, name)) for name in FORMATS}
    rows = {
        "training": equivalences(trained[FLOAT32], trained[BFLOAT16], FLAGS.margin, FLAGS.samples),
        "inference": equivalences(
            trained[FLOAT32], results_of(copies), FLAGS.margin, FLAGS.samples
        ),
    }
    print(f"\n{len(FLAGS.seeds)} seeds, {FLAGS.test_patients} patients; margin {FLAGS.margin:g}")
    print("\n".join(table(rows)))
    return 0


def steps(work: Path) -> list[ChainStep]:
    """Phantoms, record sets, and the runs of both formats."""
    records = work / "tfrecords" / "sheba"
    size = {"patients": FLAGS.patients, "test_patients": FLAGS.test_patients}
    size |= {"matrix": FLAGS.matrix, "lits_volumes": 2, "workers": FLAGS.workers}
    typed = {"test_patients": work / "data" / TEST_PATIENTS, "validation_share": 0.15}
    shared = [*read_flag_file("flags/recommended/finetune.flags"), "--pictures=0"]
    shared += [f"--epochs={FLAGS.epochs}"] if FLAGS.epochs else []
    chain = [
        phantom_step(work, 90, **size),
        *(step for step in conversion_steps(work, 20, typed) if step.name == "build_sheba"),
        roi_step(work, records, 40, liver_run="bundled"),
    ]
    for name in FORMATS:
        settings = work / f"{name}.flags"
        write_text(settings, "\n".join([*shared, f"--precision={name}", ""]))
        options = {
            **{"output": work / name, "settings": settings, "protocols": PROTOCOL},
            **{"seeds": ",".join(FLAGS.seeds), "workers": FLAGS.workers, "records": records},
            **{"roi_records": work / "tfrecords" / "sheba_roi", "pretrained": "bundled"},
            **{"folds_file": records / "folds.json", "liver_run": "bundled"},
            "data_label": DATA_LABEL,
        }
        title = f"fine-tune in {name}, and evaluate"
        command = (f"train_{name}", title, 600 * len(FLAGS.seeds), "trainers.reproduce", options)
        chain.append(ChainStep(*command, work / name / "report" / "report.html", always=True))
    return chain


def runs_of(work: Path, precision: str) -> list[Path]:
    """The run of each seed."""
    fold = run_files.fold_name(0, on_test=False)
    return [
        run_files.run_folder(work / precision / FINETUNE, fold, int(seed), PROTOCOL)
        for seed in FLAGS.seeds
    ]


def copy_of(run: Path, work: Path) -> Path:
    """The run without its measures, to be evaluated in another format; copied once."""
    copy = work / "evaluated_in_bfloat16" / run.parent.name / run.name
    if not copy.exists():
        unfinished = copy.with_name(f"{copy.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(run, unfinished, ignore=shutil.ignore_patterns("measures"))
        unfinished.rename(copy)
    return copy


def evaluation_step(work: Path, runs: Sequence[Path]) -> ChainStep:
    output = work / "evaluated_in_bfloat16" / "report"
    options = {
        **{"run": list(map(str, runs)), "records": work / "tfrecords" / "sheba"},
        **{"liver_run": "bundled", "output": output, "precision": BFLOAT16},
        "data_label": DATA_LABEL,
    }
    title = "evaluate the runs of float32 in bfloat16"
    command = ("evaluate_bfloat16", title, 60 * len(runs), "trainers.evaluate", options)
    return ChainStep(*command, output / "report.html")


def results_of(runs: Sequence[Path]) -> list[SliceResult]:
    """The test slices of all runs."""
    return [result for run in runs for result in load_results(run).results]


def equivalences(
    single: Sequence[SliceResult], half: Sequence[SliceResult], margin: float, samples: int
) -> list[Equivalence]:
    """Each measure of the same slices by the same seeds, in bfloat16 against float32.

    Raises:
      ValueError: the slices or seeds differ.
    """
    if [(r.image, r.network) for r in single] != [(r.image, r.network) for r in half]:
        raise ValueError("expected the same slices and seeds in both formats")
    drawn = []
    for results in (single, half):
        # Without temperatures, which no measure here depends on.
        measures = all_measures([replace(result, temperature=None) for result in results])
        chosen = {name: measures[name] for name in MEASURES}
        drawn.append(resample(results, chosen, samples=samples))
    reference, other = drawn
    return [
        Equivalence(
            name, reference.observed[name] or 0.0, other.minus(reference, name, 0.9), margin
        )
        for name in MEASURES
    ]


def table(rows: dict[str, list[Equivalence]]) -> list[str]:
    """A Markdown table: a row per comparison and measure."""
    lines = [
        "| bfloat16 in | measure | float32 | difference (90 % interval) | equivalent |",
        "| --- | --- | ---: | ---: | --- |",
    ]
    for compared, found in rows.items():
        for each in found:
            low, high = each.interval.low, each.interval.high
            ends = "-" if low is None or high is None else f"{low:+.4f} to {high:+.4f}"
            lines.append(
                f"| {compared} | {each.measure} | {each.float32:.4f} "
                f"| {each.interval.value or 0.0:+.4f} ({ends}) "
                f"| {'yes' if each.shown else 'not shown'} |"
            )
    return lines


if __name__ == "__main__":
    flags.DEFINE_string("work", None, "Folder for everything that is written.", required=True)
    flags.DEFINE_list("seeds", ["0", "1", "2"], "Training seeds.")
    flags.DEFINE_integer("patients", 140, "Patients for fine-tuning.")
    flags.DEFINE_integer("test_patients", 300, "Patients of the test cohort.")
    flags.DEFINE_integer("matrix", 256, "Rows and columns of an image.")
    flags.DEFINE_integer("epochs", 0, "Epochs; 0: those of the recommended settings.")
    flags.DEFINE_integer("workers", 1, "Number of phantoms and runs processed in parallel.")
    flags.DEFINE_float("margin", 0.01, "Margin of equivalence.", lower_bound=1e-6)
    flags.DEFINE_integer("samples", 10_000, "Bootstrap resamples.", lower_bound=100)
    app.run(main)

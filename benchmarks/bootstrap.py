"""Time of a complete report at the size of a study: 332 slices, 3 folds, 8 protocols, 3 seeds.

    python -m benchmarks.bootstrap

Draws a cohort of the paper's size (332 slices of 140 patients in 3 folds: 75 cyst, 71 hemangioma,
93 metastasis, 93 healthy) as small label maps, measures every slice once per protocol and seed,
and writes 72 run folders as training and evaluation would: results, histories of up to 6 cycles
of 60 epochs, example slices, and the training data of each network (the other folds, and 130
volumes of 100 slices with random hashes). Then it times ``write_study_report``: reading the
folders, all measures with intervals from 10,000 resamples of patients and networks, the same by
lesion size, permutation tests, the leakage check, plots and sheets, HTML, Markdown, CSV, JSON. A
simple bootstrap (one resample at a time) runs on one protocol with fewer resamples and is
extrapolated.
"""

import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from absl import app, flags

from liver_tf import run_files

FLAGS = flags.FLAGS

PROTOCOLS = (
    *("baseline", "no_freezing", "freeze_encoder", "hier_freeze", "hier_unfreeze"),
    *("no_freezing_5_cycles", "no_freezing_6_cycles", "mine"),
)
#: Slices of each true label; 1 stands for healthy.
DIAGNOSES = {2: 75, 3: 71, 4: 93, 1: 93}
PATIENTS = 140
#: Of the protocols that have more than one.
CYCLES = {
    **{"hier_freeze": 5, "no_freezing_5_cycles": 5},
    **{"hier_unfreeze": 6, "no_freezing_6_cycles": 6},
}
KEY = "0" * 16


def main(argv: list[str]) -> int:
    del argv
    from liver_tf.report.write_report import write_study_report

    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(list(DIAGNOSES), list(DIAGNOSES.values())))
    patients = np.concatenate(
        [np.arange(PATIENTS), rng.integers(0, PATIENTS, len(labels) - PATIENTS)]
    )
    started = time.perf_counter()
    results = {
        name: [one for seed in range(FLAGS.seeds) for one in _slices(labels, patients, place, seed)]
        for place, name in enumerate(PROTOCOLS[: FLAGS.protocols])
    }
    rows = sum(len(of_protocol) for of_protocol in results.values())
    with tempfile.TemporaryDirectory() as folder:
        study, output = Path(folder) / "study", Path(folder) / "report"
        seen = _seen(patients)
        for name, of_protocol in results.items():
            _store(study, name, of_protocol, seen)
        measured = time.perf_counter() - started
        print(f"measured {rows} results of {len(labels)} slices: {measured:.1f} s", flush=True)
        started, computed = time.perf_counter(), time.process_time()
        files = write_study_report(
            study, output, data_label="random label maps", samples=FLAGS.samples
        )
        seconds, computed = time.perf_counter() - started, time.process_time() - computed
        sizes = ", ".join(f"{path.name} {path.stat().st_size / 1e6:.1f} MB" for path in files[:4])
        figures_json = json.loads((output / "measures.json").read_text(encoding="utf-8"))
    figures = sum(
        len(protocol["measures"]) + sum(map(len, protocol["by_size"].values()))
        for protocol in figures_json["protocols"].values()
    )
    print(
        f"report with {FLAGS.samples} resamples: {seconds:.1f} s, {computed:.1f} s of them on the "
        f"processor; {figures} intervals, {len(figures_json['differences'])} paired differences, "
        f"{len(files) - 6} pictures; {sizes}",
        flush=True,
    )
    (first, *_) = results.values()
    started = time.perf_counter()
    _slowly(first, FLAGS.slow_samples)
    each = (time.perf_counter() - started) / FLAGS.slow_samples
    simple = each * FLAGS.samples * len(results)
    print(
        f"simple bootstrap, the four measures only: {1000 * each:.2f} ms per resample, so "
        f"{simple:.0f} s for {len(results)} protocols ({simple / seconds:.0f} times the report)"
    )
    return 0


def _seen(patients: np.ndarray) -> dict[str, tuple]:
    """What the networks of each fold were trained on."""
    from liver_tf.records.leakage import HashedCase, SplitPart

    rng = np.random.default_rng(3)

    def hashes(count: int) -> tuple[str, ...]:
        return tuple(f"{k}:{rng.bytes(8).hex()}:{rng.bytes(32).hex()}" for k in range(count))

    cases = [
        HashedCase(f"c{index:03}", f"p{patient:03}", f"p{patient:03}", hashes(1))
        for index, patient in enumerate(patients)
    ]
    volumes = tuple(HashedCase(f"v{k}", f"v{k}", f"v{k}", hashes(100)) for k in range(130))
    return {
        str(fold): (
            SplitPart(
                "fold", KEY, tuple(c for c, p in zip(cases, patients, strict=True) if p % 3 != fold)
            ),
            SplitPart("volumes", KEY, volumes),
        )
        for fold in range(3)
    }


def _store(study: Path, name: str, results: list, seen: dict[str, tuple]) -> None:
    """The folders of a protocol's runs."""
    from liver_tf.labels import LESION_TYPES
    from liver_tf.measures.calibration import Temperature
    from liver_tf.records.training_data_file import save_training_data
    from liver_tf.results.example_slices import crop_to_liver, pick_examples, save_examples
    from liver_tf.results.run_results import RunResults
    from liver_tf.results.stored_results import save_results

    pixels = np.random.default_rng(4).normal(100, 20, (256, 256)).astype(np.int16)
    truth = np.zeros((256, 256), np.uint8)
    truth[60:200, 40:180], truth[100:130, 80:120] = 1, 2
    for fold, seed in sorted({one.network for one in results}):
        run = study / "finetune" / f"fold{fold}" / f"seed{seed}" / name
        run_results = RunResults(
            protocol=name,
            fold=fold,
            seed=seed,
            part="test",
            validation="inner",
            label_set=LESION_TYPES,
            made_of={"records": "random", "weights": f"{name}{fold}{seed}"},
            results=tuple(one for one in results if one.network == (fold, seed)),
            temperature=Temperature(1.5, "validation", 30, (), 1.0, 0.9),
        )
        save_results(run_results, run)
        shown = {
            rank: crop_to_liver(pixels, truth, np.roll(truth, 4), (1.2, 1.2), one)
            for rank, one in pick_examples(run_results.results).items()
        }
        save_examples(run, run_results, shown)
        save_training_data(run / run_files.TRAINING_DATA, seen[fold])
        cycles = [
            {"fixed": [f"enc{k}" for k in range(1, n)]} for n in range(1, CYCLES.get(name, 1) + 1)
        ]
        identity = {"fold": fold, "seed": seed, "protocol": {"name": name, "cycles": cycles}}
        (run / "run.json").write_text(json.dumps(identity), encoding="utf-8")
        for number, cycle in enumerate(cycles, 1):
            _store_cycle(run / f"cycle{number}", cycle["fixed"], f"{name}{fold}{seed}{number}")


def _store_cycle(folder: Path, fixed: list[str], key: str) -> None:
    folder.mkdir()
    result = {"fixed": fixed, "monitor": "val_loss", "best_epoch": 50, "seconds": 60.0}
    (folder / "cycle.json").write_text(json.dumps(result), encoding="utf-8")
    (folder / "key").write_text(key, encoding="utf-8")
    lines = ["epoch,loss,val_loss,val_dice,val_dice_any_lesion"]
    lines += [f"{n},{1 / n},{1.2 / n},{n / 100},{n / 90}" for n in range(1, 61)]
    (folder / "history.csv").write_text("\n".join(lines), encoding="utf-8")


def _slices(labels: np.ndarray, patients: np.ndarray, protocol: int, seed: int):
    from liver_tf.labels import LESION_TYPES
    from liver_tf.measures.compare_with_truth import compare_with_truth

    for index, (label, patient) in enumerate(zip(labels, patients, strict=True)):
        shape = np.random.default_rng((1, index))
        luck = np.random.default_rng((2, index, protocol, seed))
        truth = np.ones((64, 64), np.uint8)
        predicted = truth.copy()
        row, column, side = *shape.integers(8, 40, 2), shape.integers(3, 16)
        if label > 1:
            truth[row : row + side, column : column + side] = label
        if (label > 1 and luck.random() < 0.9) or luck.random() < 0.3:
            guess = label if label > 1 and luck.random() < 0.55 + protocol / 40 else 2
            shift = luck.integers(-3, 4)
            predicted[row + shift : row + shift + side, column : column + side] = guess
        result = compare_with_truth(
            truth,
            predicted,
            LESION_TYPES,
            patient=f"p{patient:03}",
            case=f"c{index:03}",
            slice_index=0,
            spacing_mm=(1.2, 1.2),
            type_scores=np.bincount(predicted.ravel(), minlength=5)[2:] + luck.random(3) * 40,
        )
        yield replace(result, fold=str(patient % 3), seed=seed, temperature=1.5)


def _slowly(results, samples: int) -> None:
    rng = np.random.default_rng(0)
    by_patient: dict[str, list] = {}
    for result in results:
        by_patient.setdefault(result.patient, []).append(result)
    names = sorted(by_patient)
    for _ in range(samples):
        drawn = [r for name in rng.choice(names, len(names)) for r in by_patient[name]]
        with_lesion = [r for r in drawn if r.has_lesion]
        dice = [r.dice for r in with_lesion]
        hit = [r.overlap for r in with_lesion]
        _ = (
            sum(hit) / len(hit),
            sum(dice) / len(dice),
            sum(d for d, h in zip(dice, hit, strict=True) if h) / max(sum(hit), 1),
            sum(r.true_diagnosis == r.predicted_diagnosis for r in with_lesion) / len(with_lesion),
        )


if __name__ == "__main__":
    flags.DEFINE_integer("samples", 10_000, "Resamples, and permutations.", lower_bound=10)
    flags.DEFINE_integer(
        "protocols", 8, "Number of protocols.", lower_bound=1, upper_bound=len(PROTOCOLS)
    )
    flags.DEFINE_integer("seeds", 3, "Networks per fold.", lower_bound=1)
    flags.DEFINE_integer("slow_samples", 50, "Resamples of the simple bootstrap.", lower_bound=1)
    app.run(main)

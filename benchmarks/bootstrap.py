"""A whole report's figures at the size of a study: 332 slices, 8 protocols, 3 seeds.

    python -m benchmarks.bootstrap

Draws a cohort of the paper's size (332 slices of 140 patients in 3 folds: 75 cyst, 71 hemangioma,
93 metastasis, 93 healthy) as small label maps, measures every slice for every protocol and seed
once, and then writes the report: all measures with intervals from 10,000 resamples of patients and
networks, the same by size of lesion, permutation tests, tables, HTML, Markdown, CSV, JSON. The
slow way (patients drawn, the paper's four measures summed anew, resample by resample) runs beside
it on one protocol and fewer resamples, and is extrapolated.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from absl import app, flags

FLAGS = flags.FLAGS

PROTOCOLS = (
    *("baseline", "no_freezing", "freeze_encoder", "hier_freeze", "hier_unfreeze"),
    *("no_freezing_5_cycles", "no_freezing_6_cycles", "mine"),
)
#: Slices of each true label; 1 stands for healthy.
DIAGNOSES = {2: 75, 3: 71, 4: 93, 1: 93}
PATIENTS = 140


def main(argv: list[str]) -> int:
    del argv
    from liver_tf.evaluation.report import write_report

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
    rows = sum(len(own) for own in results.values())
    measured = time.perf_counter() - started
    print(f"measured {rows} results of {len(labels)} slices: {measured:.1f} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        started, computed = time.perf_counter(), time.process_time()
        files = write_report(
            Path(folder), results, "random label maps", samples=FLAGS.samples, seed=0
        )
        seconds, computed = time.perf_counter() - started, time.process_time() - computed
        sizes = ", ".join(
            f"{path.name} {path.stat().st_size / 1e6:.1f} MB"
            for path in (files.html, files.csv, files.json)
        )
    figures = sum(len(own) for own in files.findings.measured.values()) + sum(
        len(sized) for own in files.findings.by_size.values() for sized in own.values()
    )
    print(
        f"report with {FLAGS.samples} resamples: {seconds:.1f} s, {computed:.1f} s of them on the "
        f"processor; {figures} intervals, "
        f"{len(files.findings.differences)} paired differences; {sizes}",
        flush=True,
    )
    (first, *_) = results.values()
    started = time.perf_counter()
    _slowly(first, FLAGS.slow_samples)
    each = (time.perf_counter() - started) / FLAGS.slow_samples
    whole = each * FLAGS.samples * len(results)
    print(
        f"the slow way, the paper's four measures alone: {1000 * each:.2f} ms a resample, so "
        f"{whole:.0f} s for {len(results)} protocols ({whole / seconds:.0f} times the whole report)"
    )
    return 0


def _slices(labels: np.ndarray, patients: np.ndarray, protocol: int, seed: int):
    from liver_tf.evaluation.measure_image import measure_image
    from liver_tf.labels import LESION_TYPES

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
        result = measure_image(
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
    flags.DEFINE_integer("protocols", 8, "How many.", lower_bound=1, upper_bound=len(PROTOCOLS))
    flags.DEFINE_integer("seeds", 3, "Networks a fold.", lower_bound=1)
    flags.DEFINE_integer("slow_samples", 50, "Resamples of the slow way.", lower_bound=1)
    app.run(main)

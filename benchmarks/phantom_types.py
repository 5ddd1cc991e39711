"""How well HU or size alone separates the lesion types of the phantom, given the true outlines.

python -m benchmarks.phantom_types
"""

from itertools import combinations

import numpy as np
from absl import app, flags

_PATIENTS = flags.DEFINE_integer("patients", 140, "phantom patients to measure")
_SEED = flags.DEFINE_integer("seed", 0, "the phantom's seed")
_MATRIX = flags.DEFINE_integer("matrix", 256, "rows and columns of the slices")


def measure(seed: int, patients: int, matrix: int) -> dict[str, np.ndarray]:
    """For each type float [slices, 2]: mean HU inside the true lesions, lesion area in mm2."""
    from tqdm import tqdm

    from liver_tf.phantom.cohort import typed_cohort, typed_study
    from liver_tf.phantom.lesions import TYPES
    from liver_tf.phantom.random_streams import stream

    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in TYPES}
    for member in tqdm(typed_cohort(seed, patients), desc="phantom patients"):
        if member.diagnosis not in rows:
            continue
        study = typed_study(seed, member)
        for number, z_mm in enumerate(study.heights_mm):
            rng = stream(seed, "sheba", member.index, "noise", number)
            hu, labels = study.scanner.take(rng, study.patient, study.lesions, z_mm, matrix)
            lesion = labels == 2
            area = lesion.sum() * study.scanner.pixel_mm(matrix) ** 2
            rows[member.diagnosis].append((float(hu[lesion].mean()), float(area)))
    return {name: np.array(values) for name, values in rows.items()}


def best_thresholds(values: dict[str, np.ndarray]) -> float:
    """Share of slices that two thresholds of one figure sort right, chosen on these very slices.

    The order of the types along the figure is the order of their medians; so this is an upper
    bound for what the figure alone can do.
    """
    names = sorted(values, key=lambda name: np.median(values[name]))
    every = np.concatenate(list(values.values()))
    cuts = np.unique(np.quantile(every, np.linspace(0, 1, 120)))
    low, middle, high = (values[name] for name in names)
    best = max(
        (low < a).sum() + ((middle >= a) & (middle < b)).sum() + (high >= b).sum()
        for a, b in combinations(cuts, 2)
    )
    return float(best) / len(every)


def main(argv: list[str]) -> int:
    del argv
    rows = measure(_SEED.value, _PATIENTS.value, _MATRIX.value)
    print(
        "| type | slices | mean HU of the lesion: median (10 to 90 of 100) | area, mm²: likewise |"
    )
    print("| --- | ---: | ---: | ---: |")
    for name, values in rows.items():
        (h10, a10), (h50, a50), (h90, a90) = np.percentile(values, [10, 50, 90], axis=0)
        print(
            f"| {name} | {len(values)} | {h50:.0f} ({h10:.0f} to {h90:.0f}) "
            f"| {a50:.0f} ({a10:.0f} to {a90:.0f}) |"
        )
    most = max(map(len, rows.values())) / sum(map(len, rows.values()))
    print(f"\nalways the commonest type: {most:.0%} of slices right")
    for column, name in enumerate(("mean HU", "area")):
        share = best_thresholds({k: v[:, column] for k, v in rows.items()})
        print(f"two thresholds of the {name}, at best: {share:.0%} of slices right")
    return 0


if __name__ == "__main__":
    app.run(main)

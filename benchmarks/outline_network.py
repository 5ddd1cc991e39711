"""Types alone and within the outlines of a network without types: the networks in the package.

    python -m benchmarks.outline_network --work=DIR

Phantoms of test cohorts, of which no training has one, once with each way to combine the networks.
"""

import csv
import dataclasses
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import app, flags

FLAGS = flags.FLAGS

#: Folder -> arguments of its phantom.
SETS: dict[str, dict[str, Any]] = {
    "seed 3": {"seed": 3, "lits_first": 500, "patients": 0},
    "seed 31": {"seed": 31, "patients": 40},
    "seed 31, varied": {"seed": 31, "patients": 40, "anatomy": "varied"},
}
#: Whether an outline network is used, and the threshold; .7 is that of the package.
WAYS = ((False, 0.7), (False, 0.9), (True, 0.7), (True, 0.3))


class Case(NamedTuple):
    """A volume, or a slice whose lesions are of ``kind``; ``truth`` bool, the lesions."""

    hu: np.ndarray
    spacing_mm: tuple[float, ...] | None
    truth: np.ndarray
    kind: str


def cases_of(folder: Path) -> tuple[list[Case], list[Case]]:
    """The volumes and the typed slices of a phantom."""
    from PIL import Image

    from liver_tf.ct.dicom_slice import read_dicom_slice
    from liver_tf.ct.nifti_volume import read_nifti_labels, read_nifti_volume

    def volumes() -> Iterator[Case]:
        for path in sorted((folder / "lits").glob("volume-*")):
            scan = read_nifti_volume(path)
            mask = path.with_name(path.name.replace("volume", "segmentation"))
            yield Case(scan.hu, scan.spacing_mm, read_nifti_labels(mask, scan)[0] == 2, "")

    def slices() -> Iterator[Case]:
        with open(folder / "sheba/slices.csv", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                scan = read_dicom_slice(folder / "sheba" / row["image"])
                with Image.open(folder / "sheba" / row["mask"]) as image:
                    truth = np.asarray(image)[None] > 1
                yield Case(scan.hu, scan.spacing_mm, truth, row["diagnosis"])

    return list(volumes()), list(slices())


def compare(cascade: Any, cases: list[Case]) -> Counter:
    """Counts over all lesions and findings, sum of the Dice of cases with lesions, seconds."""
    from skimage.measure import label

    from liver_tf.inference.lesion_properties import find_lesions

    counts: Counter = Counter()
    for case in cases:
        begun = time.process_time()
        prediction = cascade.predict(case.hu, case.spacing_mm)
        counts["seconds"] += time.process_time() - begun
        findings = find_lesions(
            *(prediction.labels, case.hu, None, cascade.label_set),
            probabilities=prediction.probabilities,
            type_threshold=0.5,
        )
        numbers, lesions = label(prediction.labels > 1), label(case.truth)
        found = numbers > 0
        counts["slices"] += len(case.hu)
        counts["findings"] += len(findings)
        counts["false"] += len(findings) - np.unique(numbers[case.truth & found]).size
        counts["lesions"] += lesions.max()
        for index in range(1, lesions.max() + 1):
            hit = np.bincount(numbers[(lesions == index) & found])
            if hit.size:
                counts["hit"] += 1
                counts["right type"] += findings[int(hit.argmax()) - 1].type == case.kind
        if case.truth.any():
            counts["with lesion"] += 1
            both = (case.truth & found).sum()
            counts["dice"] += 2 * both / (case.truth.sum() + found.sum())
    return counts


def main(argv: list[str]) -> int:
    del argv
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    from liver_tf.bundled_networks import LESION, LIVER, TYPED, bundled
    from liver_tf.inference.cascade import Cascade
    from liver_tf.phantom.phantom_folder import write_phantom
    from liver_tf.phantom.phantom_plan import PhantomPlan

    sets = []
    for name, arguments in SETS.items():
        plan = PhantomPlan(cohort="test", lits_volumes=6, lits_slices=40, matrix=256, **arguments)
        write_phantom(Path(FLAGS.work) / name, plan)
        sets.append(cases_of(Path(FLAGS.work) / name))
    print("| outlines, threshold | cases | lesions | hit | findings | false | Dice | right type |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for outlined, threshold in WAYS:
        outline = bundled(LESION) if outlined else None
        runs = Cascade.of_runs(bundled(LIVER), bundled(TYPED), outline)
        how = dataclasses.replace(runs.how, lesion_probability=threshold)
        networks = (runs.liver, runs.lesion_networks)
        cascade = Cascade(*networks, outline=runs.outline, how=how)
        for index, kind in enumerate(("volumes", "typed slices")):
            n: Counter = sum((compare(cascade, each[index]) for each in sets), Counter())
            print(
                f"| {'lesion' if outlined else 'typed'} network, {threshold:g} "
                f"| {sum(len(each[index]) for each in sets)} {kind} | {n['lesions']} | {n['hit']} "
                f"| {n['findings']} | {n['false']} | {n['dice'] / n['with lesion']:.3f} "
                f"| {n['right type'] if index else ''} |",
                flush=True,
            )
            if not index:
                seconds = 100 * n["seconds"] / n["slices"]
                print(f"{seconds:.2f} s of processor time for 100 slices", flush=True)
    return 0


if __name__ == "__main__":
    flags.DEFINE_string("work", None, "Folder for the phantoms.", required=True)
    app.run(main)

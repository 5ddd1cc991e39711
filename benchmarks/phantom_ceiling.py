"""Upper limit of the accuracy with which the lesion types of the phantom can be classified.

python -m benchmarks.phantom_ceiling

Classifiers see attenuation, texture and size of the true lesions of a slice, and decide its type.
They are tested on patients that they were not trained on. Their best accuracy estimates the ceiling
of the paper's Accuracy for a network that finds and outlines every lesion.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from absl import app, flags
from scipy import ndimage
from sklearn.base import ClassifierMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, QuantileTransformer, StandardScaler

_PATIENTS = flags.DEFINE_integer("patients", 560, "phantom patients to measure")
_SEED = flags.DEFINE_integer("seed", 0, "the phantom's seed")
_ANATOMY = flags.DEFINE_enum(
    "anatomy", "plain", ["plain", "varied"], "the phantom's anatomy; varied has several phases"
)
_MATRIX = flags.DEFINE_integer("matrix", 256, "rows and columns of the slices")

#: Resamples of patients for the 95 % interval.
RESAMPLES = 2000
RIM_MM, SMOOTH_MM = 3.0, 1.5
FEATURES = {
    "size": ("diameter",),
    "mean HU": ("mean",),
    "attenuation": ("mean", "contrast", "liver"),
    "attenuation and texture": (
        *("mean", "contrast", "liver", "vessels", "sd", "p5", "p25", "p50", "p75", "p95"),
        *("rim - centre", "rim sd", "centre sd", "smooth sd", "smooth low", "smooth high"),
        *("smooth high - vessels", "edge"),
    ),
}


class Slices(NamedTuple):
    """Slices with a lesion; every array has one row a slice.

    Attributes:
      noisy, clean: float [slices, features], of the image and of the image without noise.
      types, patients: of each slice.
      phases: enhancement factor of the patient; 0 is unenhanced.
      arterial: whether the patient's aorta is much brighter than the veins.
    """

    noisy: np.ndarray
    clean: np.ndarray
    types: np.ndarray
    patients: np.ndarray
    phases: np.ndarray
    arterial: np.ndarray


def all_features() -> list[str]:
    return list(dict.fromkeys(name for names in FEATURES.values() for name in names))


def features(hu: np.ndarray, labels: np.ndarray, pixel_mm: float) -> list[float]:
    """Values of ``all_features``: int [rows, columns] HU and uint8 labels (1 liver, 2 lesion)."""
    lesion, liver = labels == 2, labels == 1
    values, depth_mm = hu[lesion], ndimage.distance_transform_edt(lesion) * pixel_mm
    outside_mm = ndimage.distance_transform_edt(~lesion) * pixel_mm
    rim = hu[lesion & (depth_mm <= max(RIM_MM, pixel_mm))]
    centre = hu[lesion & (depth_mm >= 0.6 * depth_mm.max())]
    smooth = ndimage.gaussian_filter(hu.astype(np.float32), SMOOTH_MM / pixel_mm)
    inside = smooth[lesion]
    around = smooth[liver]
    parenchyma, vessels = np.median(around), np.percentile(around, 99)
    edge = hu[liver & (outside_mm <= RIM_MM)]
    found = {
        "diameter": 2 * np.sqrt(lesion.sum() / np.pi) * pixel_mm,
        "mean": values.mean(),
        "sd": values.std(),
        **{f"p{share}": np.percentile(values, share) for share in (5, 25, 50, 75, 95)},
        "liver": parenchyma,
        "vessels": vessels,
        "contrast": values.mean() - parenchyma,
        "rim - centre": rim.mean() - centre.mean(),
        "rim sd": rim.std(),
        "centre sd": centre.std(),
        "smooth sd": inside.std(),
        "smooth low": inside.min() - parenchyma,
        "smooth high": inside.max() - parenchyma,
        "smooth high - vessels": inside.max() - vessels,
        "edge": (edge.mean() if edge.size else parenchyma) - parenchyma,
    }
    return [float(found[name]) for name in all_features()]


def measure(seed: int, patients: int, matrix: int, anatomy: str = "plain") -> Slices:
    """Draw the cohort and measure its slices with a lesion."""
    rows = list(_rows(seed, patients, matrix, anatomy))
    return Slices(*(np.array(column) for column in zip(*rows, strict=True)))


def _rows(seed: int, patients: int, matrix: int, anatomy: str) -> Iterator[tuple]:
    from tqdm import tqdm

    from liver_tf.phantom.cohort import typed_cohort, typed_study
    from liver_tf.phantom.random_streams import stream

    for member in tqdm(typed_cohort(seed, patients), desc="phantom patients"):
        if member.diagnosis == "healthy":
            continue
        study = typed_study(seed, member, anatomy)
        for number, z_mm in enumerate(study.heights_mm):
            rows = []
            for scanner in (study.scanner, replace(study.scanner, noise_hu=0.0)):
                rng = stream(seed, "sheba", member.index, "noise", number)
                hu, labels = scanner.take(rng, study.patient, study.lesions, z_mm, matrix)
                rows.append(features(hu, labels, scanner.pixel_mm(matrix)))
            tissues = study.patient.tissues
            arterial = tissues.aorta > tissues.blood + 40
            yield *rows, member.diagnosis, member.index, tissues.phase, arterial


def classifiers() -> dict[str, ClassifierMixin]:
    """The classifiers, none of them tuned on the phantom."""
    logistic = LogisticRegression(C=0.1, max_iter=3000)
    return {
        "linear discriminant": make_pipeline(StandardScaler(), LinearDiscriminantAnalysis()),
        "logistic, quadratic": make_pipeline(
            QuantileTransformer(n_quantiles=100, output_distribution="normal"),
            PolynomialFeatures(2, include_bias=False),
            StandardScaler(),
            logistic,
        ),
        "nearest neighbours": make_pipeline(StandardScaler(), KNeighborsClassifier(15)),
        "random forest": RandomForestClassifier(400, min_samples_leaf=2, random_state=0),
    }


def correct(model: ClassifierMixin, values: np.ndarray, slices: Slices) -> np.ndarray:
    """bool [slices]: whether the type is right; the model never saw the slice's patient."""
    folds = StratifiedGroupKFold(10, shuffle=True, random_state=0)
    answers = cross_val_predict(model, values, slices.types, groups=slices.patients, cv=folds)
    return answers == slices.types


def share(right: np.ndarray, patients: np.ndarray) -> str:
    """Share of right slices with the 95 % interval of a bootstrap of patients."""
    names, index = np.unique(patients, return_inverse=True)
    hits, sizes = np.bincount(index, right), np.bincount(index)
    drawn = np.random.default_rng(0).integers(len(names), size=(RESAMPLES, len(names)))
    low, high = np.percentile(hits[drawn].sum(1) / sizes[drawn].sum(1), [2.5, 97.5])
    return f"{right.mean():.3f} ({low:.3f} to {high:.3f})"


def main(argv: list[str]) -> int:
    del argv
    slices = measure(_SEED.value, _PATIENTS.value, _MATRIX.value, _ANATOMY.value)
    names, models = all_features(), classifiers()
    most = max((slices.types == name).mean() for name in set(slices.types))
    patients = len(set(slices.patients))
    print(f"{len(slices.types)} slices with lesions of {patients} patients\n")
    print("| features | classifier | accuracy (95% interval) |\n| --- | --- | ---: |")
    print(f"| none | the commonest type | {most:.3f} |")
    for kind, wanted in FEATURES.items():
        columns = [names.index(name) for name in wanted]
        right = correct(models["random forest"], slices.noisy[:, columns], slices)
        print(f"| {kind} | random forest | {share(right, slices.patients)} |", flush=True)
    rights = {}
    for name, model in models.items():
        rights[name] = correct(model, slices.noisy, slices)
        print(f"| all | {name} | {share(rights[name], slices.patients)} |", flush=True)
    best = max(rights, key=lambda name: rights[name].mean())
    right = rights[best]
    half = slices.patients < np.median(slices.patients)
    some = Slices(*(column[half] for column in slices))
    fewer = correct(models[best], some.noisy, some)
    print(f"| all, half of the patients | {best} | {share(fewer, some.patients)} |")
    clean = correct(models[best], slices.clean, slices)
    print(f"| all, image without noise | {best} | {share(clean, slices.patients)} |")
    print(f"\n| slices | number | {best}, all features | the same without noise |")
    print("| --- | ---: | ---: | ---: |")
    for name, chosen in parts(slices, slices.noisy[:, names.index("diameter")]).items():
        cells = (share(each[chosen], slices.patients[chosen]) for each in (right, clean))
        print(f"| {name} | {chosen.sum()} | {' | '.join(cells)} |")
    return 0


def parts(slices: Slices, diameter_mm: np.ndarray) -> dict[str, np.ndarray]:
    """bool [slices] for each type, enhancement and size (diameter of a disc of equal area)."""
    venous = (slices.phases > 0) & ~slices.arterial
    weak, strong = np.percentile(slices.phases[venous], [100 / 3, 200 / 3])
    other = {"unenhanced": slices.phases == 0, "arterial phase": slices.arterial}
    return {
        **{name: slices.types == name for name in sorted(set(slices.types))},
        **{name: chosen for name, chosen in other.items() if chosen.any()},
        f"venous, enhancement factor below {weak:.2f}": venous & (slices.phases < weak),
        f"venous, {weak:.2f} to {strong:.2f}": venous
        & (slices.phases >= weak)
        & (slices.phases < strong),
        f"venous, {strong:.2f} or more": venous & (slices.phases >= strong),
        "lesions below 10 mm": diameter_mm < 10,
        "lesions of 10 to 20 mm": (diameter_mm >= 10) & (diameter_mm < 20),
        "lesions of 20 mm or more": diameter_mm >= 20,
    }


if __name__ == "__main__":
    app.run(main)

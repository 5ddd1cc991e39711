"""Hash distances between re-exported slices, and between slices of different patients.

    python -m data_prep.phantom --output=DIR --lits_volumes=20
    python -m benchmarks.near_duplicates --phantom=DIR

Re-exports are made from phantom and real slices. Different patients are phantoms, which have the
same organs at the same heights, and one pair of real patients in ``LIVER_TF_REAL_DATA`` (or
``../shared/data`` next to the project). The threshold is ``slice_hash.NEAR_BITS``.
"""

import io
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import app, flags
from PIL import Image
from scipy import ndimage

from benchmarks.real_ct import real_data
from liver_tf.conversion.case_reader import read_slices
from liver_tf.conversion.cases import CaseNotes
from liver_tf.conversion.sources import find_lits, find_slices
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.window import DEFAULT_WINDOW, apply_window
from liver_tf.labels import LESION_TYPES
from liver_tf.records.near_duplicates import near_pairs
from liver_tf.records.slice_hash import BITS, NEAR_BITS, SliceHashes, hash_slice, parse_hashes

FLAGS = flags.FLAGS
MASK_VALUES = ((0, "background"), (1, "liver"), (2, "lesion"))

#: Slices of a patient, windowed int16 [rows, columns] each.
Patient = list[np.ndarray]


def phantoms(folder: Path) -> list[Patient]:
    """All patients of both phantom sets."""
    key = secrets.token_bytes(32)
    tasks = find_slices(folder / "sheba/slices.csv", key, LESION_TYPES, MASK_VALUES)[0]
    return [_images(task) for task in (*tasks, *find_lits(folder / "lits", key)[0])]


def real(folder: Path) -> list[Patient]:
    """The CHAOS patient and the dcmqi patient."""
    chaos = find_lits(folder, secrets.token_bytes(32))[0]
    slices = [folder.parent / "dcmqi_liver" / f"0{n}.dcm" for n in (1, 2, 3)]
    return [_images(chaos[0]), [apply_window(read_dicom_slice(path).hu[0]) for path in slices]]


def _images(task) -> Patient:
    return [apply_window(one.hu) for one in read_slices(task, CaseNotes())]


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """The window as 8 bits through JPEG and back."""
    low, high = DEFAULT_WINDOW
    file = io.BytesIO()
    grey = np.rint((image.astype(np.float64) - low) / (high - low) * 255).astype(np.uint8)
    Image.fromarray(grey).save(file, "JPEG", quality=quality)
    return as_slice(np.asarray(Image.open(file)) / 255 * (high - low) + low)


def as_slice(image: np.ndarray) -> np.ndarray:
    """HU as a converter would store them."""
    return apply_window(np.rint(image).astype(np.int16))


def resized(image: np.ndarray, side: int) -> np.ndarray:
    """Another matrix over the same field of view: pixel means where they fit, else linear."""
    rows = image.shape[0]
    if rows % side == 0:
        step = rows // side
        return as_slice(image.reshape(side, step, side, step).mean((1, 3)))
    zoom = side / rows
    return as_slice(
        ndimage.zoom(image.astype(np.float64), zoom, order=1, mode="nearest", grid_mode=True)
    )


def noisy(image: np.ndarray) -> np.ndarray:
    return as_slice(image + np.random.default_rng(image.size).integers(-2, 3, image.shape))


def moved(image: np.ndarray, pixels: int) -> np.ndarray:
    return np.roll(image, (pixels, -pixels), (0, 1))


RE_EXPORTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "noise of +-2 HU": noisy,
    "brightness +5 HU": lambda x: as_slice(x + 5.0),
    "JPEG, quality 50": lambda x: jpeg(x, 50),
    "matrix 256, pixel means": lambda x: resized(x, 256),
    "matrix 256, every second pixel": lambda x: x[::2, ::2],
    "matrix 400, linear": lambda x: resized(x, 400),
    "shift by 1 pixel along both axes": lambda x: moved(x, 1),
    "shift by 2 pixels along both axes": lambda x: moved(x, 2),
    "flip left to right, shift by 1": lambda x: moved(x[:, ::-1], 1),
    "rotation by 1 degree": lambda x: as_slice(
        ndimage.rotate(x.astype(np.float64), 1, reshape=False, order=1, mode="nearest")
    ),
    "shift by 1, matrix 256, +5 HU, noise, JPEG 50": lambda x: jpeg(
        noisy(resized(moved(x, 1), 256) + np.int16(5)), 50
    ),
}


def hashes(images: Patient) -> SliceHashes:
    return parse_hashes(hash_slice(image, index) for index, image in enumerate(images))


def distances(left: SliceHashes, right: SliceHashes) -> np.ndarray:
    """int64 [left, right]: bits that differ in the view that fits best; -1 where there is none."""
    found = np.full((len(left), len(right)), -1)
    for rows, columns, distance, _ in near_pairs(left, right, most=BITS):
        found[rows, columns] = distance
    return found


def row(name: str, values: np.ndarray) -> str:
    low, middle, high = np.percentile(values, (0.1, 50, 99.9))
    alike = int((values <= NEAR_BITS).sum())
    figures = f"{values.min()} | {low:.0f} | {middle:.0f} | {high:.0f} | {values.max()}"
    return f"| {name} | {values.size} | {figures} | {alike} ({alike / values.size:.2%}) |"


def main(argv: list[str]) -> int:
    del argv
    drawn, living = phantoms(Path(FLAGS.phantom)), real(real_data())
    every = [image for patient in (*drawn, *living) for image in patient]
    own = hashes(every)
    print(
        f"{len(every)} slices, {len(drawn)} phantom and {len(living)} real patients; "
        f"{int((~own.has_bits).sum())} slices without content; threshold {NEAR_BITS} bits\n\n"
        f"| pairs | count | least | 0.1 % | median | 99.9 % | most | called near-duplicates |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    )
    for name, change in RE_EXPORTS.items():
        for kind, images in (("phantom", drawn), ("real", living)):
            chosen = [image for patient in images for image in patient]
            before, after = hashes(chosen), hashes([change(image) for image in chosen])
            print(row(f"{kind}: {name}", np.diag(distances(before, after))), flush=True)
    owner = np.repeat(np.arange(len(drawn)), [len(patient) for patient in drawn])
    phantom = [image for patient in drawn for image in patient]
    between = distances(hashes(phantom), hashes(phantom))
    values = between[np.less.outer(owner, owner)]
    print(row("phantom: two patients", values))
    print(row("real: two patients", distances(*map(hashes, living)).ravel()))
    chaos = hashes(living[0])
    itself = distances(chaos, hashes(living[0]))
    for apart in (1, 2, 5, 10):
        name = f"real: one patient, slices {2 * apart} mm apart"
        print(row(name, np.diag(itself, apart)))
    tail = ", ".join(f"{(values <= bits).sum()} within {bits}" for bits in range(24, 65, 8))
    print(f"\npairs of slices of two phantom patients: {tail} bits")
    print(f"hashing a slice of 512 x 512: {milliseconds(living[0]):.2f} ms (median)")
    print(f"comparing 58,000 slices with 332: {comparison_seconds(58_000, 332):.1f} s")
    return 0


def comparison_seconds(left: int, right: int) -> float:
    """Time that it takes to compare so many slices with random hashes."""
    generator = np.random.default_rng(0)
    sides = [
        parse_hashes(f"{index}:-:{generator.bytes(BITS // 8).hex()}" for index in range(count))
        for count in (left, right)
    ]
    began = time.perf_counter()
    assert not list(near_pairs(*sides))
    return time.perf_counter() - began


def milliseconds(images: Patient) -> float:
    """Time that a slice's hash takes, median."""
    taken = []
    for image in images:
        began = time.perf_counter()
        hash_slice(image, 0)
        taken.append(time.perf_counter() - began)
    return float(np.median(taken)) * 1000


if __name__ == "__main__":
    flags.DEFINE_string("phantom", None, "Folder that data_prep.phantom wrote.", required=True)
    app.run(main)

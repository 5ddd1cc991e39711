"""The phantom compared with a real CT: the same figures measured in both, and a picture.

    python -m benchmarks.phantom_vs_chaos

The real CT is the CHAOS slices in ``chaos_ct3`` of the folder named by LIVER_TF_REAL_DATA, or of
``../shared/data`` next to the project.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from absl import app, flags

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "phantom_vs_chaos.png"
WINDOW_HU = (-160, 240)

_PATIENTS = flags.DEFINE_integer("patients", 12, "phantom patients to measure")
_SLICES = flags.DEFINE_integer("slices", 24, "slices of each phantom patient")
_SEED = flags.DEFINE_integer("seed", 0, "the phantom's seed")
_PICTURE = flags.DEFINE_string("picture", str(PICTURE), "where to draw the picture")


@dataclass(frozen=True)
class Volume:
    """HU and labels [slices, rows, columns] as a radiologist sees them, and the spacing in mm."""

    hu: np.ndarray
    labels: np.ndarray
    pixel_mm: float
    step_mm: float


def load_chaos(folder: Path) -> Volume:
    """The CHAOS series with its expert liver masks."""
    import nibabel as nib

    image = nib.as_closest_canonical(nib.load(folder / "volume-3.nii.gz"))
    mask = nib.as_closest_canonical(nib.load(folder / "segmentation-3.nii.gz"))
    spacing = image.header.get_zooms()
    hu, labels = (
        np.ascontiguousarray(np.asarray(i.dataobj)[::-1, ::-1].transpose(2, 1, 0))
        for i in (image, mask)
    )
    return Volume(
        hu.astype(np.int16), labels.astype(np.uint8), float(spacing[0]), float(spacing[2])
    )


def draw_volume(seed: int, index: int, slices: int) -> Volume:
    """A LiTS-like phantom at 512 x 512, the very one that ``data_prep.phantom`` writes."""
    from liver_tf.phantom.cohort import volume_study
    from liver_tf.phantom.random_streams import stream

    study = volume_study(seed, index, slices)
    taken = [
        study.scanner.take(
            stream(seed, "lits", index, "noise", k), study.patient, study.lesions, z, 512
        )
        for k, z in enumerate(study.heights_mm)
    ]
    step = study.heights_mm[1] - study.heights_mm[0]
    hu, labels = (np.stack(part) for part in zip(*taken, strict=True))
    return Volume(hu, labels, study.scanner.pixel_mm(512), step)


def body_size_mm(hu: np.ndarray, pixel_mm: float) -> tuple[float, float]:
    """Width and depth in mm of the body in a slice, without the table."""
    from scipy import ndimage

    body = ndimage.binary_opening(hu > -300, iterations=4)
    parts, _ = ndimage.label(body)
    body = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    rows, columns = np.flatnonzero(body.any(1)), np.flatnonzero(body.any(0))
    return (np.ptp(columns) + 1) * pixel_mm, (np.ptp(rows) + 1) * pixel_mm


def even_liver(hu: np.ndarray, liver: np.ndarray, pixel_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Detrended HU of a slice, and where the liver is even: away from edges, vessels, lesions."""
    from scipy import ndimage

    image = hu.astype(np.float32)
    flat = image - ndimage.gaussian_filter(image, 4.5 / pixel_mm)
    inner = ndimage.binary_erosion(liver, iterations=round(6 / pixel_mm))
    if inner.sum() < 2000:
        return flat, np.zeros_like(inner)
    smooth = ndimage.gaussian_filter(image, 2.5 / pixel_mm)
    off = np.abs(smooth - np.median(smooth[inner]))
    return flat, inner & (off < 2.5 * np.median(off[inner]) + 1)


def autocorrelation(flat: np.ndarray, where: np.ndarray, reach: int = 12) -> np.ndarray:
    """Autocorrelation [reach, 2] along columns and along rows of the pixels named by ``where``."""
    weight = where.astype(np.float32)
    values = (flat - flat[where].mean()) * weight
    result = np.empty((reach, 2))
    for axis in (1, 0):
        for shift in range(reach):
            ahead = (slice(None), slice(shift, None)) if axis else (slice(shift, None), slice(None))
            stop = -shift or None
            back = (slice(None), slice(stop)) if axis else (slice(stop), slice(None))
            pairs = (weight[ahead] * weight[back]).sum()
            result[shift, 1 - axis] = (values[ahead] * values[back]).sum() / max(pairs, 1)
    return result / result[0]


def correlation_length_mm(correlation: np.ndarray, pixel_mm: float) -> float:
    """Where a falling autocorrelation first crosses 1/e, between samples by a straight line."""
    level = np.exp(-1)
    first = int(np.argmax(correlation < level))
    above, below = correlation[first - 1], correlation[first]
    return (first - 1 + (above - level) / (above - below)) * pixel_mm


def measure(volume: Volume) -> dict[str, float]:
    """The figures of a volume; names carry the units."""
    liver = volume.labels == 1
    area = liver.sum((1, 2))
    levels = np.flatnonzero(area > 0.35 * area.max())
    noise, correlations, sizes = [], [], []
    for k in levels:
        sizes.append(body_size_mm(volume.hu[k], volume.pixel_mm))
        flat, where = even_liver(volume.hu[k], liver[k], volume.pixel_mm)
        if where.sum() > 2000:
            noise.append(flat[where].std())
            correlations.append(autocorrelation(flat, where))
    correlation = np.mean(correlations, axis=0)
    voxel_ml = volume.pixel_mm**2 * volume.step_mm / 1000
    width, depth = np.median(sizes, axis=0)
    return {
        "liver mean, HU": float(volume.hu[liver].mean()),
        "liver SD, HU": float(volume.hu[liver].std()),
        "noise SD, HU": float(np.mean(noise)),
        "noise correlation length, left-right, mm": correlation_length_mm(
            correlation[:, 0], volume.pixel_mm
        ),
        "noise correlation length, front-back, mm": correlation_length_mm(
            correlation[:, 1], volume.pixel_mm
        ),
        "body width, mm": float(width),
        "body depth, mm": float(depth),
        "liver volume, ml": float((volume.labels > 0).sum() * voxel_ml),
    }


def table(chaos: dict[str, float], phantoms: list[dict[str, float]]) -> str:
    """Markdown: CHAOS beside the phantom patients' mean, SD and range."""
    lines = [
        f"| figure | CHAOS | phantom mean ± SD | phantom range ({len(phantoms)} patients) |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, value in chaos.items():
        all_of = np.array([p[name] for p in phantoms])
        digits = 2 if "length" in name else 0 if "ml" in name or name.startswith("body") else 1
        lines.append(
            f"| {name} | {value:.{digits}f} | {all_of.mean():.{digits}f} ± "
            f"{all_of.std(ddof=1):.{digits}f} | {all_of.min():.{digits}f} to "
            f"{all_of.max():.{digits}f} |"
        )
    return "\n".join(lines)


def draw_picture(path: Path, chaos: Volume, phantoms: list[Volume], seed: int) -> None:
    """A row of CHAOS slices, two of LiTS-like phantoms, two of typed lesions with arrows."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    # Heights by the share of the liver below, so that like lies under like.
    rows = [("CHAOS", _at_heights(chaos))]
    rows += [(f"phantom, LiTS-like {k}", _at_heights(v)) for k, v in enumerate(phantoms[:2])]
    typed = _typed_examples(seed)
    rows += [("phantom, typed", typed[:6]), ("phantom, typed", typed[6:])]
    figure, axes = plt.subplots(len(rows), 6, figsize=(13, 2 * len(rows) + 0.6), facecolor="black")
    for (name, panels), line in zip(rows, axes, strict=True):
        for (title, hu, lesion), axis in zip(panels, line, strict=True):
            _panel(axis, f"{name}: {title}" if title else name, hu, lesion)
    figure.subplots_adjust(0.003, 0.003, 0.997, 0.975, wspace=0.02, hspace=0.12)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, facecolor="black")
    plt.close(figure)
    _shrink(path)


def _at_heights(volume: Volume) -> list[tuple[str, np.ndarray, None]]:
    levels = np.flatnonzero((volume.labels > 0).any((1, 2)))
    picked = np.interp([0.08, 0.25, 0.42, 0.6, 0.77, 0.92], [0, 1], [levels[0], levels[-1]])
    return [("", volume.hu[round(k)], None) for k in picked]


def _typed_examples(seed: int) -> list[tuple[str, np.ndarray, np.ndarray]]:
    from liver_tf.phantom.cohort import typed_cohort, typed_study
    from liver_tf.phantom.random_streams import stream

    members = typed_cohort(seed, 140)
    found = []
    for diagnosis in ("cyst", "hemangioma", "metastasis"):
        shown = 0
        for member in (m for m in members if m.diagnosis == diagnosis):
            if shown == 4:
                break
            study = typed_study(seed, member)
            rng = stream(seed, "sheba", member.index, "noise", 0)
            hu, labels = study.scanner.take(
                rng, study.patient, study.lesions, study.heights_mm[0], 512
            )
            # Small lesions cannot be seen at this size of picture.
            if (labels == 2).sum() * study.scanner.pixel_mm(512) ** 2 > 350:
                found.append((diagnosis, hu, labels == 2))
                shown += 1
    return found


def _panel(axis, title: str, hu: np.ndarray, lesion: np.ndarray | None) -> None:
    axis.imshow(hu, cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1], interpolation="antialiased")
    body = hu > -300
    rows = np.flatnonzero(body.sum(1) > 60)
    columns = np.flatnonzero(body.sum(0) > 30)
    centre, half = (columns[0] + columns[-1]) / 2, (columns[-1] - columns[0]) / 2 + 6
    middle = (rows[0] + rows[-1]) / 2
    axis.set_xlim(centre - half, centre + half)
    axis.set_ylim(middle + 0.86 * half, middle - 0.86 * half)
    axis.set_title(title, fontsize=7, color="white", pad=2)
    axis.axis("off")
    if lesion is not None and lesion.any():
        from scipy import ndimage

        parts, _ = ndimage.label(lesion)
        biggest = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
        row, column = ndimage.center_of_mass(biggest)
        radius = np.sqrt(biggest.sum() / np.pi)
        tip = (column - 0.75 * radius - 2, row - 0.75 * radius - 2)
        arrow = {"arrowstyle": "->", "color": "yellow", "lw": 1}
        axis.annotate("", xy=tip, xytext=(tip[0] - 38, tip[1] - 38), arrowprops=arrow)


def _shrink(path: Path) -> None:
    """Few grey levels: noise does not pack, and nobody sees 256 of them in a thumbnail."""
    from PIL import Image

    greys = [v for g in np.linspace(0, 255, 28).astype(int).tolist() for v in (g, g, g)]
    yellows = [v for g in (110, 180, 255) for v in (g, g, 0)]
    palette = Image.new("P", (1, 1))
    palette.putpalette(greys + yellows)
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def real_data() -> Path | None:
    """Folder of the CHAOS slices, or None where there is none."""
    base = Path(os.environ.get("LIVER_TF_REAL_DATA", ROOT.parent / "shared" / "data"))
    folder = base / "chaos_ct3"
    return folder if (folder / "volume-3.nii.gz").exists() else None


def main(argv: list[str]) -> int:
    del argv
    folder = real_data()
    if folder is None:
        print(
            "no CHAOS slices found: set LIVER_TF_REAL_DATA to the folder that holds "
            "chaos_ct3/volume-3.nii.gz and segmentation-3.nii.gz",
            file=sys.stderr,
        )
        return 1
    from tqdm import tqdm

    chaos = load_chaos(folder)
    phantoms, figures = [], []
    for index in tqdm(range(_PATIENTS.value), desc="phantom patients"):
        volume = draw_volume(_SEED.value, index, _SLICES.value)
        figures.append(measure(volume))
        if index < 2:
            phantoms.append(volume)
    print(table(measure(chaos), figures))
    draw_picture(Path(_PICTURE.value), chaos, phantoms, _SEED.value)
    return 0


if __name__ == "__main__":
    app.run(main)

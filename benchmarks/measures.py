"""Dice and surface distances compared with MONAI: values and time.

    pip install -c constraints.txt -e '.[bench]'
    python -m benchmarks.measures

200 pairs of random masks, a third of them in 3-D, with random spacings; some are empty on one or
both sides, some touch the border. Compared are Dice, the 95 % Hausdorff distance and the average
symmetric surface distance. Where a side is empty, MONAI returns NaN or infinity and we return
None; that is compared too. MONAI rounds distances to float32 and interpolates its percentile with
float32 ranks (five digits), so for the comparison its distances are kept in float64. Its results
are still float32, so differences above 1 mm are relative. (Tests check 1e-9 mm against all pairs
of surface points.) Then both, MONAI unmodified, are timed in interleaved rounds; medians and
their ratio.
"""

import contextlib
import math
import statistics
import sys
import time
import warnings

import numpy as np
from absl import app, flags
from scipy import ndimage

FLAGS = flags.FLAGS

NAMES = ("Dice", "HD95, mm", "ASSD, mm")
TOLERANCE = 1e-6


def main(argv: list[str]) -> int:
    del argv
    try:
        import monai
        import torch
    except ImportError:
        sys.exit("MONAI is missing: pip install -c constraints.txt -e '.[bench]'")
    torch.set_num_threads(1)
    pairs = list(_pairs(FLAGS.pairs, np.random.default_rng(FLAGS.seed)))
    ours = [_ours(*pair) for pair in pairs]
    with _distances_in_float64():
        theirs = [_monais(*pair) for pair in pairs]
    print(f"{len(pairs)} pairs of masks, MONAI {monai.__version__}\n")
    print("| measure | defined in both | undefined in both | largest difference | largest value |")
    print("| --- | ---: | ---: | ---: | ---: |")
    agree = True
    for place, name in enumerate(NAMES):
        values = [(one[place], other[place]) for one, other in zip(ours, theirs, strict=True)]
        split = [(a, b) for a, b in values if (a is None) != (b is None)]
        both = [(a, b) for a, b in values if a is not None and b is not None]
        worst = max(abs(a - b) / max(a, 1.0) for a, b in both)
        agree &= not split and worst <= TOLERANCE
        print(
            f"| {name} | {len(both)} | {len(values) - len(both) - len(split)} | {worst:.1e} | "
            f"{max(a for a, _ in both):.1f} |"
        )
    print(f"\nagree to {TOLERANCE:g}: {'yes' if agree else 'NO'}")
    ratios, seconds = [], ([], [])
    for _ in range(FLAGS.rounds):
        for kept, measure in zip(seconds, (_ours, _monais), strict=True):
            started = time.perf_counter()
            for pair in pairs:
                measure(*pair)
            kept.append(time.perf_counter() - started)
        ratios.append(seconds[0][-1] / seconds[1][-1])
    print(
        f"time for all: ours {statistics.median(seconds[0]):.2f} s, MONAI "
        f"{statistics.median(seconds[1]):.2f} s, ours / MONAI {statistics.median(ratios):.2f} "
        f"(median of {FLAGS.rounds} rounds in turn, {min(ratios):.2f} to {max(ratios):.2f})"
    )
    return 0 if agree else 1


@contextlib.contextmanager
def _distances_in_float64():
    """MONAI's own code, but for the conversion of its distances to float32."""
    from monai.metrics import utils

    convert = utils.convert_to_dst_type

    def exact(source, target, dtype=None, **options):
        import torch

        return convert(source, target, dtype=torch.float64 if dtype else None, **options)

    utils.convert_to_dst_type = exact
    try:
        yield
    finally:
        utils.convert_to_dst_type = convert


def _pairs(count: int, rng: np.random.Generator):
    """Truth, prediction, spacing: blobs of smoothed noise, some empty."""
    for number in range(count):
        shape = (64, 56) if number % 3 else (12, 40, 36)
        noise = ndimage.gaussian_filter(rng.normal(size=(2, *shape)), (0, *[2.0] * len(shape)))
        # The prediction resembles the truth more or less.
        likeness = rng.random()
        noise[1] = likeness * noise[0] + (1 - likeness) * noise[1]
        share = rng.choice([0.02, 0.1, 0.4])
        truth, predicted = noise > np.quantile(noise, 1 - share)
        if number % 10 == 0:
            truth[:] = False
        if number % 15 == 0:
            predicted[:] = False
        yield truth, predicted, tuple(rng.uniform(0.5, 3.0, len(shape)).tolist())


def _ours(truth, predicted, spacing_mm) -> tuple[float | None, float | None, float | None]:
    from liver_tf.measures.slice_result import PixelCounts
    from liver_tf.measures.surface_distances import surface_distances

    counts = (truth.sum(), predicted.sum(), (truth & predicted).sum())
    found = surface_distances(truth, predicted, spacing_mm)
    dice = PixelCounts(*map(int, counts)).dice
    return (dice, None, None) if found is None else (dice, found.hd95_mm, found.assd_mm)


def _monais(truth, predicted, spacing_mm) -> tuple[float | None, float | None, float | None]:
    import torch
    from monai.metrics import (
        compute_average_surface_distance,
        compute_dice,
        compute_hausdorff_distance,
    )

    y, y_pred = (torch.from_numpy(mask)[None, None] for mask in (truth, predicted))
    with warnings.catch_warnings():
        # It warns of every empty mask.
        warnings.simplefilter("ignore")
        # By its own default an empty truth is ignored, whatever was predicted.
        dice = compute_dice(y_pred, y, ignore_empty=False)
        if not (truth.any() or predicted.any()):
            dice = torch.tensor(math.nan)
        options = {"include_background": True, "spacing": list(spacing_mm)}
        hd95 = compute_hausdorff_distance(y_pred, y, percentile=95, **options)
        assd = compute_average_surface_distance(y_pred, y, symmetric=True, **options)
    return tuple(float(one) if math.isfinite(float(one)) else None for one in (dice, hd95, assd))


if __name__ == "__main__":
    flags.DEFINE_integer("pairs", 200, "Pairs of masks.", lower_bound=1)
    flags.DEFINE_integer("rounds", 3, "Interleaved rounds.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Seed of the masks.", lower_bound=0)
    app.run(main)

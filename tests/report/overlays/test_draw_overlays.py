"""Overlays: sizes, outlines where they belong, and a lesion that stays visible."""

import io

import numpy as np
import pytest
from PIL import Image

from liver_tf.labels import LESION_TYPES, LITS
from liver_tf.report.overlays.draw_overlays import Panel, draw_overlay, draw_sheet, scale_bar_mm


@pytest.fixture
def lesion_slice():
    rng = np.random.default_rng(0)
    hu = rng.normal(-100, 10, (64, 80)).astype(np.float32)
    truth = np.zeros((64, 80), np.uint8)
    truth[10:50, 10:60] = 1
    truth[20:30, 20:32] = 2
    hu[truth == 1], hu[truth == 2] = 110, 10
    predicted = truth.copy()
    predicted[predicted == 2] = 1
    predicted[22:32, 20:32] = 4
    return hu, truth, predicted


def pixels_near(image, colour, tolerance=60):
    return int((np.abs(image.astype(int) - np.array(colour)).sum(axis=-1) < tolerance).sum())


def read(path):
    return np.asarray(Image.open(path).convert("RGB"))


METASTASIS, CYST, GREEN = (0xD5, 0x5E, 0x00), (0x56, 0xB4, 0xE9), (0x00, 0x9E, 0x73)


def test_overlay_draws_predicted_classes_only(lesion_slice, tmp_path):
    hu, truth, predicted = lesion_slice
    panel = Panel(hu, truth, predicted, LESION_TYPES, "t", (0.8, 0.8))
    path = draw_overlay(panel, tmp_path / "a.png")
    image = read(path)
    legend_from = int(image.shape[0] * 0.93)
    left, right = np.split(image[:legend_from], [image.shape[1] // 2], axis=1)
    assert pixels_near(right, METASTASIS) > 50
    assert pixels_near(right, GREEN) > 100
    assert pixels_near(right, CYST) == 0
    for colour in (METASTASIS, CYST, GREEN):
        assert pixels_near(left, colour) == 0
    assert list(tmp_path.iterdir()) == [path]


def test_aspect_follows_the_spacing(lesion_slice, tmp_path):
    hu, _, predicted = lesion_slice
    flat = Panel(hu, None, predicted, LESION_TYPES, "t", (0.5, 1.0))
    tall = Panel(hu, None, predicted, LESION_TYPES, "t", (1.0, 0.5))
    assert flat.size_mm == (32.0, 80.0)

    def lesion_box(panel, name):
        image = read(draw_sheet([panel], tmp_path / name))
        inside = image[: int(image.shape[0] * 0.85)]
        near = np.abs(inside.astype(int) - np.array(METASTASIS)).sum(axis=-1) < 60
        rows, columns = np.nonzero(near)
        return np.ptp(rows) / np.ptp(columns)

    # The predicted lesion is 10 rows by 12 columns.
    assert lesion_box(flat, "flat.png") == pytest.approx(10 * 0.5 / 12, rel=0.1)
    assert lesion_box(tall, "tall.png") == pytest.approx(10 / (12 * 0.5), rel=0.1)


def test_numbers_stand_beside_lesions_in_the_right_picture_only(lesion_slice, tmp_path):
    hu, truth, predicted = lesion_slice
    place = tuple(np.argwhere(predicted > 1)[0])
    options = (hu, truth, predicted, LESION_TYPES, "t", (1.0, 1.0))
    plain = read(draw_overlay(Panel(*options), tmp_path / "plain.png"))
    numbered = read(draw_overlay(Panel(*options, {17: place}), tmp_path / "numbered.png"))
    changed = np.argwhere((plain != numbered).any(axis=-1))
    assert changed[:, 1].min() > plain.shape[1] / 2
    height, width = np.ptp(changed, axis=0)
    assert 15 < height < width < 60


def test_same_slice_gives_same_bytes(lesion_slice, tmp_path):
    hu, truth, predicted = lesion_slice
    panel = Panel(hu, truth, predicted, LESION_TYPES, "t", (1.0, 1.0))
    first, second = (draw_overlay(panel, tmp_path / name) for name in ("a.png", "b.png"))
    assert first.read_bytes() == second.read_bytes()


def test_sheet_takes_mixed_panels(lesion_slice, tmp_path):
    hu, truth, predicted = lesion_slice
    empty = np.zeros_like(predicted)
    panels = [
        Panel(hu, truth, predicted, LESION_TYPES, "both", (1.0, 1.0)),
        Panel(hu, None, empty, LITS, "nothing found", None),
        Panel(hu[:20], np.full_like(truth[:20], 2), empty[:20], LITS, "all lesion", (1, 1)),
        Panel(hu, truth, empty, LESION_TYPES, "missed", (1.0, 1.0)),
    ]
    path = draw_sheet(panels, tmp_path / "deep" / "sheet.png", columns=3)
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        assert image.format == "PNG"
        assert image.width > 1000


def test_scale_bar_is_round():
    assert [scale_bar_mm(w) for w in (2, 10, 128, 372, 500, 2000)] == [1, 2, 20, 100, 100, 200]


def test_refusals(lesion_slice, tmp_path):
    hu, truth, predicted = lesion_slice
    with pytest.raises(ValueError, match="of the same shape"):
        Panel(hu, truth[1:], predicted, LESION_TYPES, "t", None)
    with pytest.raises(ValueError, match="two positive numbers"):
        Panel(hu, truth, predicted, LESION_TYPES, "t", (1.0, float("nan")))
    with pytest.raises(ValueError, match="at least one panel"):
        draw_sheet([], tmp_path / "x.png")

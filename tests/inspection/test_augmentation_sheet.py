"""The augmentation sheet shows what training sees, with correct captions and no pseudonyms."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from data_prep import preview
from liver_tf.inspection.augmentation_sheet import caption, draw_sheet, make_rows
from liver_tf.labels import LESION_TYPES
from liver_tf.options import OptionError
from liver_tf.pipeline.augmentation.ranges import Ranges
from liver_tf.pipeline.batches import BatchSource
from liver_tf.pipeline.slices import Slices


def slices_of(record_set, size=32):
    folder, manifest = record_set
    cases = tuple(entry.case for entry in manifest.cases)
    return Slices(folder, manifest, cases, size, (0, 1, 2, 3, 4))


def test_the_sheet_shows_what_training_sees(record_set):
    slices = slices_of(record_set)
    rows = make_rows(slices, Ranges(), seed=3, rows=5, epochs=2)
    # The lesion types in turn, then again.
    assert [row.name for row in rows] == ["cyst", "hemangioma", "metastasis", "no lesion", "cyst"]
    source = BatchSource(slices, batch_size=1, seed=3, ranges=Ranges(), augment_on_host=True)
    plain = BatchSource(slices, batch_size=1, seed=3, ranges=None)
    for number, batches in enumerate((plain, source, source)):
        in_training = {
            images.numpy().tobytes(): labels.numpy().tobytes()
            for images, labels, _ in batches.epoch(max(number - 1, 0))
        }
        for row in rows:
            image, labels = row.images[number], row.labels[number]
            near = [key for key, value in in_training.items() if value == labels.tobytes()]
            apart = [np.abs(np.frombuffer(key, np.float32) - image.ravel()).max() for key in near]
            assert min(apart) < 1e-2, (row.name, number)


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        ([1, 0, 0, 0, 1, 0], "rotation +0°, zoom 1.00\n+0 % right, +0 % down"),
        # Output pixels come from 10 % further left: the picture moves to the right.
        ([1, 0, -0.1, 0, 1, 0.05], "rotation +0°, zoom 1.00\n+10 % right, -5 % down"),
        ([-1, 0, 0, 0, 1, 0], "rotation +0°, zoom 1.00, flipped\n+0 % right, +0 % down"),
        # Anticlockwise as numpy's rot90, and twice as large.
        ([0, -0.5, 0, 0.5, 0, 0], "rotation +90°, zoom 2.00\n+0 % right, +0 % down"),
    ],
)
def test_the_caption_describes_the_picture(transform, words):
    drawn = {"transform": np.float32(transform), "gain": 1.07, "offset_hu": -0.2, "noise_hu": 5.4}
    assert caption(drawn) == f"{words}\ncontrast 1.07, +0 HU, noise 5 HU"


def test_augmentation_beyond_the_paper_has_its_own_line():
    drawn = {"transform": np.float32([1, 0, 0, 0, 1, 0]), "gain": 1.0, "offset_hu": 0.0}
    more = {
        "gamma": 1.21,
        # A Gaussian of SD 1 on whole pixels.
        "blur": np.float32([0.39905, 0.24204, 0.05401, 0.00443]),
        "elastic": np.float32([[[0.01, -0.02]]]),
    }
    assert caption(drawn | more).splitlines()[3] == "elastic 2.0 %, gamma 1.21, blur 1.0 px"


def test_captions_describe_the_moderated_augmentation(record_set):
    """The shift in the caption agrees with the movement of the lesion in the picture."""
    free = Ranges(0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0)
    drawn, safe = (
        make_rows(slices_of(record_set), ranges, seed=0, rows=3, epochs=6)
        for ranges in (free, replace(free, kept_from=2))
    )
    moderated = 0
    for row, other in zip(safe, drawn, strict=True):
        lesion = row.labels[0].max()
        before = np.argwhere(row.labels[0] == lesion).mean(axis=0)
        for labels, applied, rest in zip(row.labels[1:], row.applied, other.applied, strict=True):
            words = caption(applied).splitlines()[1]
            right, down = (int(part.split("%")[0]) for part in words.split(","))
            displacement = np.argwhere(labels == lesion).mean(axis=0) - before
            # Captions are in whole percent of 32 pixels; labels move by whole pixels.
            np.testing.assert_allclose([down, right], 100 * displacement / 32, atol=2.5)
            moderated += caption(applied) != caption(rest)
    assert moderated > 3


def test_the_same_sheet_has_the_same_bytes(record_set, tmp_path):
    rows = make_rows(slices_of(record_set), Ranges(), seed=0, rows=2, epochs=3)
    for name in ("one.png", "two.png"):
        draw_sheet(rows, LESION_TYPES, (-160, 240), tmp_path / name, "seed 0")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    colours = {tuple(bytes.fromhex(LESION_TYPES.colour(label)[1:])) for label in (1, 2, 3)}
    assert colours <= set(map(tuple, np.unique(pixels, axis=0).tolist()))


def test_the_command_draws_and_refuses(record_set, tmp_path, command, capsys):
    output = tmp_path / "new" / "sheet.png"
    small = ("--image_size=32", "--slices=2", "--versions=1", "--elastic=0.02")
    assert command(preview, f"--records={record_set[0]}", f"--output={output}", *small) == 0
    assert "2 slices in 1 epoch" in capsys.readouterr().out
    data = output.read_bytes()
    assert data.startswith(b"\x89PNG")
    assert not [e.case for e in record_set[1].cases if e.case.encode() in data]
    assert command(preview, f"--records={tmp_path}/nowhere", f"--output={output}") == 1
    assert "[no-manifest] expected a record set" in capsys.readouterr().err
    with pytest.raises(OptionError, match=r"ends with \.png"):
        command(preview, f"--records={record_set[0]}", "--output=sheet.jpg")

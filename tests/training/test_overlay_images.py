"""Overlay images: outlines, the choice of slices, and the events that TensorBoard reads."""

import io

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.labels import LITS
from liver_tf.training import overlay_images
from liver_tf.training.protocol import SCRATCH, Protocol
from liver_tf.training.training_log import TrainingLog
from tests.builders import tiny_run
from tests.builders.replica_run import FIXED

GREEN, SKY = (0x00, 0x9E, 0x73), (0x56, 0xB4, 0xE9)


def test_outlines_equal_those_drawn_by_hand():
    """A liver of 5 x 5 pixels with a lesion of one pixel; the prediction is empty."""
    truth = np.zeros((1, 8, 8), np.uint8)
    truth[0, 1:6, 1:6] = 1
    truth[0, 3, 3] = 2
    hu = np.full((1, 8, 8), 40.0)
    hu[0, 0, 0], hu[0, 7, 7] = -500, 900
    drawn = overlay_images.outlined(hu, truth, np.zeros_like(truth), LITS, (-160, 240))
    assert drawn.dtype == np.uint8
    assert drawn.shape == (1, 8, 8 + 2 + 8, 3)
    left, gap, right = drawn[0, :, :8], drawn[0, :, 8:10], drawn[0, :, 10:]
    ring = {(r, c) for r in range(1, 6) for c in range(1, 6) if {r, c} & {1, 5}}
    assert {tuple(position) for position in np.argwhere((left == GREEN).all(-1))} == ring
    assert [tuple(position) for position in np.argwhere((left == SKY).all(-1))] == [(3, 3)]
    # The middle of the window is grey; HU outside the window are black and white.
    assert left[2, 2].tolist() == [127] * 3
    assert left[0, 0].tolist() == [0] * 3
    assert left[7, 7].tolist() == [255] * 3
    assert not gap.any()
    assert (right[1:7, 1:7] == 127).all()


def test_a_region_at_the_edge_of_the_slice_is_outlined_there():
    labels = np.ones((1, 4, 4), np.uint8)
    drawn = overlay_images.outlined(np.zeros((1, 4, 4)), labels, labels, LITS, (-160, 240))
    left = (drawn[0, :, :4] == GREEN).all(-1).astype(int)
    assert left.tolist() == [[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]]


def batches_of(highest):
    """Batches of two slices; all pixels of slice n are n, its highest label is ``highest[n]``."""
    labels = np.zeros((len(highest), 2, 2), np.uint8)
    labels[:, 0, 0] = highest
    images = np.zeros(labels.shape, np.float32) + np.arange(len(highest))[:, None, None]
    return tf.data.Dataset.from_tensor_slices((images, labels, {})).batch(2)


@pytest.mark.parametrize(
    ("highest", "count", "chosen"),
    [
        ([0, 2, 1, 3, 2, 1, 4], 2, [1, 6]),
        ([0, 2, 1, 3, 2, 1, 4], 3, [1, 3, 6]),
        ([0, 2, 1, 3, 2, 1, 4], 9, [1, 3, 4, 6]),
        ([0, 1, 0, 1], 4, [1, 3]),
        ([0, 0, 0], 2, [0, 2]),
    ],
)
def test_slices_with_lesions_are_preferred(highest, count, chosen):
    images, labels = overlay_images.choose(batches_of(highest), count)
    assert images[:, 0, 0].tolist() == chosen
    assert labels[:, 0, 0].tolist() == [highest[number] for number in chosen]


def events_of(folder):
    """Events as read by TensorBoard: tag -> {step: tensor}."""
    tensors = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                tensors.setdefault(value.tag, {})[event.step] = tf.make_ndarray(value.tensor)
    return tensors


def test_tensorboard_log_contains_scalars_and_images(record_set, tmp_path):
    """A line per epoch without a terminal; images at epochs that improve the validation."""
    lines = []
    protocol = Protocol("shown", SCRATCH, (tiny_run.cycle(FIXED, epochs=2),))
    _, (result,) = tiny_run.train(
        tmp_path / "run", record_set[0], protocol, images=3, say=lines.append
    )
    events = events_of(tmp_path / "run" / "cycle1" / "tensorboard")
    assert {"loss", "val_loss", "learning_rate", "val_dice", "val_dice_cyst"} <= set(events)
    assert list(events["loss"]) == [1, 2]
    assert events["val_loss"][result["best_epoch"]] == pytest.approx(result["best_value"])
    images = events["truth_and_prediction"]
    assert 1 in images
    assert result["best_epoch"] in images
    width, height, *encoded = images[1].tolist()
    assert (int(width), int(height), len(encoded)) == (32 + 2 + 32, 32, 3)
    picture = tf.io.decode_png(encoded[0]).numpy()
    assert (picture[:, :32] == GREEN).all(-1).sum() > 20
    losses = [float(events["loss"][epoch]) for epoch in (1, 2)]
    for number, loss in enumerate(losses, 1):
        assert lines[number - 1].startswith(
            f"shown, cycle 1 of 1 (frozen: enc1-dec2): epoch {number} of 2, loss {loss:.3f}, val_"
        )


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_a_bar_with_losses_and_dice(tmp_path, monkeypatch):
    """The bar starts at the epoch at which an interrupted cycle stopped."""
    terminal, lines = Terminal(), []
    monkeypatch.setattr("sys.stderr", terminal)
    log = TrainingLog(tmp_path, "mine 2/3", 5, done=1, say=lines.append)
    log.epoch({"epoch": 2, "loss": 0.5, "val_loss": 0.75, "val_dice": 0.25})
    log.close()
    bar = terminal.getvalue().split("\r")[-1]
    assert bar.startswith("mine 2/3:  40%")
    assert "2/5" in bar
    assert "loss=0.500, val_loss=0.750, dice=0.250" in bar
    assert lines == []

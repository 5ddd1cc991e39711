"""Protocols: parsing of cycle lines, the printed plan, and refusals of invalid settings."""

import pytest

from liver_tf.model.block_weights import ParameterCount
from liver_tf.model.blocks import BLOCKS, ENCODER, format_blocks
from liver_tf.training.cycle_settings import CycleSettings
from liver_tf.training.protocol import Protocol, parse_cycle, protocol_table


def test_a_line_without_settings_uses_the_defaults():
    cycle = parse_cycle("enc1-enc2,dec4", PAPER)
    assert cycle.fixed == ("enc1", "enc2", "dec4")
    assert cycle.trained == tuple(b for b in BLOCKS if b not in ("enc1", "enc2", "dec4"))
    assert (cycle.learning_rate, cycle.epochs, cycle.batch_size) == (5e-5, 80, 1)
    assert parse_cycle("none", PAPER) == PAPER


PAPER = CycleSettings((), learning_rate=5e-5, epochs=80, batch_size=1, patience=12)


def test_settings_override_the_defaults():
    cycle = parse_cycle("  enc1   learning_rate=1e-3 epochs=7 batch_size=2 patience=3 ", PAPER)
    assert cycle.fixed == ("enc1",)
    assert cycle.learning_rate == 1e-3
    assert (cycle.epochs, cycle.batch_size, cycle.patience) == (7, 2, 3)
    assert (cycle.decay, cycle.monitor) == (PAPER.decay, PAPER.monitor)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("enc7", "--cycle=enc7: there is no block 'enc7'"),
        ("all", "--cycle=all: a cycle with all blocks frozen trains nothing"),
        ("enc1-head", "trains nothing"),
        ("none epochs", "cannot read 'epochs'; settings are learning_rate, epochs, batch_size"),
        ("none fixed=enc1", "cannot read 'fixed=enc1'"),
        ("none epochs=0", "epochs: expected at least 1, found 0"),
        ("none epochs=2.5", r"--cycle=none epochs=2\.5: epochs: expected a whole"),
        ("none learning_rate=nan", "learning_rate: expected a finite number, found nan"),
        ("none learning_rate=inf", "learning_rate: expected a finite number, found inf"),
        ("none learning_rate=-1", "learning_rate: expected above 0, found -1"),
        ("none batch_size=0", "batch_size: expected at least 1, found 0"),
        ("none patience=-1", "patience: expected at least 0, found -1"),
        ("", "--cycle=: blocks '': cannot read ''; write e.g. enc1-enc3"),
        ("   ", "cannot read ''"),
    ],
)
def test_an_invalid_cycle_line_is_refused(line, message):
    with pytest.raises(ValueError, match=message):
        parse_cycle(line, PAPER)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decay": float("nan")}, "rate_decay: expected a finite number, found nan"),
        ({"floor": 0.0}, "rate_floor: expected above 0, found 0"),
        ({"monitor": "loss"}, "monitor: expected one of val_loss, val_dice, .*; found 'loss'"),
        ({"decay_epochs": 0}, "decay_epochs: expected at least 1, found 0"),
    ],
)
def test_invalid_settings_are_refused(change, message):
    values = {"learning_rate": 1e-4, "epochs": 1, "batch_size": 1, "patience": 1, **change}
    with pytest.raises(ValueError, match=message):
        CycleSettings((), **values)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("a", "somewhere", (PAPER,)),
            "start: expected one of pretrained, scratch; got 'somewhere'",
        ),
        (("a", "scratch", ()), "protocol 'a' has no cycle; name a protocol"),
        (("../a", "scratch", (PAPER,)), "protocol name: expected letters, digits, .*'../a'"),
        (("", "scratch", (PAPER,)), "protocol name: expected letters"),
    ],
)
def test_an_invalid_protocol_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Protocol(*arguments)


def test_the_protocol_is_printed_as_a_table():
    parameters = {
        block: ParameterCount(10**number, 2 * 10**number, 10**number)
        for number, block in enumerate(BLOCKS)
    }
    protocol = Protocol(
        "mine",
        "pretrained",
        (
            PAPER,
            parse_cycle(
                "enc1-enc5,dec1 epochs=5 learning_rate=1e-3 batch_size=6 norm=inference", PAPER
            ),
        ),
    )
    assert protocol_table(protocol, parameters).splitlines() == [
        "protocol mine: 2 cycles, start: pretrained",
        "cycle  trained         frozen          trainable      of parameters  rate   epochs  batch"
        "  norm",
        "1      enc1-head       none            3,333,333,333  4,444,444,444  5e-05  <=80    1    "
        "  update",
        "2      dec4-dec2,head  enc1-enc5,dec1  1,011,100,000  4,444,444,444  0.001  <=5     6    "
        "  inference",
    ]


@pytest.mark.parametrize(
    ("blocks", "text"),
    [
        ((), "none"),
        (("enc2",), "enc2"),
        (ENCODER, "enc1-enc5"),
        (("enc1", "enc3", "enc4", "head"), "enc1,enc3-enc4,head"),
    ],
)
def test_formatted_blocks_parse_to_the_same_blocks(blocks, text):
    assert format_blocks(blocks) == text
    assert parse_cycle(text, PAPER).fixed == blocks

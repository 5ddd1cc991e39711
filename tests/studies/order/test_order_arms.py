"""The arms: frozen blocks by hand, equal steps, one factor between compared arms."""

from dataclasses import replace
from itertools import permutations

import pytest

from liver_tf.command_line.flags_of_options import parse
from liver_tf.model.blocks import ENCODER
from liver_tf.studies.order.order_arms import SECONDARY_ARMS, primary_arms, random_order, unfreezing
from liver_tf.training.training_settings import FinetuneSettings

ARMS = {arm.name: arm for arm in (*primary_arms(3), *SECONDARY_ARMS)}


def settings_of(name, epochs=60):
    return parse(
        FinetuneSettings, ["--flagfile=flags/order/finetune.flags", *ARMS[name].flags(epochs)]
    )


def frozen(name):
    cycles = settings_of(name).parsed_protocol().cycles
    return ["".join(block[-1] for block in cycle.fixed) for cycle in cycles]


def test_frozen_blocks_of_every_cycle():
    """Numbers of the frozen encoder blocks."""
    assert frozen("c_unfreezing") == ["12345", "1234", "123", "12", "1", ""]
    assert frozen("d_reverse") == ["12345", "2345", "345", "45", "5", ""]
    assert frozen("f_freezing") == ["", "1", "12", "123", "1234"]
    assert frozen("a_restarts") == frozen("h_scratch") == [""] * 5
    assert frozen("a6_restarts") == [""] * 6
    assert frozen("b_one_cosine") == [""]
    assert frozen("g_encoder_frozen") == ["12345"] * 6
    assert unfreezing(("enc3", "enc1", "enc5", "enc2", "enc4")) == (
        *("enc1-enc5", "enc1-enc2,enc4-enc5", "enc2,enc4-enc5", "enc2,enc4", "enc4", "none"),
    )


def test_random_orders_are_new_in_every_replicate_and_equally_likely():
    orders = [random_order(replicate) for replicate in range(2400)]
    counts = [orders.count(order) for order in permutations(ENCODER)]
    assert sum(counts) == 2400
    # Chi-square with 119 degrees of freedom: mean 119, SD 15.4.
    assert sum((count - 20) ** 2 / 20 for count in counts) < 119 + 4 * 15.4
    assert random_order(7) == random_order(7)


@pytest.mark.parametrize("name", sorted(ARMS))
def test_every_arm_has_the_same_steps_and_settings(name):
    """Epochs count the steps, because all arms have the same slices and batch size."""
    settings = settings_of(name)
    cycles = settings.parsed_protocol().cycles
    assert sum(cycle.epochs for cycle in cycles) == (240 if name == "i_scratch_4x" else 60)
    for cycle in cycles:
        assert cycle.warmup_epochs == pytest.approx(cycle.epochs / 10)
        kept = replace(cycle, fixed=(), epochs=1, warmup_epochs=0, norm="update", block_decay=1)
        assert kept == replace(settings.schedule, epochs=1)
        assert (cycle.patience, cycle.monitor) == (0, "epoch")
        assert (cycle.norm != "update") == name.endswith("_fixed_statistics")
        assert (cycle.block_decay != 1) == (name == "j_discriminative")
    assert (settings.start == "scratch") == (name in ("h_scratch", "i_scratch_4x"))
    reference = settings_of("a_restarts")
    assert replace(settings, protocol="", cycle=(), start="pretrained") == replace(
        reference, protocol="", cycle=()
    )


def test_epochs_that_cannot_be_divided_are_refused():
    with pytest.raises(ValueError, match="no multiple of its cycles"):
        ARMS["a6_restarts"].flags(40)

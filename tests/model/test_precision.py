"""The number format of networks: what ``auto`` chooses, and what it does to a loaded network."""

import numpy as np
import pytest

from liver_tf.model import precision
from liver_tf.model.description import load_network
from liver_tf.model.precision import Precision, choose_precision, precision_of


@pytest.fixture
def machine(monkeypatch):
    """Sets the instructions and the gain that are found; counts the measurements."""
    measured = []

    def set_up(instructions, gain, gpus=()):
        def measure():
            measured.append(gain)
            return gain

        precision._fastest.cache_clear()
        monkeypatch.setattr(precision, "processor_instructions", lambda: instructions)
        monkeypatch.setattr(precision, "bfloat16_gain", measure)
        monkeypatch.setattr(precision.tf.config, "list_logical_devices", lambda kind: list(gpus))
        return measured

    yield set_up
    precision._fastest.cache_clear()


@pytest.mark.parametrize(("gain", "name"), [(1.14, "float32"), (1.15, "bfloat16")])
def test_auto_is_bfloat16_where_it_is_faster_and_measures_once(machine, gain, name):
    measured = machine(("avx512_bf16",), gain)
    chosen = choose_precision("auto", 16)
    assert chosen.name == name
    assert chosen.text() == f"{name} (bfloat16 is {gain} times as fast here, with avx512_bf16)"
    assert choose_precision("auto", 16) is chosen
    assert measured == [gain]


@pytest.mark.parametrize(
    ("instructions", "gpus", "reason"),
    [
        ((), (), "the processor has no bfloat16 instructions"),
        (("amx_bf16",), ("/GPU:0",), "auto on a GPU"),
    ],
)
def test_auto_is_float32_elsewhere_without_a_measurement(machine, instructions, gpus, reason):
    measured = machine(instructions, 2.0, gpus)
    assert choose_precision("auto", 16) == Precision("float32", reason)
    assert not measured


def test_auto_is_float32_for_small_networks(machine):
    measured = machine(("avx512_bf16",), 2.0)
    assert choose_precision("auto", 15).name == "float32"
    assert "slower below 16 base filters" in choose_precision("auto", 8).text()
    assert not measured
    assert choose_precision("auto", 32).name == "bfloat16"


def test_a_named_format_is_used_on_every_machine(machine):
    machine((), 1.0)
    assert choose_precision("bfloat16", 2) == Precision("bfloat16", "as requested")
    with pytest.raises(ValueError, match="expected one of float32, bfloat16, float16, got 'fast'"):
        choose_precision("fast", 16)


def test_instructions_are_those_of_the_processor(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nflags : fpu avx512_vnni amx_bf16 avx512_bf16 sha_ni\n")
    assert precision.processor_instructions(cpuinfo) == ("avx512_bf16", "amx_bf16")
    cpuinfo.write_text("processor : 0\nflags : fpu avx512f avx512_vnni\n")
    assert precision.processor_instructions(cpuinfo) == ()
    assert precision.processor_instructions(tmp_path / "none") == ()


def test_the_measurement_ends_in_time(monkeypatch):
    """A clock that advances by 0.1 s per reading: the budget, not the rounds, ends it."""
    times = iter(np.arange(1000) * 0.1)
    monkeypatch.setattr(precision.time, "perf_counter", lambda: next(times))
    assert precision.bfloat16_gain() == pytest.approx(1.0)
    assert next(times) < 1.5


def test_a_network_is_loaded_in_any_format_with_the_same_weights(save_runs, tmp_path):
    run = save_runs(tmp_path) / "one"
    image = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype(np.float32)
    single, half = (load_network(run, precision=name)[0] for name in ("float32", "bfloat16"))
    assert (precision_of(single), precision_of(half)) == ("float32", "bfloat16")
    for one, other in zip(single.weights, half.weights, strict=True):
        assert other.dtype == "float32"
        assert np.array_equal(one, other)
    expected, actual = (network(image).numpy() for network in (single, half))
    assert actual.dtype == np.float32
    assert not np.array_equal(actual, expected)
    np.testing.assert_allclose(actual, expected, atol=0.1 * np.abs(expected).max())

"""Options of configuration dataclasses: conversion, bounds, parts, and options by name."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from liver_tf.node.node_settings import ListenSettings
from liver_tf.options import REQUIRED, OptionError, Options, check_each, option, options_of, part
from liver_tf.prediction.prediction_settings import PredictSettings
from liver_tf.training.training_settings import PretrainSettings


@dataclass(frozen=True)
class Schedule(Options):
    epochs: int = option(80, "Epochs.", low=1, high=100)
    rate: float = option(0.1, "Rate.", flag="learning_rate", above=0)
    fixed: str = "not an option"


@dataclass(frozen=True, kw_only=True)
class Training(Options):
    records: Path = option(REQUIRED, "Records.")
    folds: tuple[int, ...] | None = option(None, "Folds.", low=0, empty_is_none=True)
    runs: tuple[Path, ...] = option((), "Runs.", repeated=True)
    start: str = option("scratch", "Start.", choices=("scratch", "pretrained"))
    quick: bool = option(False, "Quick.")
    zooms: tuple[float, ...] = option((1.0,), "Zooms.", above=0)
    schedule: Schedule = part(Schedule, epochs=3)


def test_values_are_converted():
    training = Training(records="tfrecords", folds=["0", "2"], runs=["a", Path("b")])
    assert training.records == Path("tfrecords")
    assert training.folds == (0, 2)
    assert training.runs == (Path("a"), Path("b"))
    assert Training(records="x", folds=[]).folds is None
    assert Training(records="x", zooms=["0.85", "1"]).zooms == (0.85, 1.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "epochs: expected 1 to 100, found 0"),
        ({"epochs": 1.5}, r"epochs: expected a whole number, found 1\.5"),
        ({"epochs": True}, "epochs: expected a whole number, found True"),
        ({"learning_rate": 0.0}, r"learning_rate: expected above 0, found 0\.0"),
        ({"learning_rate": float("nan")}, "learning_rate: expected a finite number, found nan"),
        ({"learning_rate": float("inf")}, "learning_rate: expected a finite number, found inf"),
        ({"learning_rate": "fast"}, "learning_rate: expected a number, found 'fast'"),
        ({"start": "middle"}, "start: expected one of scratch, pretrained; found 'middle'"),
        ({"quick": 1}, "quick: expected True or False, found 1"),
        ({"records": ""}, "records: the path is empty"),
        ({"records": None}, "records: expected a value, found None"),
        ({"records": 3}, "records: expected a path, found 3"),
        ({"runs": "a"}, "runs: expected a list, found 'a'"),
        ({"folds": ["one"]}, "folds: expected a whole number, found 'one'"),
        ({"folds": ["-1"]}, "folds: expected a whole number, found '-1'"),
        ({"zooms": ["0.85", "wide"]}, "zooms: expected a number, found 'wide'"),
        ({"zooms": ["nan"]}, "zooms: expected a finite number, found nan"),
        ({"colour": "red"}, "colour: Training has no such option"),
    ],
)
def test_impossible_values_are_refused(values, message):
    with pytest.raises(OptionError, match=message):
        Training.of(**{"records": "x", **values})


def test_options_by_name_reach_the_parts():
    training = Training.of(records="x", learning_rate=0.5)
    assert training.schedule == Schedule(epochs=3, rate=0.5)
    assert Training.of(training, epochs=9).schedule == Schedule(epochs=9, rate=0.5)
    assert Training.of(training, quick=True).records == Path("x")


def test_a_required_option_must_be_given():
    with pytest.raises(OptionError, match="records: must be given"):
        Training.of(epochs=4)


def test_all_missing_options_are_named_at_once():
    with pytest.raises(OptionError, match=r"^records, network, run: must be given$") as caught:
        PretrainSettings.of(epochs=4)
    assert caught.value.as_flag() == "--records, --network, --run: must be given"


def test_the_option_of_a_path(tmp_path):
    settings = PredictSettings.of(model=["a", "b"], liver_run="c", input=["d"])
    expected = {"a": "model", "b": "model", "c": "liver_run", "d": "input", "e": None}
    assert {path: settings.flag_of(Path(path)) for path in expected} == expected


def test_predict_and_listen_share_the_option_of_the_lesion_runs():
    found = [
        next(option for option in options_of(settings) if option.name == "model")
        for settings in (PredictSettings, ListenSettings)
    ]
    assert found[0].spec is found[1].spec
    with pytest.raises(OptionError, match="model: a run is named twice"):
        ListenSettings.of(model=["a", "a"], allow=["PACS"])


def test_defaults_of_a_part_are_those_of_the_whole():
    found = {one.name: one for one in options_of(Training)}
    assert set(found) == {
        *("records", "folds", "runs", "start", "quick", "zooms", "epochs", "learning_rate"),
    }
    assert found["epochs"].default == 3
    assert found["records"].required
    assert found["epochs"].bounds == "1 to 100"
    assert found["learning_rate"].bounds == "above 0"


def test_options_can_be_checked_one_by_one():
    check_each(Training, {"epochs": 3})
    with pytest.raises(OptionError, match="epochs: expected 1 to 100"):
        check_each(Training, {"epochs": 0})


def test_the_message_names_the_flag_for_the_terminal():
    assert OptionError("epochs", "too few").as_flag() == "--epochs: too few"
    assert OptionError(None, "nothing to do").as_flag() == "nothing to do"


def test_an_identity_leaves_out_later_options_that_change_nothing():
    @dataclass(frozen=True)
    class Later(Options):
        epochs: int = option(80, "Epochs.")
        warmup: float = option(3.0, "Warm-up.", former=0.0)
        fixed: tuple[str, ...] = ()

    assert Later(warmup=0).identity() == {"epochs": 80, "fixed": ()}
    assert Later().identity() == {"epochs": 80, "fixed": (), "warmup": 3.0}

"""``run.json``: differences are refused and shown."""

import json

import pytest

from liver_tf.command_line.flags_of_options import load_settings, parse
from liver_tf.refusals import Refusal
from liver_tf.training.run_identity import open_run
from liver_tf.training.training_settings import FinetuneSettings


def test_a_damaged_run_json_is_refused(tmp_path):
    (tmp_path / "run.json").write_text('{"a":')
    with pytest.raises(Refusal, match=r"\[run-damaged\]"):
        open_run(tmp_path, {"a": 1})


def cycle(epochs=80, fixed=(), **more):
    return {"fixed": list(fixed), "learning_rate": 5e-5, "epochs": epochs, **more}


def identity(records="a", cases=9, seed=0, cycles=(), image_size=256, **augmentation):
    return {
        "data_fingerprint": records,
        "split": {"training": [f"{records}{n}" for n in range(cases)], "test": [records]},
        "augmentation": augmentation,
        "sampling": {"resample": False},
        "task": {"mean_hu": float(cases), "class_weights": [1.0, float(cases)]},
        "seed": seed,
        "protocol": {"name": "p", "start": "scratch", "cycles": list(cycles)},
        "architecture": {"image_size": image_size, "momentum": 0.99},
    }


def differences(folder, *given, **changes):
    with pytest.raises(Refusal) as caught:
        open_run(folder, identity(**changes), given=given)
    assert caught.value.code == "run-differs"
    return caught.value.found


def test_resuming_with_other_arguments_is_refused_with_the_differences(tmp_path):
    two = [cycle(x=1), cycle(fixed=["enc1"])]
    open_run(tmp_path, identity(cycles=two))
    assert open_run(tmp_path, identity(cycles=two)) is None
    longer = [cycle(x=1), cycle(fixed=["enc1", "enc2"])]
    text = differences(tmp_path, cycles=longer)
    assert text == "protocol: --cycle (cycle 2): enc1 before, enc1-enc2 now"
    assert differences(tmp_path, cycles=[cycle(epochs=3, x=2), two[1]]) == (
        "optimisation: --epochs (cycle 1): 80 before, 3 now; "
        "protocol.cycles.x (cycle 1): 1 before, 2 now"
    )
    assert differences(tmp_path, cycles=two[:1]) == (
        "protocol: --cycle (number 2): one before, none now"
    )
    assert json.loads((tmp_path / "run.json").read_text()) == identity(cycles=two)


def test_differences_are_grouped_by_kind_and_named_by_flag(tmp_path):
    cycles = [cycle(fixed=["enc1"][:n]) for n in range(3)]
    open_run(tmp_path, identity(cycles=cycles))
    other = [each | {"epochs": 3, "schedule": "cosine"} for each in cycles]
    assert differences(tmp_path, cycles=other, image_size=64, zoom=0.1, seed=1) == (
        "data: --seed: 0 before, 1 now; "
        "network: --image_size: 256 before, 64 now; "
        # One flag that all cycles share is one difference.
        "optimisation: --epochs (cycle 1, 2, 3): 80 before, 3 now; "
        "--learning_rate_schedule (cycle 1, 2, 3): not set before, cosine now; "
        "augmentation: --zoom: not set before, 0.1 now"
    )
    # Other records have other cases and statistics: the records are what the user changed.
    text = differences(tmp_path, cycles=cycles, records="b", cases=8)
    assert text == "data: --records: other records; accordingly also split and task"
    # A split that differs by itself is shown.
    text = differences(tmp_path, cycles=cycles, cases=8)
    assert text.startswith("data: patients: another split; mean of liver HU: 9.0 before")


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (0.123456789, None, "0.123 before, not set now"),
        (15.0, 250000, "15.0 before, 250000 now"),
        (0.12341, 0.12342, "0.12341 before, 0.12342 now"),
        ([1 / 3, 2.0], [1 / 7, 2.0], "[0.333, 2.0] before, [0.143, 2.0] now"),
        ([1, 2, 3, 4, 5], [1 / 3] * 9, "[1, 2, 3, 4, ...] (5 numbers) before, "),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 6], "[1, 2, 3, 4, 5] before, [1, 2, 3, 4, 6] now"),
    ],
)
def test_numbers_are_rounded_and_long_lists_shortened(tmp_path, before, now, expected):
    open_run(tmp_path, identity(zoom=before))
    assert differences(tmp_path, zoom=now).startswith(f"augmentation: --zoom: {expected}")


def test_what_the_user_set_is_listed_first_and_never_left_out(tmp_path):
    open_run(tmp_path, identity())
    ranges = ("rotation_degrees", "zoom", "shift", "flip", "noise_hu", "gain", "offset_hu", "gamma")
    changes = {"image_size": 64, "seed": 1, **dict.fromkeys(ranges, 0)}
    text = differences(tmp_path, **changes)
    assert text.startswith("data: --seed")
    assert "--gamma" not in text
    assert text.endswith("; and 2 more differences")
    text = differences(tmp_path, "gamma", "image_size", **changes)
    assert text.startswith("network: --image_size: 256 before, 64 now; augmentation: --gamma: ")
    assert text.endswith("; and 2 more differences")
    # All of them, however many they are; and --validation_share, which is as before, is no change.
    text = differences(tmp_path, *changes, "validation_share", **changes, cases=8)
    assert all(f"--{name}: " in text for name in changes)
    assert "another split" not in text
    assert text.endswith("; accordingly also split and task")
    # Also what otherwise is a consequence of something else.
    text = differences(tmp_path, "balance", records="b", cases=8)
    assert text.startswith("optimisation: class weights: [1.0, 9.0] before, [1.0, 8.0] now; data: ")


def test_flags_of_the_command_line_are_those_the_user_set(tmp_path):
    file = tmp_path / "own.flags"
    file.write_text("--cycle=none\n--epochs=3\n")
    line = [f"--flagfile={file}", "--seed=1", "--nodeterministic", "--fold", "2"]
    assert set(parse(FinetuneSettings, line).given) == {"seed", "deterministic", "fold"}
    settings = load_settings(FinetuneSettings, file, fold=1)
    assert settings.given == ("fold",)
    assert FinetuneSettings.of(settings).given == ("fold",)
    assert FinetuneSettings.of(settings, seed=1).given == ("seed",)


def test_resuming_with_other_library_versions_gives_a_caution(tmp_path):
    def resume(tensorflow):
        versions = {"tensorflow": tensorflow, "keras": "3"}
        return open_run(tmp_path, {"seed": 0}, versions)

    assert resume("2.21") is None
    assert resume("2.21") is None
    caution = resume("2.22")
    assert "other versions (tensorflow 2.21 before, 2.22 now): its weights may differ" in caution
    assert json.loads((tmp_path / "run.json").read_text())["versions"]["tensorflow"] == "2.21"
    with pytest.raises(Refusal, match="data: --seed: 0 before, 1 now"):
        open_run(tmp_path, {"seed": 1}, {"tensorflow": "2.21", "keras": "3"})

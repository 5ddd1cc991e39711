"""``run.json``: differences are refused and shown."""

import json

import pytest

from liver_tf.refusals import Refusal
from liver_tf.training.run_identity import open_run


def test_a_damaged_run_json_is_refused(tmp_path):
    (tmp_path / "run.json").write_text('{"a":')
    with pytest.raises(Refusal, match=r"\[run-damaged\]"):
        open_run(tmp_path, {"a": 1})


def test_resuming_with_other_arguments_is_refused_with_the_differences(tmp_path):
    identity = {
        "seed": 0,
        "split": {"test": [f"case-{number:012d}" for number in range(9)]},
        "protocol": {
            "cycles": [
                {"fixed": [], "learning_rate": 5e-5, "epochs": 80, "batch_size": 1, "x": 1},
                {"fixed": ["enc1"], "learning_rate": 5e-5, "epochs": 80, "batch_size": 1},
            ]
        },
    }

    def change(edit):
        other = json.loads(json.dumps(identity))
        edit(other)
        with pytest.raises(Refusal) as caught:
            open_run(tmp_path, other)
        assert caught.value.code == "run-differs"
        return caught.value.found

    open_run(tmp_path, identity)
    open_run(tmp_path, identity)
    assert change(lambda changed: changed.update(seed=1)) == "seed: 0 before, 1 now"
    assert change(lambda changed: changed.pop("seed")) == "seed: 0 before, null now"
    cycles = "protocol.cycles"
    assert (
        change(lambda changed: changed["protocol"]["cycles"][1].update(fixed=["enc1", "enc2"]))
        == f'{cycles}[2].fixed: ["enc1"] before, ["enc1", "enc2"] now'
    )
    assert (
        change(lambda changed: changed["protocol"]["cycles"][0].update(x=2, epochs=3))
        == f"{cycles}[1].epochs: 80 before, 3 now; {cycles}[1].x: 1 before, 2 now"
    )
    assert change(lambda changed: changed["protocol"]["cycles"].pop()).startswith(f"{cycles}[2]: ")
    assert (
        change(lambda changed: changed["split"]["test"].__setitem__(8, "another"))
        == 'split.test[9]: "case-000000000008" before, "another" now'
    )
    assert json.loads((tmp_path / "run.json").read_text()) == identity


def test_differences_are_grouped_and_consequences_left_out(tmp_path):
    def identity(epochs=80, records="a", cases=9, **augmentation):
        cycle = {"learning_rate": 5e-5, "epochs": epochs}
        return {
            "architecture": {"image_size": 256},
            "augmentation": augmentation,
            "data_fingerprint": records,
            "protocol": {"cycles": [{**cycle, "fixed": ["enc1"][:n]} for n in range(3)]},
            "split": {"training": [f"{records}{n}" for n in range(cases)], "test": [records]},
            "task": {"mean_hu": float(cases)},
        }

    open_run(tmp_path, identity(b=1))

    def found(**changes):
        with pytest.raises(Refusal) as caught:
            open_run(tmp_path, identity(**changes))
        return caught.value.found

    # One flag that all cycles share is one difference.
    assert found(b=1, epochs=3) == "protocol.cycles[1,2,3].epochs: 80 before, 3 now"
    # Other records have other cases and statistics: the records are what the user changed.
    records = 'data_fingerprint: "a" before, "b" now'
    assert found(b=1, records="b", cases=8) == f"{records}; accordingly also split and task"
    # What decides others comes first; a long list ends with a number.
    many = found(records="b", epochs=3, **dict.fromkeys("cdefghij", 0)).split("; ")
    assert many[0] == records
    assert many[1:3] == ["augmentation.b: 1 before, null now", "augmentation.c: null before, 0 now"]
    assert many[-2:] == ["and 3 more differences", "accordingly also split"]
    assert len(many) == 10
    # A split that differs by itself is shown.
    assert found(b=1, cases=8).startswith('split.training: ["a0", ')


def test_resuming_with_other_library_versions_gives_a_caution(tmp_path):
    def resume(tensorflow):
        versions = {"tensorflow": tensorflow, "keras": "3"}
        return open_run(tmp_path, {"seed": 0}, versions)

    assert resume("2.21") is None
    assert resume("2.21") is None
    caution = resume("2.22")
    assert (
        'other versions (tensorflow: "2.21" before, "2.22" now): its weights may differ' in caution
    )
    assert json.loads((tmp_path / "run.json").read_text())["versions"]["tensorflow"] == "2.21"
    with pytest.raises(Refusal, match="seed: 0 before, 1 now"):
        open_run(tmp_path, {"seed": 1}, {"tensorflow": "2.21", "keras": "3"})

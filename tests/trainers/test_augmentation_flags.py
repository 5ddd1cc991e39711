"""Flags of augmentation become ranges; what cannot be is refused before anything is read."""

from types import SimpleNamespace

import pytest
import tensorflow as tf
from absl import app, flags

from data_prep import augmentation_flags
from liver_tf.labels import LESION_TYPES, LITS, LIVER_ONLY
from liver_tf.pipeline.augmentation_ranges import Ranges
from trainers import flag_groups


@pytest.fixture
def asked(command):
    """What a command's main gets from the flags."""

    def call(question, *arguments):
        answers = []

        def define():
            augmentation_flags.define()
            flag_groups.define_data_flags()

        def main(argv):
            del argv
            answers.append(question())
            return 0

        command(SimpleNamespace(main=main, _define_flags=define), *arguments)
        return answers[0]

    return call


def test_by_default_the_papers_kinds_and_nothing_beyond(asked):
    assert asked(lambda: augmentation_flags.ranges(LESION_TYPES)) == Ranges()
    ranges = Ranges()
    assert (ranges.elastic, ranges.gamma, ranges.blur_pixels, ranges.kept_from) == (0, 0, 0, 0)


@pytest.mark.parametrize("label_set", [LITS, LESION_TYPES])
def test_every_range_has_its_flag(asked, label_set):
    values = {
        **{"rotation_degrees": 1.0, "zoom": 0.2, "shift": 0.3, "flip": 0.4, "noise_hu": 5.0},
        **{"gain": 0.6, "offset_hu": 7.0, "elastic": 0.08, "elastic_intervals": 6},
        **{"gamma": 0.9, "blur_pixels": 1.1},
    }
    arguments = [f"--{name}={value}" for name, value in values.items()]
    found = asked(lambda: augmentation_flags.ranges(label_set), *arguments, "--lesion_safe")
    assert found == Ranges(**values, kept_from=2)


@pytest.mark.parametrize(
    ("arguments", "label_set", "text"),
    [
        (["--elastic=0.07"], LITS, "--elastic: expected at most 0.060 .* the image would fold"),
        (["--gain=nan"], LITS, "--gain: expected a finite number, got nan"),
        (["--lesion_safe"], LIVER_ONLY, "--lesion_safe: there is no class of lesions"),
    ],
)
def test_what_cannot_be_is_refused(asked, arguments, label_set, text):
    with pytest.raises(app.UsageError, match=text):
        asked(lambda: augmentation_flags.ranges(label_set), *arguments)


@pytest.mark.parametrize("argument", ["--zoom=1", "--flip=1.1", "--noise_hu=-1", "--blur_pixels=9"])
def test_values_without_a_meaning_are_refused(asked, argument):
    with pytest.raises(flags.IllegalFlagValueError):
        asked(lambda: augmentation_flags.ranges(LITS), argument)


@pytest.mark.parametrize(("place", "on_host"), [("host", True), ("device", False)])
def test_where_it_runs_can_be_said(asked, place, on_host):
    assert asked(flag_groups.augment_on_host, f"--augment_on={place}") is on_host


@pytest.mark.parametrize("gpus", [[], ["/GPU:0"]])
def test_left_to_itself_it_runs_on_an_accelerator_if_there_is_one(asked, monkeypatch, gpus):
    monkeypatch.setattr(
        tf.config, "list_logical_devices", lambda kind: gpus if kind == "GPU" else ["/CPU:0"]
    )
    assert asked(flag_groups.augment_on_host) is not bool(gpus)

"""Flags are generated from options and parsed without global state."""

from pathlib import Path

import pytest
from absl import flags

from liver_tf.command_line.flags_of_options import check_flags, help_text, load_settings, parse
from liver_tf.options import OptionError
from liver_tf.prediction.prediction_settings import PredictSettings
from liver_tf.training.training_settings import FinetuneSettings, PretrainSettings

REQUIRED = ["--network=liver", "--records=in", "--run=out"]


def test_without_flags_the_defaults_are_those_of_the_dataclass():
    assert parse(FinetuneSettings, []) == FinetuneSettings()


def test_every_kind_of_flag_is_parsed():
    settings = parse(
        FinetuneSettings,
        [
            *("--cycle=none", "--cycle=enc1 epochs=3", "--records=in", "--folds_file="),
            *("--nodeterministic", "--precision=float16", "--rate_decay", "0.5", "--seed=7"),
        ],
    )
    assert settings.cycle == ("none", "enc1 epochs=3")
    assert settings.records == Path("in")
    assert settings.folds_file is None
    assert settings.computation.precision == "float16"
    assert not settings.computation.deterministic
    assert settings.schedule.decay == 0.5
    assert settings.seed == 7


def test_later_flags_override_earlier_ones_and_nothing_is_remembered():
    assert parse(FinetuneSettings, ["--epochs=3", "--epochs=5"]).schedule.epochs == 5
    assert parse(FinetuneSettings, []).schedule.epochs == 80
    assert not {"epochs", "cycle"} & set(flags.FLAGS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epoch=3"], "^--epoch: there is no such flag; did you mean --epochs?$"),
        (["--x=3"], "^--x: there is no such flag$"),
        (["--epochs=many"], "^epochs: expected a whole number, found 'many'$"),
        (["--epochs="], "^epochs: expected a whole number, found ''$"),
        (["--epochs"], "^epochs: expected a value: --epochs=VALUE$"),
        (["--start=middle"], "^start: expected one of pretrained, scratch; found 'middle'$"),
        (["--start=a: b"], "^start: expected one of pretrained, scratch; found 'a: b'$"),
        (["--dry_run=maybe"], "^dry_run: expected true or false, found 'maybe'$"),
        (["--nodry_run=3"], "^--nodry_run=3 does not take an argument$"),
        (["--flagfile"], "^flagfile: expected the name of a file$"),
        (["--flagfile=no.flags"], "^flagfile: no such file: no.flags, neither"),
        (["--fold=-1", "--flagfile"], "^flagfile: expected the name of a file$"),
        (["enc1"], "unknown argument 'enc1': all arguments are flags"),
        (["--rate_decay=x"], "^rate_decay: expected a number, found 'x'$"),
        (["--epochs=0"], "epochs: expected at least 1, found 0"),
        (["--jit_compile"], "jit_compile: requires --nodeterministic"),
        (["--validation=test_fold", "--folds_file="], "validation: test_fold needs the folds"),
    ],
)
def test_mistakes_are_refused(arguments, message):
    with pytest.raises(OptionError, match=message.replace("?", r"\?")):
        parse(FinetuneSettings, arguments)


@pytest.mark.parametrize(
    ("line", "more", "message"),
    [
        ("--epochs=many", [], "epochs: expected a whole number, found 'many' (set in {file})"),
        ("--epochs=0", [], "epochs: expected at least 1, found 0 (set in {file})"),
        ("--jit_compile", [], "jit_compile: requires --nodeterministic (set in {file})"),
        ("--epochs=3", ["--epochs=0"], "epochs: expected at least 1, found 0"),
        ("--seed=3", ["--epochs=0"], "epochs: expected at least 1, found 0"),
    ],
)
def test_the_error_of_a_value_in_a_flag_file_names_the_file(tmp_path, line, more, message):
    inner, file = tmp_path / "inner.flags", tmp_path / "mine.flags"
    inner.write_text(f"{line}\n")
    file.write_text(f"--flagfile={inner}\n")
    for given in ([f"--flagfile={file}"], ["--flagfile", str(file)]):
        with pytest.raises(OptionError) as caught:
            parse(FinetuneSettings, [*given, *more])
        assert str(caught.value) == message.format(file=file)


def test_the_path_of_an_input_is_suggested_as_a_flag():
    with pytest.raises(OptionError, match=r"all arguments are flags, --input=scan\.nii$"):
        parse(PredictSettings, ["scan.nii"])


def test_required_flags_must_be_given():
    with pytest.raises(OptionError, match="run: must be given"):
        parse(PretrainSettings, REQUIRED[:2])


def test_the_two_trainings_have_the_papers_defaults():
    before, after = parse(PretrainSettings, REQUIRED).schedule, parse(FinetuneSettings, []).schedule
    assert (before.learning_rate, before.batch_size) == (1e-4, 6)
    assert (after.learning_rate, after.batch_size) == (5e-5, 1)
    assert (before.decay, before.decay_epochs, before.floor) == (0.9, 2, 1e-8)


def test_part_of_a_commands_flags_can_be_checked():
    check_flags(FinetuneSettings, ["--epochs=3", "--jit_compile"])
    with pytest.raises(OptionError, match="epochs: expected at least 1"):
        check_flags(FinetuneSettings, ["--epochs=0"])


def test_options_override_flag_files():
    settings = load_settings(FinetuneSettings, "hier_freeze.flags", epochs=2, protocol="mine")
    assert settings.cycle[-1] == "enc1-enc4"
    assert (settings.schedule.epochs, settings.protocol) == (2, "mine")


def test_help_shows_defaults_bounds_and_what_is_required():
    text = " ".join(help_text(PretrainSettings, "pretrain").split())
    assert "--learning_rate: Learning rate of Adam at the start of a cycle. (above 0)" in text
    assert "(default: '0.0001')" in text
    assert "--run: Folder of the run. Required." in text
    assert "--[no]deterministic:" in text

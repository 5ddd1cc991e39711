"""The commands in this process: from records to fine-tuned weights, and what they refuse."""

import json
import shutil
import sys

import pytest

from liver_tf.command_line.run_command import execute
from liver_tf.folder_lock import locked_folder
from liver_tf.model.block_weights import block_hashes
from liver_tf.model.description import load_network
from liver_tf.options import OptionError
from liver_tf.records.folds import Split, cross_validation, save_folds
from liver_tf.records.manifest import load_manifest
from liver_tf.training.leak_check import save_training_cases
from tests.builders import full_disk, tiny_records
from tests.builders.command_lines import finetune_arguments, pretrain_arguments
from trainers import finetune, pretrain


@pytest.fixture(scope="module")
def work(tmp_path_factory, record_set):
    """A working folder: ROI records, their folds, ROIs of others, and records of whole slices."""
    folder = tmp_path_factory.mktemp("work")
    shutil.copytree(record_set[0], folder / "roi")
    splits = cross_validation(record_set[1], folds=2, validation_share=0.3, seed=0)
    save_folds(folder / "folds.json", record_set[1], splits, {})
    tiny_records.write_set(folder / "before", patients=6, seed=5, prefix="other-")
    tiny_records.write_set(folder / "whole", patients=2, roi=False)
    return folder


def test_from_records_to_fine_tuned_weights(work, command, capsys):
    """Pre-train, transfer, fine-tune with a frozen encoder; what is done is not done again."""
    assert command(pretrain, *pretrain_arguments(work, records=work / "before")) == 0
    out = capsys.readouterr().out
    assert "protocol pretrain_lesion: 1 cycle, start: scratch" in out
    assert "lesion: finished" in out
    assert command(finetune, *finetune_arguments(work, "enc1-enc5")) == 0
    out = capsys.readouterr().out
    assert "loaded: enc1, enc2, enc3, enc4, enc5, dec4, dec3, dec2, dec1" in out
    assert "hashes before and after: enc1-enc5 bit-identical" in out
    run = work / "finetune" / "fold0" / "seed0" / "mine"
    before, _ = load_network(work / "lesion")
    after, description = load_network(run)
    same = {b for b, h in block_hashes(before).items() if block_hashes(after)[b] == h}
    assert same == {"enc1", "enc2", "enc3", "enc4", "enc5"}
    assert description.kind == "lesion"
    test_cases = json.loads((run / "run.json").read_text())["split"]["test"]
    assert len(test_cases) == 4
    assert command(finetune, *finetune_arguments(work, "enc1-enc5")) == 0
    assert "already finished, nothing to do" in capsys.readouterr().out
    # Other blocks in the same run are refused, and shown.
    assert command(finetune, *finetune_arguments(work, "enc1-enc4")) == 1
    assert "[run-differs]" in (err := capsys.readouterr().err)
    assert "--cycle (cycle 1): enc1-enc5 before, enc1-enc4 now" in err
    # The plan alone reads no folds and no records.
    dry = finetune_arguments(work, "none", "enc1", folds_file="nowhere", dry_run=True)
    assert command(finetune, *dry) == 0
    assert "protocol mine: 2 cycles, start: pretrained" in capsys.readouterr().out
    # What was trained on goes with the run; a network that saw the test is refused.
    training_data = json.loads((run / "seen.json").read_text())
    assert [len(part["cases"]) for part in training_data] == [4, 6]
    shutil.copytree(work / "lesion", work / "unfair").joinpath("seen.json").unlink()
    manifest = load_manifest(work / "roi")
    save_training_cases(
        work / "unfair", "lesion", manifest, Split((manifest.cases[0].case,), test_cases)
    )
    unfair = finetune_arguments(work, "none", pretrained=work / "unfair", protocol="unfair")
    assert command(finetune, *unfair) == 1
    assert "[leak-shared-patient]" in capsys.readouterr().err
    assert not (work / "finetune" / "fold0" / "seed0" / "unfair").exists()
    # A fold that is not there; a shard that was cut.
    with pytest.raises(OptionError, match="fold: expected 0 to 1, found 2"):
        command(finetune, *finetune_arguments(work, "none", fold=2))
    shard = work / "roi" / "case3.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-1])
    assert command(finetune, *finetune_arguments(work, "none", protocol="other")) == 1
    assert "[shard-size]" in capsys.readouterr().err


def test_mistakes_in_a_protocol_or_fold_are_found_before_tensorflow_is_imported(
    tmp_path, monkeypatch
):
    """As one line each, and before records, folds or weights are looked for."""
    monkeypatch.setitem(sys.modules, "liver_tf.quiet_tensorflow", None)  # importing it fails
    (tmp_path / "folds.json").write_text('{"folds": [{}, {}, {}]}')

    def mistake(*arguments):
        with pytest.raises(OptionError) as caught:
            execute(finetune.main, arguments)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "has no cycle; name a protocol, e.g. --flagfile=hier_freeze.flags" in mistake()
    assert "--cycle=enc9: there is no block" in mistake("--cycle=enc9")
    found = mistake("--cycle=none epochs=x")
    assert found == "--cycle=none epochs=x: epochs: expected a whole number, found 'x'"
    fold = ("--cycle=none", f"--folds_file={tmp_path}/folds.json", "--fold=7")
    assert mistake(*fold) == "fold: expected 0 to 2, found 7"
    assert mistake(*fold, "--dry_run") == "fold: expected 0 to 2, found 7"
    none = f"{tmp_path}/none.json"
    assumed = f"fold: expected 0 to 2, found 7 (3 folds are assumed; {none} does not exist)"
    assert mistake(*fold, f"--folds_file={none}") == assumed
    assert mistake(*fold, f"--folds_file={none}", "--dry_run") == assumed
    with pytest.raises(ImportError):  # nothing else is wrong
        execute(finetune.main, [*fold[:2], "--fold=2"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "liver"}, "the liver network is trained on whole slices"),
        ({"learning_rate": "nan"}, "learning_rate: expected a finite number, found nan"),
        ({"rotation_degrees": "nan"}, "rotation_degrees: expected a finite number, found nan"),
        ({"learning_rate": -1}, "learning_rate: expected above 0, found -1"),
        ({"image_size": 40}, "image_size: expected a multiple of 16, found 40"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(work, command, changes, message):
    with pytest.raises(OptionError, match=message):
        command(pretrain, *pretrain_arguments(work, run=work / "never", **changes))
    assert not (work / "never").exists()


@pytest.mark.parametrize(
    ("cycles", "message"),
    [
        ([], "protocol 'mine' has no cycle; name a protocol"),
        (["enc9"], "--cycle=enc9: there is no block 'enc9'"),
        (["none", "all"], "--cycle=all: a cycle with all blocks frozen trains nothing"),
    ],
)
def test_protocols_that_mean_nothing_are_refused_before_any_data_are_read(
    tmp_path, command, cycles, message
):
    with pytest.raises(OptionError, match=message):
        command(finetune, *finetune_arguments(tmp_path, *cycles))


def test_a_run_in_which_another_process_works_is_left_alone(work, command, capsys):
    (work / "held").mkdir()
    with locked_folder(work / "held"):
        assert command(pretrain, *pretrain_arguments(work, run=work / "held")) == 1
    assert "[output-busy]" in capsys.readouterr().err
    assert list((work / "held").iterdir()) == []


def test_a_stray_word_is_refused(work, command):
    with pytest.raises(OptionError, match="unknown argument 'enc1': all arguments are flags"):
        command(finetune, "enc1", *finetune_arguments(work, "none"))


def test_missing_inputs_are_refused_with_their_path(tmp_path, command, capsys):
    arguments = pretrain_arguments(tmp_path)
    assert command(pretrain, *arguments) == 1
    assert f"{tmp_path / 'roi'}: [no-manifest]" in capsys.readouterr().err


def test_a_full_disk_and_a_file_in_the_way_are_named(work, command, capsys, monkeypatch):
    run = work / "full"
    run.mkdir()
    full_disk.fill_for(monkeypatch, "run.json")
    assert command(pretrain, *pretrain_arguments(work, run=run)) == 1
    printed = capsys.readouterr().err
    assert "[disk-full] expected enough free disk space; found No space left" in printed
    assert list(run.iterdir()) == []
    (work / "file").write_text("")
    assert command(pretrain, *pretrain_arguments(work, run=work / "file" / "run")) == 1
    assert "[file-access]" in capsys.readouterr().err


def test_weights_that_do_not_fit_the_task_are_refused(work, command, capsys, make_network):
    from liver_tf.model.weights_file import save_weights

    network = make_network("liver")
    network.description.save(work / "liver")
    save_weights(work / "liver" / "weights.npz", network.model)
    assert command(finetune, *finetune_arguments(work, "none", pretrained=work / "liver")) == 1
    assert (
        "[other-task] expected a set of whole slices for a liver network; found an ROI set"
        in capsys.readouterr().err
    )
    none = finetune_arguments(work, "none", pretrained=work / "nowhere")
    assert command(finetune, *none) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"--pretrained={work}/nowhere: [no-model] expected a finished run with")
    assert "--liver_run" not in err
    assert len(err.splitlines()) == 1

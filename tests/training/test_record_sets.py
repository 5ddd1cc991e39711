"""Fine-tuning on any record set: liver only, liver and lesion, lesion types, 32 custom classes."""

import csv
import json
import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from liver_tf.assessment.split_cases import cases_of_part
from liver_tf.labels import LESION_TYPES, LITS, LIVER_ONLY, LabelSet
from liver_tf.model.block_weights import weights_by_block
from liver_tf.model.blocks import BLOCKS
from liver_tf.model.description import load_description, load_network
from liver_tf.options import OptionError
from liver_tf.records.manifest import load_manifest
from liver_tf.refusals import Refusal
from liver_tf.training import job, open_cycle
from tests.builders import tiny_records
from tests.builders.command_lines import finetune_arguments, pretrain_arguments
from trainers import finetune, pretrain

#: The maximum number of classes; the tiny set contains three of the lesion types.
THIRTY_TWO = LabelSet("mine", ("background", "liver", *(f"kind{n}" for n in range(30))))

#: Only the last block and the head are trained, for less tracing.
CYCLE = "enc1-dec2"


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Folder with untrained ``liver`` and ``lesion`` (3 classes) networks as if pre-trained."""
    from liver_tf.model import unet
    from liver_tf.model.architecture import Architecture
    from liver_tf.model.description import Description
    from liver_tf.model.weights_file import save_weights

    folder = tmp_path_factory.mktemp("networks")
    for kind, label_set in (("liver", LIVER_ONLY), ("lesion", LITS)):
        architecture = Architecture(32, 2, len(label_set))
        roi = {"rule": {}} if kind == "lesion" else None
        description = Description(
            kind, architecture, label_set, tiny_records.WINDOW, 100.0, 30.0, "0" * 64, roi
        )
        save_weights(folder / kind / "weights.npz", unet.build(architecture, 7))
        description.save(folder / kind)
    return folder


def arguments(networks, work, kind, *, cycles=(CYCLE,), **changes):
    values = {"pretrained": networks / kind, "records": work / "set", "folds_file": "", **changes}
    return finetune_arguments(work, *cycles, batch_size=6, pictures=0, **values)


@pytest.mark.parametrize(
    ("kind", "label_set", "learned"),
    [
        pytest.param(
            *("liver", LESION_TYPES, LIVER_ONLY), id="liver-on-types", marks=pytest.mark.long
        ),
        pytest.param("lesion", THIRTY_TWO, THIRTY_TWO, id="lesion-on-32"),
        pytest.param("liver", LIVER_ONLY, LIVER_ONLY, id="liver-on-liver", marks=pytest.mark.long),
        pytest.param("lesion", LITS, LITS, id="lesion-on-lits", marks=pytest.mark.long),
    ],
)
def test_any_record_set_can_be_fine_tuned_on(
    tmp_path, networks, command, capsys, kind, label_set, learned
):
    """Without folds; the columns of the old head are assigned to the new classes."""
    (tmp_path / "set").mkdir()
    tiny_records.write_set(
        tmp_path / "set", patients=4, slices=1, label_set=label_set, roi=kind == "lesion"
    )
    assert command(finetune, *arguments(networks, tmp_path, kind, head="old")) == 0
    out = capsys.readouterr().out
    assert f"loaded: {', '.join(BLOCKS[:-1])}" in out
    folder = tmp_path / "finetune" / "hold_out" / "seed0" / "mine"
    description = load_description(folder)
    assert (description.kind, description.label_set) == (kind, learned)
    assert description.architecture.classes == len(learned)
    assert (description.roi is not None) == (kind == "lesion")
    identity = json.loads((folder / "run.json").read_text())
    assert identity["fold"] == "hold_out"
    assert [len(identity["split"][part]) for part in ("training", "validation", "test")] in (
        [3, 1, 0],
        [2, 2, 0],
    )
    with open(folder / "cycle1" / "history.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert np.isfinite(float(row["loss"]))
    # A class without training pixels has no weight in the loss.
    weights = identity["task"]["class_weights"]
    assert len(weights) == len(learned)
    assert description.class_weights == tuple(weights)
    if label_set is THIRTY_TWO:
        assert "head:   kind0, kind1, kind2, kind3" in out
        assert "kind29 from the old head's lesion" in out
        assert sum(weight == 0 for weight in weights) >= 27


@pytest.fixture
def weighted(networks, tmp_path):
    """Records in ``set``, and a network ``lesion`` that was trained with class weights."""
    (tmp_path / "set").mkdir()
    tiny_records.write_set(tmp_path / "set", patients=4, slices=1, label_set=LESION_TYPES)
    shutil.copytree(networks / "lesion", tmp_path / "lesion")
    description = load_description(tmp_path / "lesion")
    replace(description, class_weights=(0.5, 2.0, 40.0)).save(tmp_path / "lesion")
    return tmp_path


def run_of(work):
    return work / "finetune" / "hold_out" / "seed0" / "mine"


@pytest.mark.long
def test_a_kept_start_fits_the_class_weights_stored_with_it(weighted, command, monkeypatch):
    """Corrected for the class weights in ``model.json``, old and new network say the same."""
    monkeypatch.setattr(open_cycle, "is_better", lambda *arguments: False)
    line = arguments(weighted, weighted, "lesion", head="old", standardisation="pretrained")
    assert command(finetune, *line, "--keep_start") == 0
    cycle = json.loads((run_of(weighted) / "cycle1" / "cycle.json").read_text())
    assert cycle["best_epoch"] == 0
    images = np.random.default_rng(3).normal(size=(1, 32, 32, 1)).astype(np.float32)
    corrected = []
    for run in (weighted / "lesion", run_of(weighted)):
        network, description = load_network(run)
        shares = np.exp(network(images).numpy().astype(np.float64)) / description.class_weights
        corrected.append(shares / shares.sum(-1, keepdims=True))
    before, after = corrected
    np.testing.assert_allclose(after[..., 2:].sum(-1), before[..., 2], atol=1e-6)
    np.testing.assert_allclose(after[..., :2], before[..., :2], atol=1e-6)


@pytest.mark.parametrize("earlier_version", [True, False])
def test_a_run_of_an_earlier_version_resumes_with_the_head_it_was_started_with(
    weighted, command, monkeypatch, earlier_version
):
    biases = []
    monkeypatch.setattr(
        *(job, "train_protocol"),
        lambda setup, *more: biases.append(setup.model.get_layer("head_logits").bias.numpy()),
    )
    line = arguments(weighted, weighted, "lesion", head="old")
    assert command(finetune, *line) == 0
    path = run_of(weighted) / "run.json"
    identity = json.loads(path.read_text())
    assert identity["head_class_weights"] == [0.5, 2.0, 40.0]
    if earlier_version:
        del identity["head_class_weights"]
        path.write_text(json.dumps(identity))
    assert command(finetune, *line) == 0
    log_of_three = np.log([1, 1, 3, 3, 3])
    ratio = np.array(identity["task"]["class_weights"]) / [0.5, 2.0, 40.0, 40.0, 40.0]
    with np.load(weighted / "lesion" / "weights.npz") as stored:
        old = stored["head_logits/bias"][[0, 1, 2, 2, 2]] - log_of_three
    np.testing.assert_allclose(biases[0], old + np.log(ratio), atol=1e-5)
    np.testing.assert_allclose(biases[1], old if earlier_version else biases[0], atol=1e-5)


def test_records_that_do_not_fit_the_network_are_refused(tmp_path, networks, command, capsys):
    (tmp_path / "set").mkdir()
    tiny_records.write_set(tmp_path / "set", patients=2, slices=1, label_set=LIVER_ONLY)
    assert command(finetune, *arguments(networks, tmp_path, "liver")) == 1
    assert (
        "[other-task] expected a set of whole slices for a liver network" in capsys.readouterr().err
    )
    assert command(finetune, *arguments(networks, tmp_path, "lesion")) == 1
    assert "[no-lesion-classes] expected records with lesion classes" in capsys.readouterr().err
    tiny_records.write_set(tmp_path / "set", patients=2, slices=1, roi=False)
    assert command(finetune, *arguments(networks, tmp_path, "lesion")) == 1
    assert "[other-task] expected an ROI set (liver-tf make_rois) for a" in capsys.readouterr().err


def test_a_dry_run_reads_no_records_folds_or_weights(tmp_path, networks, command, capsys):
    """The plan needs only the manifest and the description; parameters are counted by hand."""
    (tmp_path / "set").mkdir()
    tiny_records.write_set(tmp_path / "set", patients=2, slices=1)
    for shard in (tmp_path / "set").glob("*.tfrecord"):
        shard.unlink()
    description_only = tmp_path / "only"
    description_only.mkdir()
    (description_only / "model.json").write_text((networks / "lesion" / "model.json").read_text())
    (description_only / "weights.npz").write_text("no weights")
    line = arguments(
        *(networks, tmp_path, "lesion"),
        cycles=("enc1-dec1", "none learning_rate=1e-3 norm=inference"),
        pretrained=description_only,
        folds_file="nowhere",
        strategy="multi_worker",
        dry_run=True,
    )
    assert command(finetune, *line) == 0
    head, names, first, second, sampling = capsys.readouterr().out.splitlines()
    assert head == "protocol mine: 2 cycles, start: pretrained"
    assert sampling == "an epoch shows every training slice once"
    columns = ("cycle", "trained", "frozen", "trainable", "of parameters", "rate", "epochs")
    assert names.split() == " ".join((*columns, "batch", "norm")).split()
    # The head: 1 x 1 convolution of 2 channels to 5 classes.
    assert first.split()[:4] == ["1", "head", "enc1-dec1", str(2 * 5 + 5)]
    total, rate = first.split()[4:6]
    assert rate == "5e-05"
    assert second.split()[:3] == ["2", "enc1-head", "none"]
    assert second.split()[4:6] == [total, "0.001"]
    from liver_tf.model import unet
    from liver_tf.model.architecture import Architecture

    blocks = weights_by_block(unet.build(Architecture(32, 2, 5)))
    arrays = {name: array for block in blocks.values() for name, array in block.items()}
    assert int(total.replace(",", "")) == sum(array.size for array in arrays.values())
    trainable = sum(array.size for name, array in arrays.items() if "_norm" not in name)
    assert int(second.split()[3].replace(",", "")) == trainable
    assert not (tmp_path / "finetune").exists()


def unet_parameters(filters, classes):
    """Parameters of the U-Net by hand; each normalisation has 4 numbers per channel."""

    def double(into, out):
        return 9 * into * out + out + 4 * out + 9 * out * out + out + 4 * out

    channels = [filters * 2**level for level in range(5)]
    total = sum(map(double, [1, *channels], channels))
    for low, high in pairwise(channels):
        total += 4 * high * low + low + double(2 * low, low)
    return total + filters * classes + classes


@pytest.mark.parametrize(
    ("flags", "filters", "network"),
    [
        ({}, 32, "lesion network with 32 channels in its first block (--base_filters); {}/nowhere"),
        ({"base_filters": 3}, 3, "lesion network with 3 channels in its first block"),
    ],
)
def test_a_dry_run_without_records_and_pre_trained_run_states_its_assumptions(
    tmp_path, command, capsys, flags, filters, network
):
    values = {"records": tmp_path / "none", "pretrained": tmp_path / "nowhere", **flags}
    line = finetune_arguments(tmp_path, "enc1-enc5", folds_file="x", dry_run=True, **values)
    assert command(finetune, *line) == 0
    out, err = capsys.readouterr()
    records, assumed, head, _, cycle, _ = out.splitlines()
    classes = "background, liver, cyst, hemangioma, metastasis"
    expected = f"records with the classes {classes}; {tmp_path}/none holds no record set"
    assert records == f"assumed: {expected}"
    assert assumed.startswith(f"assumed: a pre-trained {network.format(tmp_path)}")
    assert head == "protocol mine: 1 cycle, start: pretrained"
    assert cycle.split()[4] == f"{unet_parameters(filters, 5):,}"
    assert list(tmp_path.iterdir()) == []
    # The command would fail as it stands: what it lacks comes first.
    missing = f"--records={tmp_path}/none, --folds_file=x, --pretrained={tmp_path}/nowhere"
    only = " and --base_filters" if flags else ""
    steps = f"make the missing inputs ({missing}), then the same command without --dry_run{only}"
    assert err == f"Next: {steps}\n"


def test_a_dry_run_from_scratch_mentions_no_pre_trained_weights(tmp_path, command, capsys):
    line = finetune_arguments(tmp_path, "none", folds_file="x", dry_run=True, start="scratch")
    assert command(finetune, *line) == 0
    out = capsys.readouterr().out
    assert "assumed: a new lesion network with 32 channels in its first block" in out
    assert f"; {tmp_path}/lesion, whose architecture is used, holds no finished run" in out
    assert "pre-trained" not in out
    assert "start: scratch" in out


def test_a_dry_run_assumes_what_fits_the_part_that_exists(networks, tmp_path, command, capsys):
    """A liver network without records; whole slices without a run; and what does not fit."""
    line = arguments(networks, tmp_path, "liver", dry_run=True)
    assert command(finetune, *line) == 0
    out = capsys.readouterr().out
    assert "assumed: records with the classes background, liver, lesion" in out
    assert f" {unet_parameters(2, 2):,} " in out
    (tmp_path / "set").mkdir()
    tiny_records.write_set(tmp_path / "set", patients=2, slices=1, roi=False)
    assert command(finetune, *line, "--pretrained=nowhere") == 0
    assert "assumed: a pre-trained liver network with 32 channels" in capsys.readouterr().out
    assert command(finetune, *arguments(networks, tmp_path, "lesion", dry_run=True)) == 1
    assert "[other-task]" in capsys.readouterr().err
    with pytest.raises(OptionError, match="base_filters: is for --dry_run"):
        command(finetune, *arguments(networks, tmp_path, "lesion", base_filters=2))


def test_a_dry_run_of_pre_training_reads_no_records(tmp_path, command, capsys):
    (tmp_path / "roi").mkdir()
    tiny_records.write_set(tmp_path / "roi", patients=2, slices=1)
    for shard in (tmp_path / "roi").glob("*.tfrecord"):
        shard.unlink()
    assert command(pretrain, *pretrain_arguments(tmp_path), "--dry_run") == 0
    out, err = capsys.readouterr()
    assert "protocol pretrain_lesion: 1 cycle" in out
    assert err == "Next: the same command without --dry_run\n"
    assert not (tmp_path / "lesion").exists()
    assert command(pretrain, *pretrain_arguments(tmp_path, records="nowhere"), "--dry_run") == 0
    out, err = capsys.readouterr()
    assert "assumed: records with the classes background, liver, lesion; nowhere holds no" in out
    assert err.startswith("Next: make the missing inputs (--records=nowhere), then the same ")
    assert f" {unet_parameters(2, 3):,} " in out


@pytest.fixture(scope="module")
def unfinished_run(networks, tmp_path_factory, command):
    """Networks, and a folder with a run that stopped before its first epoch."""
    folder = tmp_path_factory.mktemp("begun")
    (folder / "set").mkdir()
    tiny_records.write_set(folder / "set", patients=4, slices=1, label_set=LITS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "train_protocol", lambda *arguments, **more: None)
        assert command(finetune, *arguments(networks, folder, "lesion")) == 0
    return networks, folder


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"learning_rate": 1e-3}, "--learning_rate (cycle 1): 5e-05 before, 0.001 now"),
        ({"precision": "float16"}, "--precision: float32 before, float16 now"),
        (
            {"jit_compile": True, "deterministic": False},
            "--jit_compile: false before, true now",
        ),
        ({"head": "old"}, "--head: fresh before, old now"),
        ({"rotation_degrees": 3}, "--rotation_degrees: 15.0 before, 3.0 now"),
        ({"cycles": ("enc1",)}, "--cycle (cycle 1): enc1-dec2 before, enc1 now"),
        ({"augment_on": "device"}, "--augment_on (host): true before, false now"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_resuming_with_another_flag_is_refused_with_the_difference(
    unfinished_run, command, capsys, changes, difference
):
    networks, folder = unfinished_run
    line = arguments(networks, folder, "lesion", **changes)
    assert command(finetune, *line) == 1
    out, err = capsys.readouterr()
    assert "[run-differs]" in err
    assert difference in err
    assert "cycles" not in out  # no plan of what is not carried out


def test_xla_requires_nondeterministic_operations(unfinished_run, command):
    networks, folder = unfinished_run
    with pytest.raises(OptionError, match="jit_compile: requires --nodeterministic"):
        command(finetune, *arguments(networks, folder, "lesion", jit_compile=True))


def test_resuming_with_other_data_is_refused_with_the_difference(
    unfinished_run, command, capsys, tmp_path
):
    networks, folder = unfinished_run
    tiny_records.write_set(tmp_path, patients=4, slices=1, label_set=LITS, seed=1)
    line = arguments(networks, folder, "lesion", records=tmp_path)
    assert command(finetune, *line) == 1
    err = capsys.readouterr().err
    assert "[run-differs]" in err
    assert "data: --records: other records; accordingly also " in err


def test_a_run_without_folds_has_no_test_patients(unfinished_run, tmp_path):
    networks, folder = unfinished_run
    run = tmp_path / "run"
    shutil.copytree(folder / "finetune" / "hold_out" / "seed0" / "mine", run)
    full_slices = replace(load_manifest(folder / "set"), roi=None)
    roi = {"rule": {}, "source_fingerprint": full_slices.fingerprint}
    replace(load_description(networks / "lesion"), roi=roi).save(run)
    (run / "weights.npz").write_bytes((networks / "lesion" / "weights.npz").read_bytes())
    with pytest.raises(Refusal, match=r"\[no-patients\] expected a run with test patients"):
        cases_of_part(run, full_slices, "test")
    assert len(cases_of_part(run, full_slices, "validation")) >= 1

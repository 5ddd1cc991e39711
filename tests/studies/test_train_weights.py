"""The networks in the package, trained and packed with tiny settings; and the recipe."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from liver_tf.bundled_networks import NETWORKS
from liver_tf.command_line.flags_of_options import load_settings
from liver_tf.labels import LITS
from liver_tf.model.description import load_description
from liver_tf.phantom.phantom_plan import PhantomSettings
from liver_tf.studies.train_weights import TrainWeightsSettings, run_train_weights
from liver_tf.trained_on import TrainedOn
from liver_tf.training.training_settings import PretrainSettings

_TRAINING = "--epochs=1\n--batch_size=4\n--pictures=0\n--seed=3\n"
_NETWORK = f"--image_size=32\n--base_filters=2\n--validation_share=0.3\n{_TRAINING}"
TINY = {
    "plain": "--seed=20\n--lits_volumes=2\n--lits_first=100\n--lits_slices=8\n--patients=0\n"
    "--matrix=64\n--tissues\n",
    "pack": "--least_area_mm2=5\n",
    "varied": "--seed=18\n--lits_volumes=4\n--lits_slices=8\n--patients=9\n--matrix=64\n"
    "--anatomy=varied\n--tissues\n",
    "liver": f"--network=liver\n--drawn=0.5\n{_NETWORK}",
    "lesion": f"--network=lesion\n--drawn=0.5\n{_NETWORK}",
    "typed": f"--protocol=typed\n--cycle=none\n--folds_file=\n--head=old\n{_TRAINING}",
}


@pytest.mark.long
def test_from_phantoms_to_packed_networks(tmp_path, capfd):
    flags, output = tmp_path / "flags", tmp_path / "weights"
    flags.mkdir()
    for name, text in TINY.items():
        (flags / f"{name}.flags").write_text(text)
    settings = TrainWeightsSettings(
        folder=tmp_path / "work", output=output, flag_files=flags, workers=1
    )

    def packed():
        run_train_weights(settings)
        return {(name, path.name): path.read_bytes() for name in NETWORKS for path in files(name)}

    def files(name):
        return (output / name).iterdir()

    first = packed()
    assert "11 of 11 steps ran" in capfd.readouterr().out
    assert len(first) == 17
    assert b"lesions below 5 mm2 dropped" in first["typed", "model_card.md"]
    learned = [load_description(output / name).trained_on for name in NETWORKS]
    assert all(each.ranges for each in learned)
    assert [replace(each, ranges=None) for each in learned] == [
        TrainedOn("phantom", 0, 6),
        TrainedOn("phantom", 0, 4),
        TrainedOn("phantom", 0, 13, "phantom"),
    ]
    assert b"`python -m trainers.train_weights`" in first["liver", "model_card.md"]
    # Finished steps are skipped; only packing, which is cheap, runs again.
    shutil.rmtree(output)
    assert packed() == first
    assert "1 of 11 steps ran" in capfd.readouterr().out


def test_the_recipe_fits_the_size_that_the_package_allows():
    sides = set()
    for network in ("liver", "lesion"):
        given = {"records": "r", "run": "r"}
        settings = load_settings(PretrainSettings, f"flags/weights/{network}.flags", **given)
        assert settings.network == network
        assert settings.augmentation.for_labels(LITS).drawn > 0
        sides.add((settings.architecture.image_size, settings.architecture.base_filters))
    # 1.98 million parameters of 2 bytes each; three networks have at most 12 MB.
    assert sides == {(128, 16)}
    plans = [
        load_settings(PhantomSettings, f"flags/weights/{name}.flags", output="o").plan
        for name in ("varied", "plain")
    ]
    assert all(plan.tissues for plan in plans)
    assert not {plan.seed for plan in plans} & {0, 1}  # those of the demo and the phantom study
    assert not set(plans[0].volumes) & set(plans[1].volumes)
